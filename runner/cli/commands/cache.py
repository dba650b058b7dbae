"""`runner cache`: what is stored, whether it is whole, and how it is carried elsewhere or taken out."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runner.cli import exit_codes
from runner.cli.console import Console, columns
from runner.cli.find import workflow_files
from runner.cli.parser import one_of
from runner.core.canonical import Json
from runner.core.errors import UsageError
from runner.core.problem import Problem
from runner.report.format import count, number, size

if TYPE_CHECKING:
    from runner.app.cache_files import Carried
    from runner.app.cache_proving import Proof
    from runner.core.answer import StoredAnswer

ACTIONS: Final = ("stats", "ls", "verify", "gc", "export", "import")
FLOWS: Final = "workflows"
_AGE = re.compile(r"([0-9]{1,6})([hdw])", re.ASCII)
_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "gc": frozenset({"--older-than", "--keep-used-by", "--dry-run"}),
    "export": frozenset({"--keep-used-by"}),
    "import": frozenset({"--dry-run"}),
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", metavar="ACTION", type=one_of(*ACTIONS),
        help="stats (how much), ls (one line per answer), verify (damage, keys, misfits), gc (take out), export, import")  # fmt: skip
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path,
        help="the archive for export and import; workflows for verify, whose answers must fit their schemas")  # fmt: skip
    parser.add_argument("--older-than", metavar="AGE", type=_age,
        help="gc: what was received longer ago, such as 12h, 30d or 8w")  # fmt: skip
    parser.add_argument("--keep-used-by", metavar="FLOW", type=Path, action="append", default=[],
        help="gc: all but what this workflow or suite uses; export: nothing but that; may be repeated")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="gc, import: say what would be done, and change nothing")


def _age(text: str) -> float:
    match = _AGE.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(f"'{text}' is no age, such as 12h, 30d or 8w")
    return float(int(match[1]) * _SECONDS[match[2]])


def execute(args: Namespace, console: Console) -> int:
    from runner.app import api

    _check(args)
    root = api.find_project_root(Path.cwd())
    match args.action:
        case "stats":
            return _stats(api.cache_stats(root), console)
        case "ls":
            return _list(api.cache_entries(root), console)
        case "verify":
            return _verify(api.cache_verify(root, args.files, () if args.files else _found(root)), console)
        case "gc":
            return _collect(args, root, console)
        case "export":
            carried = api.cache_export(root, args.files[0], args.keep_used_by)
            return _carried(carried, f"written to {args.files[0]}", "damaged, left out", console)
        case _:
            carried = api.cache_import(root, args.files[0], is_dry=args.dry_run)
            would = "would be taken over" if args.dry_run else "taken over"
            return _carried(carried, f"{would} from {args.files[0]}", "here already", console)


def _found(root: Path) -> list[Path]:
    """The workflows and suites of the project, named as from here."""
    folder = root / FLOWS if (root / FLOWS).is_dir() else root
    return [Path(os.path.relpath(path)) for path in workflow_files([folder])]


def _check(args: Namespace) -> None:
    """Raises UsageError for options and files that the action does not take."""
    prog = f"runner cache {args.action}"
    given = {
        "--older-than": args.older_than is not None,
        "--keep-used-by": bool(args.keep_used_by),
        "--dry-run": args.dry_run,
    }
    for name, is_given in given.items():
        if is_given and name not in _TAKES.get(args.action, frozenset()):
            raise UsageError(Problem("unknown-option", f"'{prog}' has no option '{name}'", fix="runner cache --help"))
    most = {"verify": None, "export": 1, "import": 1}.get(args.action, 0)
    if most == 1 and not args.files:
        raise UsageError(Problem("usage", f"'{prog}' needs FILE", fix="runner cache --help"))
    if most is not None and len(args.files) > most:
        text = f"'{prog}' does not take a further argument '{args.files[most]}'"
        raise UsageError(Problem("usage", text, fix="runner cache --help"))


def _stats(stats: Mapping[str, Json], console: Console) -> int:
    if console.look.is_json:
        console.result({"format": 1, **stats})
    else:
        console.report(columns([(name, text) for name, text in _flat(stats)] or [("cache", "empty")]))
    return exit_codes.DONE


def _flat(values: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{label} ")
        elif name == "bytes":
            yield f"{prefix}size".strip(), size(value)
        else:
            yield label, number(value) if isinstance(value, int) else str(value)


def _list(entries: Iterator[StoredAnswer], console: Console) -> int:
    if console.look.is_json:
        console.result({"format": 1, "entries": [_entry(entry) for entry in entries]})
        return exit_codes.DONE
    amount = 0
    for entry in entries:
        amount += 1
        console.report(_line(entry))
    console.story(count(amount, "answer"))
    return exit_codes.DONE


def _entry(entry: StoredAnswer) -> dict[str, Json]:
    return {
        "key": entry.key,
        "source": str(entry.source),
        "dialect": entry.dialect,
        "provider": entry.provider,
        "endpoint": entry.endpoint,
        "model": _model(entry),
        "sample": entry.sample,
        "salt": entry.salt,
        "failure": entry.failure and str(entry.failure),
        "bytes": len(entry.payload),
        "meta": {"received_at": entry.received_at, "seconds": entry.seconds},
    }


def _line(entry: StoredAnswer) -> str:
    stamp = f"{datetime.fromtimestamp(entry.received_at, UTC):%Y-%m-%d %H:%M}" if entry.received_at else "-"
    failure = f"   {entry.failure}" if entry.failure else ""
    head = f"{entry.key[:12]}   {entry.source:<8}   {stamp:<16}   {size(len(entry.payload)):>8}"
    return f"{head}   {_model(entry) or entry.provider}   {entry.endpoint}{failure}"


def _model(entry: StoredAnswer) -> str | None:
    """The model that was asked, as PROVIDER/MODEL; None for an answer of a tool, and for one that does not say so."""
    model = entry.ingredients.get("model")
    return model if isinstance(model, str) else None


def _verify(proof: Proof, console: Console) -> int:
    doubts = proof.doubts
    code = exit_codes.BAD_ANSWER if doubts else exit_codes.DONE
    kinds = {kind: [doubt for doubt in doubts if doubt.kind == kind] for kind in ("damaged", "secret", "unfit")}
    if console.look.is_json:
        found = {kind: [{"key": one.key, "reason": one.reason} for one in some] for kind, some in kinds.items()}
        console.result({"format": 1, "exit_code": code, **found, "unproved": list(proof.unproved)})
    else:
        console.report("\n".join(f"{doubt.key}: {doubt.reason}" for doubt in doubts))
    damaged = len(kinds["damaged"])
    parts = [f"{count(damaged, 'damaged entry', 'damaged entries')} · a damaged entry counts as a miss"] * bool(damaged)
    if kinds["secret"]:
        parts.append(f"{count(len(kinds['secret']), 'entry', 'entries')} with a key")
    if kinds["unfit"]:
        parts.append(f"{count(len(kinds['unfit']), 'answer')} that would be asked again")
    parts = parts or ["no damaged entry"]
    if proof.unproved:
        parts.append(f"{count(len(proof.unproved), 'workflow')} not looked into (-v says why)")
    for sentence in proof.unproved:
        console.detail(f"not looked into: {sentence}")
    console.story(" · ".join(parts))
    return code


def _collect(args: Namespace, root: Path, console: Console) -> int:
    from runner.app import api

    found = api.cache_gc(root, older_than_s=args.older_than, workflows=args.keep_used_by, is_dry=args.dry_run)
    if console.look.is_json:
        told: dict[str, Json] = {"removed": found.removed, "kept": found.kept, "removed_bytes": found.removed_bytes}
        console.result({"format": 1, **told, "notes": list(found.notes), "dry_run": args.dry_run})
    for note in found.notes:
        console.story(note)
    would = "would be removed" if args.dry_run else "removed"
    console.story(f"{count(found.removed, 'answer')} {would} ({size(found.removed_bytes)}), {number(found.kept)} kept")
    return exit_codes.DONE


def _carried(carried: Carried, done: str, passed_over: str, console: Console) -> int:
    if console.look.is_json:
        told: dict[str, Json] = {"answers": carried.answers, "passed_over": carried.passed_over}
        console.result({"format": 1, **told, "bytes": carried.size_bytes})
    rest = f", {number(carried.passed_over)} {passed_over}" if carried.passed_over else ""
    console.story(f"{count(carried.answers, 'answer')} {done}{rest} ({size(carried.size_bytes)})")
    return exit_codes.DONE
