"""`runner show`: a run, a step, one exchange."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.cli import exit_codes
from runner.cli.console import Console, columns
from runner.core.canonical import Json
from runner.core.errors import NothingSelected, UsageError
from runner.core.problem import Problem
from runner.record.folders import list_runs
from runner.record.summary import RunSummary, read_summary, summary_from_json, summary_to_json
from runner.report.format import count, duration, money
from runner.report.text import closing_line, name_width, step_line

RUNS = Path(".runner") / "runs"
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
        return _list(root / RUNS, console)
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


def _list(runs: Path, console: Console) -> int:
    names = list_runs(runs)
    if console.look.is_json:
        documents = [_summary_document(run_name, _summary(runs / run_name)) for run_name in names]
        console.result({"format": 1, "runs": documents})
        return exit_codes.DONE
    if not names:
        raise NothingSelected(Problem("no-run", "there is no run yet", fix="runner run FLOW"))
    console.report(columns([_row(run_name, _summary(runs / run_name)) for run_name in names]))
    return exit_codes.DONE


def _summary(folder: Path) -> RunSummary | None:
    try:
        return read_summary(folder)
    except ValueError:
        return None


def _summary_document(run: str, summary: RunSummary | None) -> Json:
    return summary_to_json(summary) if summary else {"run": run, "status": "unfinished"}


def _row(run: str, summary: RunSummary | None) -> tuple[str, ...]:
    if summary is None:
        return (run, "?", "unfinished", "", "", "", "")
    calls, cached = count(summary.calls, "call"), f"{summary.cached + summary.recorded:,} stored"
    cost, seconds = money(summary.cost_usd), duration(summary.seconds)
    return (run, summary.workflow, summary.status, calls, cached, cost, seconds)


def _print_each(shown: Mapping[str, Json], wanted: str, console: Console) -> int:
    """One JSON document per exchange, each on a line of its own where nobody reads along."""
    attempts = shown["attempts"]
    if not attempts:
        raise NothingSelected(Problem("no-exchange", f"run {shown['run']} has no such exchange"))
    for attempt in attempts:
        console.result(attempt.get(wanted))
    return exit_codes.DONE


def _overview(shown: Mapping[str, Json]) -> Iterator[str]:
    summary = summary_from_json(shown["summary"])
    yield f"{summary.workflow}   {summary.status}"
    width = name_width([step.step for step in summary.steps])
    for step in summary.steps:
        yield step_line(step, width)
    yield closing_line(summary)
    attempts = shown["attempts"]
    if attempts:
        yield ""
        rows = [(_place(attempt), _kind(attempt), str(attempt.get("key", ""))[:12]) for attempt in attempts]
        yield columns(rows)
        yield ""
        yield f"one exchange in full: runner show {shown['run']} '{_place(attempts[0])}'"


def _exchanges(shown: Mapping[str, Json]) -> Iterator[str]:
    attempts = shown["attempts"]
    if not attempts:
        raise NothingSelected(Problem("no-exchange", f"run {shown['run']} has no such exchange"))
    for index, attempt in enumerate(attempts):
        if index:
            yield ""
        yield f"{_place(attempt)}   {_kind(attempt)}"
        yield f"  key       {attempt.get('key', '')}"
        yield from _block("request", attempt.get("request"))
        yield from _block("answer", attempt.get("answer"))


def _block(label: str, value: Json) -> Iterator[str]:
    """A value under its label, indented, so that no line of it can pass for one of ours."""
    if value is None:
        yield f"  {label:<9} (not stored any more)"
        return
    yield f"  {label}"
    for line in _text(value).splitlines():
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
