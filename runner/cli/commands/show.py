"""`runner show`: a run, a step, one exchange."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runner.cli import exit_codes
from runner.cli.console import Console, columns
from runner.core.canonical import Json
from runner.core.errors import NothingSelected, UsageError
from runner.core.problem import Problem
from runner.record.summary import summary_from_json
from runner.report.format import count, duration, money
from runner.report.outcomes import more_outcomes, outcome_rows
from runner.report.text import closing_line, name_width, step_line

_RUN = re.compile(r"r[1-9]\d*")
_STEP = re.compile(r"(?P<step>[^\[\]]+)(?:\[(?P<item>.*)\])?", re.DOTALL)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("names", metavar="RUN STEP[item]", nargs="*",
        help="the run (default: the last), and what of it: a step, or 'step[item]'")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the runs")
    parser.add_argument("--request", action="store_true", help="print only what was sent, as JSON")
    parser.add_argument("--answer", action="store_true", help="print only what was answered, as JSON")


def execute(args: Namespace, console: Console) -> int:
    run, step, item = _selection(args.names)
    from runner.app import api

    root = api.find_project_root(Path.cwd())
    if args.list:
        return _list(api.list_runs(root), console)
    if args.request and args.answer:
        raise UsageError(Problem("usage", "--request and --answer exclude each other", fix="leave one out"))
    shown = api.show(root, run, step, item)
    wanted = "request" if args.request else "answer" if args.answer else ""
    if wanted:
        return _print_each(shown, wanted, console)
    if console.look.is_json:
        console.result({"format": 1, **shown})
    else:
        console.report("\n".join(_exchanges(shown) if step else _overview(shown)))
    return exit_codes.DONE


def _selection(names: list[str]) -> tuple[str | None, str | None, str | None]:
    """Run, step and item; a first word that is no run id is a step of the last run."""
    if len(names) > 2:
        raise UsageError(Problem("usage", f"'runner show' takes a run and a step, not also '{names[2]}'"))
    rest = list(names)
    run = rest.pop(0) if rest and _RUN.fullmatch(rest[0]) else None
    if len(rest) > 1:
        raise UsageError(
            Problem("usage", f"'{rest[0]}' is no run id", expected="a run such as r8; see them with --list")
        )
    if not rest:
        return run, None, None
    match = _STEP.fullmatch(rest[0])
    if not match:
        raise UsageError(
            Problem("usage", f"'{rest[0]}' is neither a run nor a step", expected="r8, step or 'step[item]'")
        )
    return run, match["step"], match["item"]


def _list(runs: Sequence[Mapping[str, Json]], console: Console) -> int:
    if console.look.is_json:
        console.result({"format": 1, "runs": [dict(run) for run in runs]})
        return exit_codes.DONE
    if not runs:
        raise NothingSelected(Problem("no-run", "there is no run yet", fix="runner run FLOW"))
    console.report(columns([_row(run) for run in runs]))
    return exit_codes.DONE


def _row(run: Mapping[str, Json]) -> tuple[str, ...]:
    """A run that was killed has no numbers."""
    head = (str(run["run"]), str(run.get("workflow", "?")), str(run["status"]))
    if "calls" not in run:
        return (*head, "", "", "", "")
    stored = f"{run['cached']:,} stored"
    return (*head, count(run["calls"], "call"), stored, money(run["cost_usd"]), duration(run["seconds"]))


def _print_each(shown: Mapping[str, Json], wanted: str, console: Console) -> int:
    """One JSON document per exchange, each on a line of its own where nobody reads along."""
    attempts = shown["attempts"]
    if not attempts:
        raise NothingSelected(Problem("no-exchange", f"run {shown['run']} has no such exchange"))
    for attempt in attempts:
        console.result(attempt.get(wanted))
    return exit_codes.DONE


def _overview(shown: Mapping[str, Json]) -> Iterator[str]:
    try:
        summary = summary_from_json(shown["summary"])
    except ValueError:  # killed before its summary was written, or written by another version
        yield f"run {shown['run']}   {shown['summary'].get('status', 'unfinished')}"
        yield "it has no closing lines: it is still under way, or was cut short; then the same command goes on from there"
    else:
        yield f"{summary.workflow}   {summary.status}"
        width = name_width([step.step for step in summary.steps])
        yield from (step_line(step, width) for step in summary.steps)
        yield closing_line(summary)
    attempts = shown["attempts"]
    if ended := outcome_rows(shown["outcomes"]):
        yield ""
        yield columns(ended)
        yield from more_outcomes(shown["outcomes"], str(shown["run"]))
    if attempts:
        yield ""
        rows = [(_place(attempt), _kind(attempt), str(attempt.get("key", ""))[:12]) for attempt in attempts]
        yield columns(rows)
        yield ""
        yield f"one exchange in full: runner show {shown['run']} '{_place(attempts[0])}'"


def _exchanges(shown: Mapping[str, Json]) -> Iterator[str]:
    ended = outcome_rows(shown["outcomes"])
    if not ended and not shown["attempts"]:
        raise NothingSelected(Problem("no-exchange", f"run {shown['run']} has no such exchange"))
    if ended:
        yield columns(ended)
        yield from more_outcomes(shown["outcomes"], str(shown["run"]))
    for index, attempt in enumerate(shown["attempts"]):
        if index or ended:
            yield ""
        yield f"{_place(attempt)}   {_kind(attempt)}"
        yield f"  key       {attempt.get('key', '')}"
        yield from _timing(attempt.get("meta"))
        yield from _cached(attempt)
        yield from _block("request", attempt.get("request"))
        if attempt.get("thoughts"):
            yield from _block("thoughts", attempt["thoughts"])
        yield from _block("answer", attempt.get("answer"))


def _timing(meta: Json) -> Iterator[str]:
    """When the text of a streamed answer began, and when it was whole."""
    match meta:
        case {"first_token_s": float() | int() as first, "seconds": float() | int() as whole}:
            yield f"  streamed  first text after {duration(first)}, whole after {duration(whole)}"


def _cached(attempt: Mapping[str, Json]) -> Iterator[str]:
    """How much of the question the provider had already, and what the answer cost for it."""
    match attempt.get("usage"):
        case {"cached_tokens": int() as cached, "input_tokens": int() as given} if cached:
            yield f"  cached    {cached:,} of {given:,} tokens, {money(attempt.get('cost_usd'))}"


def _block(label: str, value: Json) -> Iterator[str]:
    """A value under its label, indented, so that no line of it can pass for one of ours."""
    if value is None:
        yield f"  {label:<9} (not stored any more)"
        return
    yield f"  {label}"
    for line in _text(value).split("\n"):
        yield f"    {line}"


def _text(value: Json) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _place(attempt: Mapping[str, Json]) -> str:
    item = attempt.get("item")
    return f"{attempt['step']}[{item}]" if item else str(attempt["step"])


def _kind(attempt: Mapping[str, Json]) -> str:
    words = [str(attempt.get("source", ""))]
    words += [f"sample {attempt['sample']}"] if attempt.get("sample") else []
    words += [f"repair {attempt['repair']}"] if attempt.get("repair") else []
    words += [f"why {attempt['reason']}"] if attempt.get("reason") else []
    words += [str(attempt["failure"])] if attempt.get("failure") else []
    return "   ".join(words)
