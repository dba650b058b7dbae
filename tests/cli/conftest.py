"""A command line under test: a clean environment, an empty folder, and an app that is scripted."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import runner.app
from runner.app.cache_proving import Doubt, Proof
from runner.app.fixing import FixReport
from runner.app.types import CheckReport, RunOptions, RunResult
from runner.cli.live import LiveBlock
from runner.cli.main import main
from runner.core.answer import StoredAnswer
from runner.core.events import AttemptMade, Event, RunFinished, RunStarted, RunStatus, Settled, StepExpected
from runner.core.outcome import Attempt, Outcome, Source, Status
from runner.core.ports import EventSink
from runner.core.problem import Problem
from runner.core.response import Usage
from runner.record.summary import summarise, summary_to_json

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "RUNNER_QUIET", "RUNNER_VERBOSE", "RUNNER_COLOR",
             "RUNNER_NO_PROGRESS", "RUNNER_JSON", "RUNNER_DIR", "RUNNER_OFFLINE", "RUNNER_PARALLEL",
             "RUNNER_MAX_COST", "RUNNER_YES", "RUNNER_CONSENT_USD")  # fmt: skip


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@dataclass
class Said:
    """What a command line gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass
class FakeApp:
    """The app's functions, answering from what a test puts here; `error` is raised by whatever is called."""

    outputs: Any = field(default_factory=lambda: {"greeting": "Hello"})
    events: list[Event] = field(default_factory=list)
    exit_code: int = 0
    status: RunStatus = "done"
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    error: BaseException | None = None
    rows: Sequence[object] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)
    entries: Sequence[StoredAnswer] = ()
    damaged: Sequence[Doubt] = ()
    unproved: Sequence[str] = ()
    runs: Sequence[Mapping[str, Any]] = ()
    is_unfinished: bool = False
    attempts: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    options: RunOptions | None = None
    checked: list[Path] = field(default_factory=list)
    asked: tuple[object, ...] = ()
    repaired: int = 0
    diff: str = ""
    wrote: bool = False

    def _fail(self) -> None:
        if self.error:
            raise self.error

    def check(
        self,
        paths: Sequence[Path],
        *,
        models: Mapping[str, str] | None = None,
        folders: Sequence[Path] = (),
        is_strict: bool = False,
    ) -> CheckReport:
        self._fail()
        self.checked, self.asked = list(paths), (dict(models or {}),)
        return CheckReport(self.problems, self.sources, tuple(map(str, paths)), self.notes)

    def fix(
        self,
        paths: Sequence[Path],
        *,
        models: Mapping[str, str] | None = None,
        folders: Sequence[Path] = (),
        is_strict: bool = False,
        is_writing: bool = True,
    ) -> FixReport:
        self.wrote = is_writing
        return FixReport(self.check(paths, models=models), self.repaired, tuple(map(str, paths)), self.diff)

    def run(self, path: Path, options: RunOptions, sinks: Sequence[EventSink] = ()) -> RunResult:
        self.options = options
        events = [
            *(self.events or self.greeting()),
            RunFinished("r1", self.status, self.exit_code, 0.5, outputs=self.outputs),
        ]
        for event in events:
            for sink in sinks:
                sink(event)
        self._fail()
        return RunResult("r1", self.outputs, self.exit_code, summarise(events), (), self.problems, self.sources)

    def greeting(self, source: Source = Source.FRESH) -> list[Event]:
        attempt = Attempt("k" * 64, source, cost_usd=0.031)
        if source is Source.FRESH:
            attempt = Attempt("k" * 64, source, "new", usage=Usage(21, 9), cost_usd=0.0, seconds=0.4, requests=1)
        return [
            RunStarted("r1", "hello", "hello.yaml", {"greet": "local/smollm2-135m"}, "0.1.0"),
            StepExpected("greet", 1, "local/smollm2-135m"),
            AttemptMade("greet", "", attempt),
            Settled(Outcome("greet", "", Status.GOOD, self.outputs, attempts=(attempt,))),
        ]

    def models(self) -> Sequence[object]:
        self._fail()
        return self.rows

    def pull_weights(self, name: str, progress: Callable[[str], None]) -> Path:
        self._fail()
        progress(f"fetching {name}")
        return Path("weights") / "model.gguf"

    def cache_stats(self, root: Path) -> Mapping[str, Any]:
        self._fail()
        return self.stats

    def cache_entries(self, root: Path) -> Iterator[StoredAnswer]:
        self._fail()
        return iter(self.entries)

    def cache_verify(self, root: Path, workflows: Sequence[Path], found: Sequence[Path]) -> Proof:
        self._fail()
        return Proof(tuple(self.damaged), tuple(self.unproved))

    def show(self, root: Path, run: str | None, step: str | None, item: str | None) -> dict[str, Any]:
        self._fail()
        self.asked = (run, step, item)
        summary = summarise([*self.greeting(), RunFinished("r1", "done", 0, 0.5)])
        unfinished = {"run": "r1", "status": "unfinished"}
        document = unfinished if self.is_unfinished else summary_to_json(summary)
        return {"run": run or "r1", "summary": document, "attempts": self.attempts, "outcomes": self.outcomes}

    def list_runs(self, root: Path) -> Sequence[Mapping[str, Any]]:
        self._fail()
        return self.runs

    def find_project_root(self, start: Path) -> Path:
        return start


@pytest.fixture(autouse=True)
def quiet_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    # However slow the machine is, the live block stays away from tests that are not about it.
    monkeypatch.setattr("runner.cli.story.LiveBlock", partial(LiveBlock, first_after_s=600))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> FakeApp:
    fake = FakeApp()
    module = ModuleType("runner.app.api")
    for name in ("check", "fix", "run", "models", "pull_weights", "cache_stats", "cache_entries", "cache_verify", "show",
                 "list_runs", "find_project_root"):  # fmt: skip
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "runner.app.api", module)
    monkeypatch.setattr(runner.app, "api", module, raising=False)
    return fake


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*words: str) -> Said:
        code = main(words)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The same with both streams a terminal."""

    def call(*words: str) -> Said:
        out, err = Terminal(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        code = main(words)
        return Said(code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def terminal() -> Callable[[], io.StringIO]:
    return Terminal
