"""A suite file as pytest sees it: an item for each case, cell and sample, and one for the thresholds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.app.suite_session import SuiteSession
from runner.app.types import RunOptions
from runner.core.budget import Limit
from runner.core.errors import RunnerError
from runner.core.harmless import safe
from runner.core.ports import EventSink
from runner.core.problem import Problem, nearest, render_all
from runner.pytest_plugin import FOLDER
from runner.pytest_plugin.replaying import Replayers, processes_for
from runner.pytest_plugin.sharing import counted, hear
from runner.suites.cases import THRESHOLDS, Unit
from runner.suites.telling import brief, told, told_of_thresholds
from runner.suites.totals import Totals, counts_together
from runner.suites.verdict import Kind, Taken, Verdict

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

OPTIONS = pytest.StashKey[RunOptions]()
"""What `runner test` was asked for; plain pytest goes by its own options."""

SINKS = pytest.StashKey[Callable[[], Sequence[EventSink]]]()
"""Who else is told what happens, asked once for each suite."""

COUNTS_TOGETHER = "counts towards the thresholds"
_YES = ("1", "yes", "true", "on")


def harmless(text: str) -> str:
    """Answers are shown by whatever runs pytest: a terminal, the log of a CI job, a reader of JUnit."""
    return safe(text, is_ci=os.environ.get("GITHUB_ACTIONS") == "true")


class CaseFailed(Exception):
    """What came out is not what was expected."""


class NoVerdict(Exception):
    """Nothing can be said of a case, since answers are missing."""


def options_of(config: pytest.Config) -> RunOptions:
    """What may be done for the suites of this session. Plain pytest is cached-only."""
    given = config.stash.get(OPTIONS, None)
    if given is not None:
        return given
    is_live = bool(config.getoption("--live"))
    amount = os.environ.get("RUNNER_MAX_COST", "")
    try:
        limit = Limit(float(amount), "RUNNER_MAX_COST") if amount else None
    except ValueError:
        raise pytest.UsageError(f"RUNNER_MAX_COST is '{amount}', not US dollars such as 5 or 0.5") from None
    return RunOptions(
        is_offline=not is_live, max_cost=limit, has_consent=os.environ.get("RUNNER_YES", "").lower() in _YES
    )


def unknown_case(suite: str, case: str, known: Iterable[str], fix: str) -> Problem:
    return Problem("unknown-case", f"{suite} has no case '{case}'", nearest=nearest(case, list(known)), fix=fix)


class SuiteFile(pytest.File):
    """One suite. It is started by its first item, for all items of it that were selected, and ended by its last."""

    suite: SuiteSession

    def collect(self) -> Iterator[pytest.Item]:
        try:
            self.suite = SuiteSession(self.path, options_of(self.config), self.config.stash.get(SINKS, tuple)())
        except RunnerError as error:
            self.error = error
            raise self.CollectError(render_all(error.problems, error.sources)) from None
        self._is_started = False
        self._refusal: RunnerError | None = None
        for unit in self.suite.units.values():
            item: CaseItem = CaseItem.from_parent(self, name=unit.id, unit=unit)
            self._mark(item, unit)
            yield item
        suite = self.suite.suite.suite
        if suite.thresholds or suite.metrics or suite.compare:
            thresholds: ThresholdsItem = ThresholdsItem.from_parent(self, name=THRESHOLDS)
            yield thresholds

        self.runs: dict[str, None] = {}

    error: RunnerError | None = None
    """Why the file could not be collected."""

    def unknown(self, case: str) -> str:
        """What is said of a case that the suite does not have, or of one that cannot be known."""
        if self.error is not None:
            return render_all(self.error.problems, self.error.sources)
        return render_all(
            [unknown_case(self.nodeid, case, self.suite.units, f"pytest {self.nodeid} --collect-only")], {}
        )

    def _mark(self, item: CaseItem, unit: Unit) -> None:
        for tag in unit.case.tags:
            item.extra_keyword_matches.add(tag)
            if tag.isidentifier() and not tag.startswith("_"):
                self.config.addinivalue_line("markers", f"{tag}: a tag of a suite")
                item.add_marker(tag)
        if unit.case.xfail:
            item.add_marker(pytest.mark.xfail(reason=unit.case.xfail, raises=CaseFailed))

    @property
    def selected(self) -> list[pytest.Item]:
        return [item for item in self.session.items if item.parent is self]

    @property
    def counted(self) -> list[str]:
        """The cases that count: those that were selected, all where only the thresholds were."""
        return counted([item.name for item in self.selected], self.suite.units)

    @property
    def shown(self) -> str:
        """The file as its node is called."""
        return self.nodeid

    def verdict(self, name: str) -> tuple[Verdict, str]:
        """What came of a case, and the run that holds it. A worker that does not ask hears it."""
        folder = getattr(self.config, "workerinput", {}).get(FOLDER)
        if folder is None and self._replayers is not None:
            return self._replayed(name, self._replayers)
        if folder is None:
            self._begin()
            return self.suite.verdict(name), self.suite.run
        heard = hear(Path(folder), f"{self.nodeid}::{name}")
        if heard.verdict is None:
            raise NoVerdict(heard.refusal)
        self.suite.hear(heard.verdict)
        return heard.verdict, heard.run

    def _replayed(self, name: str, replayers: Replayers) -> tuple[Verdict, str]:
        replayed = replayers.hear(name)
        if replayed.verdict is None:
            raise NoVerdict(replayed.refusal)
        self.suite.hear(replayed.verdict)
        self.runs[replayed.run] = None
        return replayed.verdict, replayed.run

    @cached_property
    def _replayers(self) -> Replayers | None:
        """Other processes, where the cases are many enough and nothing is to be asked."""
        options, names = self.suite.options, self.counted
        return Replayers(self.path, options, names) if processes_for(options, len(names)) > 1 else None

    def _begin(self) -> None:
        """Start asking, once. What keeps calls from being made is told of every case."""
        if self._refusal is not None:
            raise self._refusal
        if not self._is_started:
            self._is_started = True
            try:
                self.suite.start(self.counted)
            except RunnerError as error:
                self._refusal = error
                raise

    def teardown(self) -> None:
        replayers = self.__dict__.get("_replayers")
        if replayers is not None:
            replayers.close()
        cases = [item for item in self.selected if isinstance(item, CaseItem)]
        is_whole = len(cases) == len(self.suite.units) and all(
            item.verdict is not None and item.verdict.kind in (Kind.PASSED, Kind.FAILED) for item in cases
        )
        self.suite.finish(is_whole=is_whole)


class SuiteItem(pytest.Item):
    """What cases and thresholds have in common."""

    parent: SuiteFile

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> str | TerminalRepr:
        error = excinfo.value
        if isinstance(error, CaseFailed | NoVerdict):
            return harmless(str(error))
        if isinstance(error, RunnerError):
            return harmless(render_all(error.problems, {**self.parent.suite.suite.sources, **error.sources}))
        return super().repr_failure(excinfo, *args, **kwargs)

    def _tell(self, taken: Taken) -> None:
        """For JUnit: what the answers took."""
        cost = "unknown" if taken.cost_usd is None else f"{taken.cost_usd:.6f}"
        self.user_properties += [
            ("cost_usd", cost),
            ("tokens", taken.tokens),
            ("calls", taken.calls),
            ("cached", taken.cached),
            ("model", harmless(", ".join(taken.models))),
        ]


class CaseItem(SuiteItem):
    def __init__(self, *, unit: Unit, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unit = unit
        self.verdict: Verdict | None = None

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.unit.case.span.line - 1, self.name

    def runtest(self) -> None:
        file = self.parent
        verdict, run = file.verdict(self.name)
        self.verdict = verdict
        self._tell(verdict.taken)
        if verdict.is_good:
            return
        if verdict.kind is Kind.FAILED:
            if counts_together(file.suite.suite.suite) and not self.unit.case.xfail:
                pytest.xfail(harmless(f"{COUNTS_TOGETHER}: {brief(verdict)}"))
            raise CaseFailed(self._told(verdict, run))
        raise NoVerdict(self._told(verdict, run))

    def _told(self, verdict: Verdict, run: str) -> str:
        suite = self.parent.suite.suite
        steps = {name: step.span for name, step in suite.variants[self.unit.cell.name].linked.workflow.steps.items()}
        return told(verdict, self.unit, self.parent.shown, steps, run)


class ThresholdsItem(SuiteItem):
    """All cases that were selected, together."""

    totals: Totals | None = None

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name

    def runtest(self) -> None:
        file = self.parent
        names = file.counted
        for name in names:
            file.verdict(name)
        totals = self.totals = file.suite.totals(names)
        for cell in totals.cells:
            prefix = f"{cell.cell}: " if cell.cell else ""
            self.user_properties.append((f"{prefix}pass_rate", str(cell.passed)))
            self.user_properties += [(f"{prefix}{name}", str(metric)) for name, metric in cell.metrics.items()]
        if totals.kind is Kind.PASSED:
            return
        told_now = told_of_thresholds(totals.findings)
        raise (CaseFailed if totals.kind is Kind.FAILED else NoVerdict)(told_now)
