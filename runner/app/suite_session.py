"""One run of a suite: stored answers at once, the rest asked by one background thread, a verdict for each case."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.drive import KEPT_FAILURES, Drive, DriveSettings
from runner.app.explaining import RUNS, Explainer
from runner.app.keeping import Recorder, recordings_of
from runner.app.locking import VersionWatch
from runner.app.looking import LOCAL_CACHE
from runner.app.suite_comparing import worse_cells
from runner.app.suite_locking import ensure_suite_locked, moved_models, step_in_cell, update_suite_lock
from runner.app.suite_passes import Made, answer_of, made_of, read_passes, since, write_passes
from runner.app.suite_settings import settings_of
from runner.app.suite_snapshots import read_snapshots, write_snapshots
from runner.app.suite_units import PreparedSuite, prepare_suite
from runner.app.suite_vectors import written_of
from runner.app.types import RunOptions
from runner.core.errors import RunnerError, StorageError
from runner.core.events import AttemptMade, Event, Noted, Retrying, RunFinished, RunStarted, Settled
from runner.core.frozen import dataclass, replace
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import EventSink
from runner.core.problem import Problem
from runner.core.version import VERSION
from runner.plan.advance import Ask
from runner.plan.stages import RunState
from runner.record.folders import new_run_folder
from runner.record.journal import Journal
from runner.record.summary import RunSummary, Summariser, write_summary
from runner.store.layers import LayeredAnswers
from runner.store.local import LocalStore
from runner.store.memory import MemoryStore
from runner.suites.cases import Unit
from runner.suites.judge import Ran, judge
from runner.suites.totals import Totals, totals_of
from runner.suites.verdict import Finding, Kind, StepAttempt, Taken, Verdict, sum_of

if TYPE_CHECKING:
    from runner.app.suite_asking import Asking


@dataclass(slots=True)
class Walk:
    """One case on its way. `refused` says why it cannot be run at all."""

    unit: Unit
    drive: Drive | None = None
    attempts: list[StepAttempt] = field(default_factory=list)
    asked: list[AttemptMade] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)
    refused: tuple[Problem, ...] = ()
    is_started: bool = False
    is_done: bool = False
    settled: threading.Event = field(default_factory=threading.Event)
    """Set when nobody needs to wait for it any longer: it is done, or will not be."""

    def end(self) -> None:
        self.is_done = True
        self.settled.set()


class SuiteSession:
    """A suite from its file to its verdicts.

    With `is_offline` every case is walked when its verdict is asked for, from stored answers alone. Else `start` walks
    what is stored and asks the rest in the order of the cases; `verdict` waits for the case that it is asked for.
    `finish` ends the record, and writes recordings if that was asked for.
    """

    def __init__(self, path: Path, options: RunOptions, sinks: Sequence[EventSink] = ()) -> None:
        self.suite: PreparedSuite = prepare_suite(path, options)
        self.options = options
        self.versions = VersionWatch(ensure_suite_locked(self.suite, options))
        self.notes: list[str] = []
        """What was written beside the record, a sentence each."""
        self._answered: dict[str, dict[str, None]] = {}
        self._passed: dict[str, Made] = {}
        self.units: Mapping[str, Unit] = {unit.id: unit for unit in self.suite.units}
        self.run = ""
        self.trouble: list[Problem] = []
        """What could not be kept or written."""
        self.recorded = ""
        self._sinks = tuple(sinks)
        self._walks: dict[str, Walk] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._lock = threading.RLock()
        self._asking: Asking | None = None
        self._open_at: float | None = None
        self._is_finished = False

    # The record

    def _open(self) -> None:
        """Store and record, made when the first case is walked."""
        if self._open_at is not None:
            return
        root, suite = self.suite.project.files.root, self.suite
        self._snapshots = read_snapshots(root, suite.place)
        self._open_at = time.monotonic()
        self.store = LocalStore(root / LOCAL_CACHE) if self.options.use_cache else MemoryStore()
        try:
            self.run, self._folder = new_run_folder(root / RUNS)
            self._journal: Journal | None = Journal(self._folder)
        except BaseException:
            self.store.close()
            raise
        self.summariser = Summariser()
        self.recorder = Recorder(suite.place, is_recording=self.options.is_recording)
        self.recordings = recordings_of(root)
        kept = self.recordings if self.options.use_cache else None
        self.answers = LayeredAnswers(kept, self.store, self._warn)
        self.received = LayeredAnswers(None, self.store, self._warn)
        self.explainer = Explainer(root, suite.workflow, suite.programs, self.recordings, self.answers)
        steps = {name: step.route.name for cell in suite.steps.values() for name, step in cell.items()}
        self._emit(RunStarted(self.run, suite.place, suite.suite.file, steps, VERSION))

    def _warn(self, sentence: str) -> None:
        self._emit(Noted("damaged", sentence))

    def _emit(self, event: Event) -> None:
        with self._lock:
            if self._journal is not None:
                try:
                    self._journal(event)
                except StorageError as error:
                    self._lose_journal(error)
            sinks: tuple[EventSink, ...] = (self.summariser, self.recorder, *self._sinks)
            for sink in sinks:
                sink(event)

    def _lose_journal(self, error: StorageError) -> None:
        """A full disk ends the record, not the run."""
        self.trouble += error.problems
        self._journal = None

    def told_by(self, walk: Walk) -> EventSink:
        """What happens in a case, under the name of the case."""

        def emit(event: Event) -> None:
            match event:
                case AttemptMade():
                    walk.attempts.append(StepAttempt(event.step, event.attempt))
                    walk.asked.append(event)
                    self._note_version(walk.unit, event)
                    self._emit(replace(event, item=_placed(walk.unit, event.item)))
                case Settled():
                    place, said = answer_of(event.outcome)
                    walk.answered[place] = said
                    outcome = replace(event.outcome, item=_placed(walk.unit, event.outcome.item))
                    self._emit(Settled(outcome))
                case Retrying():
                    self._emit(replace(event, item=_placed(walk.unit, event.item)))
                case Noted():
                    self._emit(Noted(event.code, f"{walk.unit.id}: {event.message}"))
                case _:  # how many items a step has says nothing about all cases together
                    pass

        return emit

    def _note_version(self, unit: Unit, event: AttemptMade) -> None:
        """Who answered a step of a cell: for the lock."""
        name = step_in_cell(event.step, unit.cell.name)
        with self._lock:
            self.versions(replace(event, step=name, item=_placed(unit, event.item)))
            if event.attempt.model:
                self._answered.setdefault(name, {})[event.attempt.model] = None

    # Walking

    def start(self, wanted: Iterable[str]) -> None:
        """Walk these cases as far as stored answers lead, and begin to ask for the rest. Raises RunnerError.

        Mistakes that keep calls from being made (a key that is missing, money) are raised before the first one.
        """
        if self.options.is_offline or self._asking is not None:
            return
        self._open()
        from runner.app.suite_asking import Asking

        walks = [self._walk(self.units[name]) for name in wanted]
        pending = [walk for walk in walks if not self._replay(walk)]
        self._asking = Asking(self, pending)
        if pending:
            self._asking.start()

    def _walk(self, unit: Unit) -> Walk:
        walk = self._walks.get(unit.id)
        if walk is None:
            walk = self._walks[unit.id] = Walk(unit)
            try:
                state = RunState(self.suite.program(unit), self.suite.data)
            except RunnerError as error:
                walk.refused = error.problems
                walk.end()
            else:
                walk.drive = Drive(state, self.answers, self.told_by(walk), self._settings(unit))
        return walk

    def _settings(self, unit: Unit) -> DriveSettings:
        return DriveSettings(
            max_parallel=self.options.max_parallel,
            is_fail_fast=False,
            explain=lambda ask: self.reason(unit, ask),
            check_asks=lambda _: None,
            refuse=(lambda ask: self._refuse(unit, ask)) if self.options.is_offline else None,
        )

    def _refuse(self, unit: Unit, ask: Ask) -> Failure:
        return Failure(FailureKind.NEEDS_CALL, f"its answer is not stored; {self.explainer.nearest(_at(unit, ask))}")

    def _replay(self, walk: Walk) -> bool:
        """Whether the case came to its end with stored answers."""
        if walk.drive is None or walk.is_started:
            return walk.is_done
        walk.is_started = True
        if walk.drive.replay():
            walk.end()
        return walk.is_done

    # Verdicts

    def verdict(self, name: str) -> Verdict:
        """What came of a case; waits for its answers. Raises what made asking impossible."""
        found = self._verdicts.get(name)
        if found is None:
            self._open()
            walk = self._walk(self.units[name])
            if not self._replay(walk) and self._asking is not None:
                self._asking.wait(walk)
            found = self._verdicts[name] = self._judge(walk)
            self._walks.pop(name, None)
        return found

    def hear(self, verdict: Verdict) -> None:
        """Another process asked, and says what came of a case."""
        self._verdicts[verdict.unit] = verdict

    @property
    def taken(self) -> Taken:
        """What all cases took whose verdict is known."""
        return sum_of(verdict.taken for verdict in self._verdicts.values())

    def _judge(self, walk: Walk) -> Verdict:
        unit = walk.unit
        if walk.drive is None:
            findings = tuple(_refused(problem, unit) for problem in walk.refused)
            return Verdict(unit.id, Kind.FAILED, findings)
        if not walk.is_done:
            told = Finding("it was not run", ("stopped before it was asked",), unit.case.span, "stopped")
            return Verdict(unit.id, Kind.INTERRUPTED, (told,))
        suite = self.suite.suite
        failures = walk.drive.failures[:KEPT_FAILURES]
        ran = Ran(
            unit,
            walk.drive.state,
            tuple(walk.attempts),
            failures,
            suite.metrics,
            self._snapshots.get(unit.id),
            is_recording=self.options.is_recording,
        )
        return self._remember(walk, judge(ran, self.suite.texts))

    def _remember(self, walk: Walk, verdict: Verdict) -> Verdict:
        """What a case that passes was made of, for the day that it fails: then it is told what changed."""
        if verdict.kind not in (Kind.PASSED, Kind.FAILED):
            return verdict
        workflow = written_of(self.suite.variants[walk.unit.cell.name].linked.workflow)
        made = made_of(walk.unit.case, walk.asked, settings_of(workflow), walk.answered)
        if verdict.is_good:
            self._passed[verdict.unit] = made
            return verdict
        last = read_passes(self.suite.project.files.root, self.suite.place).get(verdict.unit)
        return replace(verdict, since=since(last, made, self.explainer.changes))

    def totals(self, wanted: Iterable[str]) -> Totals:
        """The verdicts of these cases together: rates, metrics and what the thresholds say."""
        verdicts = {name: self.verdict(name) for name in wanted}
        judged = [(self.units[name], verdict) for name, verdict in verdicts.items()]
        totals = totals_of(self.suite.suite, judged, self.suite.texts)
        worse = tuple(worse_cells(self.suite, totals, judged)) if totals.kind in (Kind.PASSED, Kind.FAILED) else ()
        return replace(totals, findings=(*totals.findings, *worse), kind=Kind.FAILED) if worse else totals

    # The end

    def reason(self, unit: Unit, ask: Ask) -> str:
        """Why a call is asked."""
        return self.explainer.reason(_at(unit, ask))

    def stop(self) -> None:
        """Ask nothing more; what is under way is waited for and kept."""
        if self._asking is not None:
            self._asking.stop()

    def finish(self, *, is_whole: bool = False) -> None:
        """End the run. With `is_whole` every case ran, so that recordings that nobody uses any more can go."""
        if self._open_at is None or self._is_finished:
            return
        self._is_finished = True
        self.stop()
        try:
            if self.options.is_recording:
                self._record(is_whole=is_whole)
            if self.options.updates_lock:
                self._update_lock()
            self._keep_passes()
            bad = any(not verdict.is_good for verdict in self._verdicts.values())
            seconds = time.monotonic() - self._open_at
            self._emit(RunFinished(self.run, "failed" if bad else "done", int(bad), seconds))
            with suppress(StorageError):
                write_summary(self._folder, self.summariser.summary())
        finally:
            with suppress(StorageError):
                if self._journal is not None:
                    self._journal.close()
            self.store.close()

    @property
    def moved(self) -> tuple[Problem, ...]:
        """The models that answered and are not the locked ones."""
        return moved_models(self.suite, self.versions)

    def _update_lock(self) -> None:
        if any(verdict.kind not in (Kind.PASSED, Kind.FAILED) for verdict in self._verdicts.values()):
            self.notes.append("runner.lock is not written, since not every case came to its end")
            return
        try:
            self.notes += update_suite_lock(self.suite, {name: tuple(said) for name, said in self._answered.items()})
        except RunnerError as error:
            self.trouble += error.problems

    def _keep_passes(self) -> None:
        with suppress(OSError, StorageError):  # without it a later failure says less, and no more
            write_passes(self.suite.project.files.root, self.suite.place, self._passed, self.run)

    def _record(self, *, is_whole: bool) -> None:
        programs = self.suite.programs()
        try:
            self.recorded = self.recorder.write(
                self.recordings, self.answers, self.received, programs, is_whole=is_whole
            )
            now = {name: dict(verdict.snapshots) for name, verdict in self._verdicts.items() if verdict.snapshots}
            kept = {} if is_whole else self._snapshots
            write_snapshots(self.suite.project.files.root, self.suite.place, {**kept, **now})
        except StorageError as error:
            self.trouble += error.problems

    @property
    def summary(self) -> RunSummary:
        return self.summariser.summary() if self._open_at is not None else RunSummary()


def _placed(unit: Unit, item: str) -> str:
    return f"{unit.id}/{item}" if item else unit.id


def _at(unit: Unit, ask: Ask) -> Ask:
    """The ask at the place where its answer is kept for a suite."""
    return replace(ask, item=_placed(unit, ask.item))


def _refused(problem: Problem, unit: Unit) -> Finding:
    details = (problem.message, *([f"expected: {problem.expected}"] if problem.expected else []))
    return Finding("the case cannot be run", details, problem.span or unit.case.span, problem.message)
