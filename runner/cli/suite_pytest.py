"""Suites on pytest, told in our words: pytest collects, selects and orders; what is printed is ours."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.app.api import find_project_root
from runner.app.types import RunOptions
from runner.cli import exit_codes, files
from runner.cli.console import Console
from runner.cli.repository import in_repository
from runner.core.canonical import Json
from runner.core.errors import CallNeeded, RunnerError, UsageError
from runner.core.ports import EventSink
from runner.core.problem import Problem
from runner.pytest_plugin.items import (
    COUNTS_TOGETHER,
    OPTIONS,
    SINKS,
    CaseItem,
    SuiteFile,
    ThresholdsItem,
    unknown_case,
)
from runner.report.annotations import annotation_lines
from runner.report.format import count
from runner.suites.telling import brief
from runner.suites.totals import CellTotal, numbers_of, worth_their_cost
from runner.suites.verdict import Kind

CODES = {
    Kind.FAILED: exit_codes.BAD_ANSWER,
    Kind.MISSING: exit_codes.CALL_NEEDED,
    Kind.TROUBLE: exit_codes.PROVIDER,
    Kind.BUDGET: exit_codes.BUDGET,
}
ORDER = (
    exit_codes.DEFECT,
    exit_codes.INTERRUPTED,
    exit_codes.USAGE,
    exit_codes.CALL_NEEDED,
    exit_codes.PROVIDER,
    exit_codes.BUDGET,
    exit_codes.BAD_ANSWER,
    exit_codes.NOTHING,
)
CACHE_FOLDER = ".runner/pytest"
SUMMARY_FILE = "GITHUB_STEP_SUMMARY"
NewSinks = Callable[[], Sequence[EventSink]]
"""Who is told what happens in one more suite."""


def run_suites(targets: list[str], args: Namespace, options: RunOptions, console: Console, sinks: NewSinks) -> int:
    """The exit code. No file of the project but the suites is taken: no conftest, no settings, no other plugin."""
    words = [
        *("-c", os.devnull, f"--rootdir={Path.cwd()}", f"--confcutdir={Path.cwd()}"),
        *("--noconftest", "--disable-plugin-autoload"),
        *("-p", "no:terminal", "-p", "no:logging", "-p", "no:warnings", "-p", "no:unraisableexception"),
        *("-p", "no:threadexception", "-p", "no:faulthandler", "-p", "no:doctest"),
        *("--assert=plain", "--capture=no", "-o", f"cache_dir={CACHE_FOLDER}", "-p", "runner.pytest_plugin"),
    ]
    words += ["-k", args.fits] if args.fits else []
    words += ["-x"] if args.stops else []
    words += ["--last-failed"] if args.last_failed else []
    words += [f"--junitxml={args.output}"] if args.output else []
    words += ["--collect-only"] if args.is_list else []
    story = SuiteStory(console, options, targets, sinks, is_list=args.is_list, is_jsonl=args.jsonl)
    suites = dict.fromkeys(target.partition("::")[0] for target in targets)
    story.pytest_code = int(pytest.main([*words, *suites], plugins=[story]))
    return story.close()


def _is_of(item: pytest.Item, case: str) -> bool:
    return item.name == case or item.name.startswith(f"{case}[")


class SuiteStory:
    """A pytest plugin that tells what happens, and knows the exit code in the end."""

    def __init__(
        self,
        console: Console,
        options: RunOptions,
        targets: Sequence[str],
        sinks: NewSinks,
        *,
        is_list: bool,
        is_jsonl: bool,
    ) -> None:
        self._sinks = sinks
        self._console = console
        self._options = options
        self._is_misnamed = False
        self._cases: dict[str, list[str]] = defaultdict(list)
        for file, _, case in (target.partition("::") for target in targets):
            self._cases[file].append(case)
        self._is_list = is_list
        self._is_jsonl = is_jsonl
        self._codes: set[int] = set()
        self._errors: list[RunnerError] = []
        self._counts: dict[str, int] = {}
        self._failed: list[tuple[str, str, str]] = []
        self._problems: list[Problem] = []
        self._line: tuple[str, str] = ("", "")
        self._items: dict[str, pytest.Item] = {}
        self._suites: list[SuiteFile] = []
        self.pytest_code = 0

    # What pytest asks

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[OPTIONS] = self._options
        config.stash[SINKS] = self._sinks

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector:
        """A folder is a folder: nothing in it is imported."""
        made: pytest.Collector = pytest.Dir.from_parent(parent, path=path)
        return made

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._codes.add(exit_codes.DEFECT)  # unless it is told as one of ours

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Any:
        report = yield
        error = getattr(collector, "error", None)
        if report.failed and isinstance(error, RunnerError):
            self._tell_error(error)
            report.outcome = "passed"
            report.result = []
        elif isinstance(collector, SuiteFile):
            report.result = self._wanted(collector, report.result)
        return report

    def _wanted(self, suite: SuiteFile, items: list[pytest.Item]) -> list[pytest.Item]:
        """The cases of a suite that are named, each in all of its cells; all where the file is."""
        cases = self._cases[str(suite.path)]
        if "" in cases:
            return items
        for case in cases:
            if not any(_is_of(item, case) for item in items):
                names = [item.name for item in items]
                fix = f"runner test {suite.nodeid} --list"
                self._tell_error(UsageError(unknown_case(suite.nodeid, case, names, fix)))
                self._is_misnamed = True
        return [item for item in items if any(_is_of(item, case) for case in cases)]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._is_misnamed:
            items.clear()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._items = {item.nodeid: item for item in session.items}
        if self._is_list:
            self._console.report("\n".join(self._items))

    def pytest_keyboard_interrupt(self) -> None:
        self._codes.add(exit_codes.INTERRUPTED)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._note(report)
        elif report.failed:
            self._codes.add(exit_codes.DEFECT)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        found = (item.parent for item in session.items)
        self._suites = list(dict.fromkeys(one for one in found if isinstance(one, SuiteFile)))
        for file in self._suites:
            moved = file.suite.moved
            if moved:
                self._tell_error(CallNeeded(moved, file.suite.suite.sources))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, RunnerError):
            report.refusal = error
        elif error is not None and report.failed and not isinstance(item, CaseItem | ThresholdsItem):
            self._codes.add(exit_codes.DEFECT)
        return report

    # Telling

    def _tell_error(self, error: RunnerError) -> None:
        self._codes.add(error.exit_code)
        if error not in self._errors:
            self._errors.append(error)
            self._console.problems(error.problems, error.sources)
            self._problems += error.problems

    def _note(self, report: pytest.TestReport) -> None:
        item = self._items[report.nodeid]
        refusal = getattr(report, "refusal", None)
        word = self._word(report)
        self._counts[word] = self._counts.get(word, 0) + 1
        self._mark(
            report.nodeid.partition("::")[0],
            {"passed": ".", "known to fail": "x", "fixed": "X", "not as expected": "f"}.get(word, "F"),
        )
        if isinstance(refusal, RunnerError):
            self._tell_error(refusal)
        elif report.failed:
            self._failed.append((report.nodeid, str(report.longrepr), self._brief(item)))
            self._codes.add(self._code(item))

    @staticmethod
    def _word(report: pytest.TestReport) -> str:
        is_expected = hasattr(report, "wasxfail")
        if report.passed:
            return "fixed" if is_expected else "passed"
        if report.skipped and is_expected:
            return "not as expected" if COUNTS_TOGETHER in str(report.wasxfail) else "known to fail"
        return "failed"

    @staticmethod
    def _kind(item: pytest.Item) -> Kind | None:
        if isinstance(item, CaseItem):
            return item.verdict.kind if item.verdict is not None else None
        return item.totals.kind if isinstance(item, ThresholdsItem) and item.totals is not None else None

    def _code(self, item: pytest.Item) -> int:
        kind = self._kind(item)
        if kind is None:
            return exit_codes.DEFECT
        return CODES.get(kind, exit_codes.BAD_ANSWER)

    @staticmethod
    def _brief(item: pytest.Item) -> str:
        if isinstance(item, CaseItem) and item.verdict is not None:
            return brief(item.verdict)
        if isinstance(item, ThresholdsItem) and item.totals is not None:
            first, *others = item.totals.findings
            return f"{first.brief} (and {len(others)} more)" if others else first.brief
        return ""

    def _mark(self, file: str, sign: str) -> None:
        """One line of signs for each file, told when the file is done."""
        before, signs = self._line
        if before != file:
            self._flush()
            signs = ""
        self._line = (file, signs + sign)

    def _flush(self) -> None:
        file, signs = self._line
        if file:
            self._console.story(f"{file}  {signs}")
        self._line = ("", "")

    # The end

    def close(self) -> int:
        """Tell what failed and what it took; the exit code."""
        self._flush()
        code = self._exit_code()
        if self._is_list:
            return code
        suites = self._suites
        if self._console.look.is_json:
            self._console.result(self._document(code))
        elif self._is_jsonl:
            self._console.story("\n".join(self._report()))
        else:
            self._console.report("\n".join(self._report()))
        for suite in suites:
            self._console.problems(suite.suite.trouble, {})
            if suite.suite.recorded:
                self._console.story(f"recorded: {suite.suite.recorded}")
            for note in suite.suite.notes:
                self._console.story(f"lock: {note}")
        if self._console.is_ci and self._annotated():
            self._console.commands(annotation_lines(self._annotated()))
        closing = self._closing(suites, code)
        self._console.story(closing)
        self._write_summary(closing)
        return code

    def _write_summary(self, closing: str) -> None:
        """A page for the service that runs this, where it says into which file."""
        path = self._console.environ.get(SUMMARY_FILE, "")
        if not path:
            return
        from runner.report.step_summary import Failed, step_summary

        failed = [Failed(node, told, text) for node, text, told in self._failed]
        failed += [Failed(problem.code, problem.message, str(problem.span or "")) for problem in self._problems]
        files.add_to(
            Path(path), self._console.redacted(step_summary("runner test", closing, failed, self._cells())) + "\n"
        )

    def _cells(self) -> list[list[str]]:
        """A line for each cell: its numbers, and what it cost."""
        rows: list[list[str]] = []
        for item in self._items.values():
            if isinstance(item, ThresholdsItem) and item.totals is not None:
                for cell in item.totals.cells:
                    usd = "?" if cell.usd is None else f"{cell.usd:.6f}"
                    numbers = ", ".join(f"{name} {metric}" for name, metric in cell.metrics.items())
                    rows.append(
                        [item.parent.nodeid, cell.cell or "-", str(cell.passed), numbers, usd, str(cell.tokens)]
                    )
        return [["suite", "cell", "passed", "metrics", "USD", "tokens"], *rows] if rows else []

    def _exit_code(self) -> int:
        if exit_codes.INTERRUPTED in self._codes or (
            self.pytest_code == pytest.ExitCode.INTERRUPTED and not self._codes
        ):
            return exit_codes.INTERRUPTED
        if self.pytest_code == pytest.ExitCode.INTERNAL_ERROR:
            return exit_codes.DEFECT
        if self.pytest_code == pytest.ExitCode.USAGE_ERROR:
            return exit_codes.USAGE
        if not self._items and not self._codes:
            return exit_codes.NOTHING
        return next((code for code in ORDER if code in self._codes), exit_codes.DONE)

    def _report(self) -> Iterator[str]:
        for node, text, _ in self._failed:
            yield f"──── {node} {'─' * max(4, 76 - len(node))}"
            yield f"{text}\n"
        yield from self._tables()
        for node, _, told in self._failed:
            yield f"FAILED {node}  {told}"

    def _tables(self) -> Iterator[str]:
        """Rates and metrics, cell by cell."""
        for item in self._items.values():
            if not isinstance(item, ThresholdsItem) or item.totals is None:
                continue
            for cell in item.totals.cells:
                name = f" [{cell.cell}]" if cell.cell else ""
                yield f"{item.parent.nodeid}{name}"
                yield f"  pass_rate  {cell.passed}"
                if cell.pass_at:
                    yield f"  pass_at    {', '.join(f'{k}: {value:.2f}' for k, value in cell.pass_at.items())}"
                for metric in cell.metrics.values():
                    yield f"  {metric.name}  {metric}"
                    for score in metric.labels:
                        yield (
                            f"    {score.label}: precision {score.precision:.2f}, recall {score.recall:.2f}, "
                            f"f1 {score.f1:.2f}, {count(score.support, 'case')}"
                        )
                    for wanted, row in metric.table.items():
                        given = ", ".join(f"{label} {number}" for label, number in row.items() if number)
                        yield f"    {wanted} → {given or 'nothing'}"
            yield from cost_table(item.totals.cells)
            yield ""

    def _annotated(self) -> list[Problem]:
        bases = {find_project_root(item.path) for item in self._items.values()}
        base = bases.pop() if len(bases) == 1 else find_project_root(Path.cwd())
        found = in_repository(self._problems, base, self._console.environ)
        for item in self._items.values():
            if isinstance(item, CaseItem) and item.verdict is not None and not item.verdict.is_good:
                findings = item.verdict.findings if not item.unit.case.xfail else ()
                told = [Problem(item.name, finding.brief, finding.span) for finding in findings]
                found += in_repository(told, find_project_root(item.path), self._console.environ)
        return found

    def _closing(self, suites: list[SuiteFile], code: int) -> str:
        parts = [f"{number} {word}" for word, number in self._counts.items()]
        if not parts:
            return f"nothing was run · exit {code}"
        left = len(self._items) - sum(self._counts.values())
        parts = [", ".join(parts), *([f"interrupted, {left} not run"] if exit_codes.INTERRUPTED in self._codes else [])]
        if self._failed:
            rates = [told for node, _, told in self._failed if node.endswith("::thresholds")]
            parts += rates
        calls = cached = 0
        usd: float | None = 0.0
        for suite in suites:
            calls_of, cached_of, usd_of = _taken(suite)
            calls += calls_of
            cached += cached_of
            usd = None if usd is None or usd_of is None else usd + usd_of
        money = "$?" if usd is None else f"${usd:.4f}" if usd else "$0.00"
        parts.append(f"{count(calls, 'call')}, {cached} cached, {money}")
        found = {run for suite in suites for run in (suite.suite.run, *suite.runs) if run}
        runs = sorted(found, key=lambda run: (len(run), run))
        parts += [f"run {', '.join(runs)}"] if runs else []
        return " · ".join([*parts, f"exit {code}"])

    def _document(self, code: int) -> dict[str, Json]:
        from runner.report.documents import FORMAT, problem_documents

        cases = []
        for node, item in self._items.items():
            if not isinstance(item, CaseItem) or item.verdict is None:
                continue
            verdict = item.verdict
            cases.append(
                {
                    "id": node,
                    "verdict": str(verdict.kind),
                    "xfail": item.unit.case.xfail,
                    "findings": [
                        {
                            "title": finding.title,
                            "details": list(finding.details),
                            "file": finding.span.file,
                            "line": finding.span.line,
                            "step": finding.step,
                        }
                        for finding in verdict.findings
                    ],
                    "cost_usd": verdict.taken.cost_usd,
                    "tokens": verdict.taken.tokens,
                    "calls": verdict.taken.calls,
                    "cached": verdict.taken.cached,
                    "models": list(verdict.taken.models),
                }
            )
        return {
            "format": FORMAT,
            "exit_code": code,
            "cases": cases,
            "cells": [
                {
                    "suite": item.parent.nodeid,
                    "cell": cell.cell,
                    "measures": _measures(cell),
                }
                for item in self._items.values()
                if isinstance(item, ThresholdsItem) and item.totals is not None
                for cell in item.totals.cells
            ],
            "problems": problem_documents(self._problems),
        }


def _taken(suite: SuiteFile) -> tuple[int, int, float | None]:
    """Calls, stored answers and US dollars of a suite: as recorded here or, where others replayed it, as they say."""
    if suite.runs:
        taken = suite.suite.taken
        return taken.calls, taken.cached, taken.spent_usd
    summary = suite.suite.summary
    return summary.calls, summary.cached + summary.recorded, summary.cost_usd


def cost_table(cells: Sequence[CellTotal]) -> Iterator[str]:
    """Cost against passes where there are several cells; `*` is a cell that no other one beats."""
    if len(cells) < 2:
        return
    best = worth_their_cost(cells)
    width = max(len(cell.cell) for cell in cells)
    yield f"  {'cell':<{width}}  passed  usd a case  tokens a case"
    for cell in sorted(cells, key=lambda cell: (cell.usd_per_case is None, cell.usd_per_case or 0.0)):
        usd = "?" if cell.usd_per_case is None else f"{cell.usd_per_case:.6f}"
        tokens = round(cell.tokens / cell.passed.total)
        mark = " *" if cell.cell in best else ""
        yield f"  {cell.cell:<{width}}  {cell.passed.value:>6.2f}  {usd:>10}  {tokens:>13}{mark}"
    yield "  * no other cell passes as often for less"


def _measures(cell: CellTotal) -> dict[str, Json]:
    """The numbers of a cell by name; a later suite may be compared with them."""
    rates = {"pass_rate": cell.passed} | {name: one.rate for name, one in cell.metrics.items() if one.rate is not None}
    found: dict[str, Json] = {}
    for name, value in numbers_of(cell).items():
        found[name] = {"value": value}
        if name in rates:
            rate = rates[name]
            found[name] |= {"hits": rate.hits, "total": rate.total, "interval": list(rate.interval)}
    return found
