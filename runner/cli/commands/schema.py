"""`runner schema`: the JSON Schema of a file kind, for editors, and of what we write, for its readers."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from runner.cli import exit_codes
from runner.cli.console import Console
from runner.cli.parser import one_of
from runner.core.canonical import Json
from runner.core.errors import FileError, UsageError
from runner.core.problem import Problem

KINDS = ("workflow", "suite", "settings")
EVENTS = "events"
FOLDER = ".runner"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", nargs="?", type=one_of(*KINDS, EVENTS),
        help="workflow (workflows/*.yaml), suite (*.suite.yaml), settings (runner.yaml), or events (--jsonl)")  # fmt: skip
    parser.add_argument("--install", action="store_true",
        help=f"write it to {FOLDER}/KIND.schema.json of the project; without KIND, all of them")  # fmt: skip


def execute(args: Namespace, console: Console) -> int:
    if args.install:
        if args.kind == EVENTS:
            message = "the schema of events is for readers of --jsonl, not for editors"
            raise UsageError(Problem("usage", message, fix=f"runner schema {EVENTS} > events.schema.json"))
        return _install((args.kind,) if args.kind else KINDS, console)
    if not args.kind:
        raise UsageError(Problem("usage", "'runner schema' needs KIND", fix="runner schema --help"))
    console.result_json(text_of(args.kind).rstrip("\n"))
    return exit_codes.DONE


def _install(kinds: tuple[str, ...], console: Console) -> int:
    from runner.app import api

    root = api.find_project_root(Path())
    names = [path_of(kind) for kind in kinds]
    try:
        (root / FOLDER).mkdir(exist_ok=True)
        for kind, name in zip(kinds, names, strict=True):
            (root / name).write_text(text_of(kind), encoding="utf-8", newline="\n")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise FileError(Problem("unwritable-file", f"{error.filename} cannot be written: {reason}")) from None
    if console.look.is_json:
        console.result({"format": 1, "root": str(root), "written": names})
    else:
        console.report(f"written  {'   '.join(names)}")
    return exit_codes.DONE


def path_of(kind: str) -> str:
    """Where a project keeps the schema of a file kind."""
    return f"{FOLDER}/{kind}.schema.json"


def text_of(kind: str) -> str:
    """The schema as an indented document: it is kept in a file and read by people."""
    return json.dumps(_schema_of(kind), indent=2, ensure_ascii=False) + "\n"


def _schema_of(kind: str) -> Json:
    if kind == EVENTS:
        from runner.record.event_schema import event_schema

        return event_schema()
    from runner.config.editor_schema import schema_of

    return schema_of(kind)
