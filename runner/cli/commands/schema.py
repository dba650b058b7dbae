"""`runner schema`: the JSON Schema of a file kind, for editors."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from runner.cli import exit_codes
from runner.cli.console import Console
from runner.cli.parser import one_of

KINDS = ("workflow", "settings")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", type=one_of(*KINDS),
        help="workflow (workflows/*.yaml) or settings (runner.yaml)")  # fmt: skip


def execute(args: Namespace, console: Console) -> int:
    console.result_json(text_of(args.kind).rstrip("\n"))
    return exit_codes.DONE


def text_of(kind: str) -> str:
    """The schema as an indented document: it is kept in a file and read by people."""
    from runner.config import editor_schema

    schema = editor_schema.workflow_schema() if kind == "workflow" else editor_schema.settings_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
