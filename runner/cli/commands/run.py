"""`runner run`: execute a workflow, print its outputs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import files
from runner.cli.console import Console
from runner.cli.parser import at_least_one, pair
from runner.core.errors import UsageError
from runner.core.problem import Problem

if TYPE_CHECKING:
    from runner.app.types import RunOptions, RunResult
    from runner.core.ports import EventSink

ALL_STEPS = "*"
_FLAG_WORDS = {"1": True, "yes": True, "true": True, "on": True, "": False, "0": False, "no": False, "false": False}


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("flow", metavar="FLOW", help="the workflow file")
    add("-i", "--input", dest="inputs", action="append", default=[], type=pair("NAME=VALUE"), metavar="NAME=VALUE",
        help="an input; =@FILE takes a file's text, =- standard input, =@@TEXT a text that begins with @")  # fmt: skip
    add("--data", action="append", default=[], type=pair("NAME=PATH"), metavar="NAME=PATH",
        help="read a data source from this file (- for standard input)")  # fmt: skip
    add("--model", action="append", default=[], type=pair("ALIAS=PROVIDER/MODEL"), metavar="ALIAS=PROVIDER/MODEL",
        help="what a model alias stands for in this run")  # fmt: skip
    add("--offline", action="store_true", help="no network and no model: stored answers only, a miss is exit 6")
    add("--refresh", nargs="?", const=ALL_STEPS, action="append", default=[], metavar="STEP",
        help="ask again: all steps, or this one (repeatable)")  # fmt: skip
    add("--record", action="store_true", help="write the answers to cache/recordings, to be kept in git")
    add("--no-cache", action="store_true", help="neither read nor keep stored answers")
    add("--fail-fast", action="store_true", help="start no further call after the first failure")
    add("-j", "--parallel", type=at_least_one, metavar="N", help="calls at once (default 8; RUNNER_PARALLEL)")
    add("--trust", action="append", default=[], metavar="NAME", help="let this provider's key go to its host")
    add("-o", "--output", type=Path, metavar="FILE", help="write the result to this file too")
    add("--jsonl", action="store_true", help="print one event per line as it happens")


def prepare(words: Sequence[str]) -> list[str]:
    """`--refresh FLOW` means all steps of FLOW: a step's name is no path."""
    ready: list[str] = []
    for word, following in zip(words, [*words, ""][1:], strict=True):
        is_path = "/" in following or following.endswith((".yaml", ".yml"))
        ready.append(f"--refresh={ALL_STEPS}" if word == "--refresh" and is_path else word)
    return ready


def execute(args: Namespace, console: Console) -> int:
    options = _options(args, console)
    if args.output:
        files.ensure_writable(args.output)
    from runner.app import api
    from runner.cli.story import Story

    may_be_live = not (args.jsonl and console.is_result_shown_to_a_person)
    with Story(console, may_be_live=may_be_live) as story:
        sinks: list[EventSink] = [story]
        if args.jsonl:
            sinks.append(_event_printer(console))
        result = api.run(Path(args.flow), options, sinks)
    _tell_problems(result, console)
    _give(result, args, console)
    story.close(result.summary)
    return result.exit_code


def _options(args: Namespace, console: Console) -> RunOptions:
    from runner.app.types import RunOptions

    if args.jsonl and console.look.is_json:
        raise UsageError(Problem("usage", "--json and --jsonl exclude each other", fix="leave one out"))
    if args.no_cache and (args.record or args.offline or args.refresh):
        other = "--record" if args.record else "--offline" if args.offline else "--refresh"
        raise UsageError(Problem("usage", f"--no-cache and {other} exclude each other", fix="leave one out"))
    stdin = _Stdin()
    texts = {name: _input_text(name, value, stdin) for name, value in _unique(args.inputs, "-i").items()}
    data = _unique(args.data, "--data")
    piped = {name: stdin.read(f"--data {name}=-") for name, path in data.items() if path == "-"}
    return RunOptions(
        input_texts=texts,
        data={name: Path(path) for name, path in data.items() if path != "-"},
        models=_unique(args.model, "--model"),
        is_offline=args.offline or _flag("RUNNER_OFFLINE", console),
        refresh=frozenset(args.refresh),
        is_recording=args.record,
        use_cache=not args.no_cache,
        is_fail_fast=args.fail_fast,
        max_parallel=args.parallel or _parallel(console),
        trust=frozenset(args.trust),
        verbosity=console.look.verbosity,
        stdin=piped,
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
        self._reader = ""

    def read(self, reader: str) -> bytes:
        if self._reader:
            raise UsageError(
                Problem("usage", f"standard input is asked for twice: {self._reader} and {reader}", fix="use a file")
            )
        self._reader = reader
        return files.read_stdin()


def _input_text(name: str, value: str, stdin: _Stdin) -> str:
    if value == "-":
        return files.decoded(stdin.read(f"-i {name}=-"), f"input '{name}': standard input")
    if value.startswith("@@"):
        return value[1:]
    if value.startswith("@"):
        return files.read_text(Path(value[1:]), f"input '{name}'")
    return value


def _flag(variable: str, console: Console) -> bool:
    word = console.environ.get(variable, "").strip().lower()
    if word not in _FLAG_WORDS:
        raise UsageError(Problem("bad-variable", f"{variable} is '{word}'", expected="1, yes, 0 or no"))
    if _FLAG_WORDS[word]:
        console.detail(f"{variable.removeprefix('RUNNER_').lower()}: yes (from {variable})")
    return _FLAG_WORDS[word]


def _parallel(console: Console) -> int:
    word = console.environ.get("RUNNER_PARALLEL", "")
    if not word:
        return 8
    if not (word.isascii() and word.isdigit() and int(word)):
        raise UsageError(
            Problem("bad-variable", f"RUNNER_PARALLEL is '{word}'", expected="a whole number of at least 1")
        )
    console.detail(f"parallel: {word} (from RUNNER_PARALLEL)")
    return int(word)


def _event_printer(console: Console) -> EventSink:
    from runner.record.lines import to_line, to_record

    return lambda event: console.result_json(to_line(to_record(event)).decode().rstrip("\n"))


def _tell_problems(result: RunResult, console: Console) -> None:
    console.problems(result.problems, result.sources)
    if console.is_ci and result.problems:
        from runner.report.annotations import annotation_lines

        console.commands(annotation_lines(result.problems))


def _give(result: RunResult, args: Namespace, console: Console) -> None:
    """The document to standard output, and to the file."""
    document = result.outputs
    if console.look.is_json:
        from runner.report.documents import run_document

        document = run_document(result.summary, result.outputs, result.problems, result.exit_code)
    elif not result.is_good and result.outputs is None:
        return
    if args.output:
        files.write_whole(args.output, console.json_text(document) + "\n")
        console.detail(f"written: {args.output}")
    if not args.jsonl:
        console.result(document)
