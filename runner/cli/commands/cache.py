"""`runner cache`: what is stored, and whether it is whole."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import exit_codes
from runner.cli.console import Console, columns
from runner.cli.parser import one_of
from runner.core.canonical import Json
from runner.report.format import count, number, size

if TYPE_CHECKING:
    from runner.core.answer import StoredAnswer


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", metavar="ACTION", type=one_of("stats", "ls", "verify"),
        help="stats (how much), ls (one line per answer), verify (find damaged ones)")  # fmt: skip


def execute(args: Namespace, console: Console) -> int:
    from runner.app import api

    root = api.find_project_root(Path.cwd())
    if args.action == "stats":
        return _stats(api.cache_stats(root), console)
    if args.action == "ls":
        return _list(api.cache_entries(root), console)
    return _verify(list(api.cache_verify(root)), console)


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
    return f"{head}   {entry.provider} {entry.endpoint}{failure}"


def _verify(damaged: list[tuple[str, str]], console: Console) -> int:
    code = exit_codes.BAD_ANSWER if damaged else exit_codes.DONE
    if console.look.is_json:
        entries = [{"key": key, "reason": reason} for key, reason in damaged]
        console.result({"format": 1, "exit_code": code, "damaged": entries})
    else:
        console.report("\n".join(f"{key}: {reason}" for key, reason in damaged))
    found = count(len(damaged), "damaged entry", "damaged entries") if damaged else "no damaged entry"
    console.story(f"{found} · a damaged entry counts as a miss" if damaged else found)
    return code
