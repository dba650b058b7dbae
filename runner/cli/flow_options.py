"""What `run` and `plan` share: which flow, with which inputs, data, models and stored answers."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import files
from runner.cli.console import Console
from runner.cli.parser import CommandParser, pair
from runner.core.errors import UsageError
from runner.core.problem import Problem

if TYPE_CHECKING:
    from runner.app.types import RunOptions

ALL_STEPS = "*"
_FLAG_WORDS = {"1": True, "yes": True, "true": True, "on": True, "": False, "0": False, "no": False, "false": False}


def add_flow_arguments(parser: CommandParser) -> None:
    add = parser.add_argument
    add("flow", metavar="FLOW", help="the workflow file")
    add("-i", "--input", dest="inputs", action="append", default=[], type=pair("NAME=VALUE"), metavar="NAME=VALUE",
        help="an input; =@FILE takes a file's text, =- standard input, =@@TEXT a text that begins with @")  # fmt: skip
    add("--data", action="append", default=[], type=pair("NAME=PATH"), metavar="NAME=PATH",
        help="read a data source from this file (- for standard input)")  # fmt: skip
    add("--model", action="append", default=[], type=pair("ALIAS=PROVIDER/MODEL"), metavar="ALIAS=PROVIDER/MODEL",
        help="what a model alias stands for in this run")  # fmt: skip
    add("--refresh", nargs="?", const=ALL_STEPS, action="append", default=[], metavar="STEP",
        help="ask again: all steps, or this one (repeatable)")  # fmt: skip
    add("-s", "--select", action="append", default=[], metavar="STEPS",
        help="ask only these: STEP, STEP+, +STEP, tag:NAME or changed (repeatable)")  # fmt: skip
    add("--locked", action="store_true", help="exit 6 when runner.lock is missing or stale")
    parser.add_rare("--batch", action="store_true")
    parser.add_rare("--no-cache", action="store_true")


def prepare(words: Sequence[str]) -> list[str]:
    """`--refresh FLOW` means all steps of FLOW: a step's name is no path."""
    ready: list[str] = []
    for word, following in zip(words, [*words, ""][1:], strict=True):
        is_path = "/" in following or following.endswith((".yaml", ".yml"))
        ready.append(f"--refresh={ALL_STEPS}" if word == "--refresh" and is_path else word)
    return ready


def flow_options(args: Namespace, console: Console) -> RunOptions:
    """The options that both commands have; the rest stays at its default."""
    from runner.app.types import RunOptions

    if args.no_cache and args.refresh:
        raise UsageError(Problem("usage", "--no-cache and --refresh exclude each other", fix="leave one out"))
    stdin = _Stdin()
    texts = {name: _input_text(name, value, stdin) for name, value in _unique(args.inputs, "-i").items()}
    data = _unique(args.data, "--data")
    piped = {name: stdin.read(f"--data {name}=-") for name, path in data.items() if path == "-"}
    return RunOptions(
        input_texts=texts,
        data={name: Path(path) for name, path in data.items() if path != "-"},
        models=_unique(args.model, "--model"),
        refresh=frozenset(args.refresh),
        select=tuple(args.select),
        is_locked=args.locked,
        use_cache=not args.no_cache,
        is_batch=args.batch,
        verbosity=console.look.verbosity,
        stdin=piped,
        stdin_reader=stdin.reader,
    )


def _unique(pairs: Sequence[tuple[str, str]], option: str) -> dict[str, str]:
    """Pairs as a mapping; a name that is given twice is a mistake, not a choice of ours."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise UsageError(Problem("usage", f"{option} gives '{name}' twice", fix="leave one out"))
        values[name] = value
    return values


class _Stdin:
    """Standard input, which can be read once."""

    def __init__(self) -> None:
        self.reader = ""

    def read(self, reader: str) -> bytes:
        if self.reader:
            raise UsageError(
                Problem("usage", f"standard input is asked for twice: {self.reader} and {reader}", fix="use a file")
            )
        self.reader = reader
        return files.read_stdin()


def _input_text(name: str, value: str, stdin: _Stdin) -> str:
    if value == "-":
        return files.decoded(stdin.read(f"-i {name}=-"), f"input '{name}': standard input")
    if value.startswith("@@"):
        return value[1:]
    if value.startswith("@"):
        return files.read_text(Path(value[1:]), f"input '{name}'")
    return value


def flag(variable: str, console: Console) -> bool:
    word = console.environ.get(variable, "").strip().lower()
    if word not in _FLAG_WORDS:
        raise UsageError(Problem("bad-variable", f"{variable} is '{word}'", expected="1, yes, 0 or no"))
    if _FLAG_WORDS[word]:
        console.detail(f"{variable.removeprefix('RUNNER_').lower()}: yes (from {variable})")
    return _FLAG_WORDS[word]
