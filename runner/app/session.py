"""One run, prepared: program, state, store, record. The only place where the parts of a run meet."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.budget import allowance_of, stopped_problem
from runner.app.changed_texts import kept_texts
from runner.app.cut_short import with_rest
from runner.app.data import aside_of
from runner.app.drive import Drive, DriveSettings, exit_code
from runner.app.explaining import RUNS, TEXTS, Explainer
from runner.app.full_disk import told_once
from runner.app.holding import ensure_plan_holds
from runner.app.keeping import Recorder, recordings_of
from runner.app.kept_contexts import not_kept
from runner.app.locking import VersionWatch, ensure_locked, update_lock
from runner.app.looking import LOCAL_CACHE, leases_of
from runner.app.media import MediaFiles
from runner.app.preparing import protected
from runner.app.project import Project
from runner.app.selecting import ensure_selected_can_run, prepare_selected
from runner.app.types import RunOptions, RunResult
from runner.app.writing import Outputs, write_outputs, write_saved
from runner.core.errors import CallNeeded, RunnerError, StorageError, UsageError
from runner.core.events import Event, Heard, Noted, RunFinished, RunStarted, RunStatus
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import EventSink, Store
from runner.core.problem import Problem, render
from runner.core.version import VERSION
from runner.plan.advance import Ask
from runner.plan.failures import failure_problems, list_problems, shortage_problems
from runner.plan.items import Items
from runner.plan.program import Program
from runner.plan.selection import selection_problems
from runner.plan.stages import RunState
from runner.record.command import CommandLine, write_command
from runner.record.folders import new_run_folder
from runner.record.journal import Journal
from runner.record.lock_file import LOCK_NAME, LockedStep
from runner.record.summary import Summariser, write_summary
from runner.record.texts import keep_texts
from runner.store.layers import LayeredAnswers
from runner.store.local import LocalStore
from runner.store.memory import MemoryStore

if TYPE_CHECKING:
    from runner.app.filling import BatchRun
    from runner.core.ports import Clock, Transport
    from runner.execute.contexts import ContextUse
    from runner.transport.secrets import Secrets


INTERRUPTED = 130


class Session:
    """A run from the checked workflow to its result. Made by `prepare`; closed by `finish` or `abandon`."""

    def __init__(self, project: Project, program: Program, data: Mapping[str, Items], options: RunOptions,
                 sinks: Sequence[EventSink], locked: Mapping[str, LockedStep] | None = None,
                 media: MediaFiles | None = None) -> None:  # fmt: skip
        self.project = project
        self._media = media
        self.program = program
        self.options = options
        self.started = time.monotonic()
        root = project.files.root
        assert project.workflow is not None
        self.workflow = project.workflow
        self.store = _open_store(root, options)
        try:
            self.run, self.folder = new_run_folder(root / RUNS)
            self.journal = Journal(self.folder)
        except BaseException:
            self.store.close()
            raise
        self.unwritten: StorageError | None = None
        """Why the record of this run could not be written to its end."""
        self.has_ended = False
        self.summariser = Summariser()
        self.recorder = Recorder(self.workflow.name, is_recording=options.is_recording)
        self.versions = VersionWatch(locked)
        self.sinks: tuple[EventSink, ...] = (self.summariser, self.recorder, self.versions, *sinks)
        self.recordings = recordings_of(root)
        recordings = self.recordings if options.use_cache else None
        self.answers = LayeredAnswers(recordings, self.store, self._warn)
        self.received = LayeredAnswers(None, self.store, self._warn)
        self.explainer = Explainer(root, self.workflow, lambda: (program,), self.recordings, self.answers)
        self.secrets: Secrets | None = None
        self.batches: BatchRun | None = None
        self.drive = Drive(
            state=RunState(program, data, aside_of(root), keeps="outputs"),
            answers=self.answers,
            emit=self.emit,
            settings=DriveSettings(
                max_parallel=options.max_parallel,
                is_fail_fast=options.is_fail_fast,
                explain=self.explainer.reason,
                check_asks=self._check_asks,
                refuse=self._refuse if options.is_offline else None,
                allowance=allowance_of(project, options),
                hear=_ear(options),
                make_leases=lambda: leases_of(root, options),
                limits=project.settings.limits,
                watch=options.watch,
            ),
        )
        routes = {name: step.models for name, step in program.steps.items()}
        order = [name for stage in program.linked.stages for name in stage.steps]
        steps = {name: routes[name] for name in order}
        self.emit(RunStarted(self.run, self.workflow.name, self.workflow.file, steps, VERSION))
        for problem in project.problems:
            self.emit(Noted("warning", render(problem, project.sources)))

    def emit(self, event: Event) -> None:
        """To the journal first: what is told was written down. A full disk ends the record, not the run."""
        if self.unwritten is None:
            try:
                self.journal(event)
            except StorageError as error:
                self.unwritten = error
        for sink in self.sinks:
            sink(event)

    def _warn(self, sentence: str) -> None:
        self.emit(Noted("damaged", sentence))

    # Before a call

    def _check_asks(self, asks: tuple[Ask, ...]) -> None:
        """The keys and weights that the first calls need, and those behind them, before anything is paid.

        What reads an answer that is yet to come will most likely have to be asked too. Raises UsageError.
        """
        asked = {ask.step for ask in asks}
        for stage in self.program.linked.stages:
            asked |= {name for name in stage.steps if self._needs_of(name) & asked}
        asked = {name for name in asked if self.program.steps[name].may_ask}
        parts = [part for name in sorted(asked) for part in self.program.steps[name].reached]
        routes = {part.route.name: part.route for part in parts}
        problems = [problem for route in routes.values() if (problem := self._not_ready(route)) is not None]
        problems += [problem for part in parts if (problem := not_kept(part)) is not None]
        if problems:
            raise UsageError(problems, self.project.sources)
        self._check_money()

    def _check_money(self) -> None:
        """What the calls must and may cost, against the budget and the consent. Raises OverBudget and UsageError.

        Any step may be asked: one that does not read what is missing may lack answers of its own.
        """
        from runner.app.consent import Money, check_money

        state = self.drive.state
        steps = frozenset(name for name, step in state.program.steps.items() if step.may_ask)
        money = Money(self.workflow.name, state.program, state.data, steps, self.drive.settings.allowance)
        check_money(money, self.options, self.project.files.root, self.quiet_answers().lookup)

    def quiet_answers(self) -> LayeredAnswers:
        """The stored answers without a word about damage, which is told when they are read in their turn."""
        return LayeredAnswers(self.recordings if self.options.use_cache else None, self.store, lambda _: None)

    def _needs_of(self, name: str) -> frozenset[str]:
        linked = self.program.linked
        lane = linked.lanes.get(linked.steps[name].lane)
        return linked.steps[name].needs | (lane.needs if lane else frozenset())

    def _not_ready(self, route: Route) -> Problem | None:
        from runner.app.transports import not_ready, secrets_of

        self.secrets = self.secrets or secrets_of(self.options)
        return not_ready(route, self.secrets, self.options, self.project)

    def _refuse(self, ask: Ask) -> Failure:
        return Failure(
            FailureKind.NEEDS_CALL, f"not stored, and --offline allows no call; {self.explainer.nearest(ask)}"
        )

    # Walking

    async def ask(self) -> None:
        """The part of the run that needs calls. Raises StorageError before the first, if its record cannot be kept."""
        import asyncio

        from runner.app.transports import secrets_of

        self.secrets = self.secrets or secrets_of(self.options)
        if self.unwritten is not None:
            raise self.unwritten
        keep_texts(self.project.files.root / TEXTS, kept_texts([self.program]))
        self._keep_command()
        self.journal.flush_soon = partial(asyncio.get_running_loop().call_soon, self._flush)
        try:
            await self._ask(self.secrets)
        finally:
            self.journal.flush_soon = None
            self._flush()

    async def _ask(self, secrets: Secrets) -> None:
        import random

        from runner.app.transports import SystemClock, make_transport

        transport = make_transport(secrets, self.options, self.project.files)
        clock = SystemClock()
        contexts = self._contexts(transport, clock)
        try:
            if not any(step.is_batched for step in self.program.steps.values()):
                await self.drive.ask(transport, clock, random.random, contexts=contexts)
                return
            from runner.app.filling import BatchRun

            self.batches = BatchRun(self, transport, clock, random.random, contexts)
            ahead = await self.batches.fill()
            await self.drive.ask(transport, clock, random.random, self.batches.purse, ahead, contexts)
        finally:
            if contexts is not None:
                await contexts.end()
                await transport.aclose()

    def _contexts(self, transport: Transport, clock: Clock) -> ContextUse | None:
        """What keeps parts of questions at providers, where a step that may ask wants it."""
        if not any(step.context is not None and step.may_ask for step in self.program.steps.values()):
            return None
        from runner.app.contexts import context_use

        return context_use(self, transport, clock)

    def _keep_command(self) -> None:
        """So that a run that is cut short can be taken up by its id."""
        if self.options.words:
            is_piped = bool(self.options.stdin_reader or self.options.stdin)
            write_command(self.folder, CommandLine(str(Path.cwd()), self.options.words, is_piped))

    def interrupt(self) -> None:
        """Stop new calls; what is in flight is waited for and kept, but for batch jobs, which are taken up again."""
        self.drive.interrupt()
        if self.batches is not None:
            text = "interrupted; a batch job that was handed over goes on, and the next run takes its answers"
            self.batches.stop(Failure(FailureKind.INTERRUPTED, text))

    # The end

    def finish(self) -> RunResult:
        """Write outputs, recordings and the record; close everything.

        What was received is delivered: a file that cannot be written is a problem of the result, never its end.
        """
        result = self._finish()
        self.close()
        return result

    def _finish(self) -> RunResult:
        drive = self.drive
        # What is missing without a call says nothing about the answers: files of earlier runs stay as they are.
        held_up = selection_problems(drive.state)
        is_stopped = drive.is_cut_short or drive.is_out_of_budget
        is_partial = is_stopped or FailureKind.NEEDS_CALL in drive.kinds or bool(held_up)
        outputs = Outputs() if is_partial else self._write()
        for sentence in outputs.left_out:
            self.emit(Noted("not-selected", sentence))
        trouble = [*([drive.unkept] if drive.unkept else []), *outputs.unwritten]
        if self.options.is_recording and not drive.is_interrupted:
            trouble += self._record()
        self._flush()
        trouble += self.unwritten.problems if self.unwritten else ()
        code = exit_code(drive, has_bad_output=bool(outputs.problems), has_storage_trouble=bool(trouble))
        moved = self.versions.problems(self.program)
        if moved and code != INTERRUPTED:
            code = CallNeeded.exit_code
        if self.options.updates_lock:
            trouble += self._update_lock(code)
            code = code or (StorageError.exit_code if trouble else 0)
        self._end("interrupted" if drive.is_interrupted else "failed" if code else "done", code, outputs.value)
        failures = failure_problems(drive.state, drive.failures, self.run, drive.counts)
        if drive.ended_by is not None:
            failures = with_rest(failures, self.summariser.summary(), drive.ended_by)
        problems = (
            *failures,
            *list_problems(drive.state),
            *held_up,
            *moved,
            *(() if is_stopped else shortage_problems(drive.state)),
            *(stopped_problem(drive.purse) if drive.purse else ()),
            *outputs.problems,
            *told_once(trouble),
        )
        return RunResult(
            run=self.run,
            outputs=outputs.value,
            exit_code=code,
            summary=self.summariser.summary(),
            failures=tuple(drive.failures),
            problems=problems,
            sources=self.project.sources,
            failed_files=outputs.failed_files,
        )

    def _write(self) -> Outputs:
        root = self.project.files.root
        saved = write_saved(self.drive.state, root, protected(self.project) | self._shown())
        made = write_outputs(self.drive.state, root)
        return Outputs(
            made.value,
            (*saved.problems, *made.problems),
            (*saved.unwritten, *made.unwritten),
            made.left_out,
            made.failed_files,
        )

    def _shown(self) -> frozenset[str]:
        """The files that rows named, and those that patterns found: what the workflow does not say itself."""
        sources = self.workflow.data
        found = (
            posixpath.join(sources[name].base, str(item.value["path"]))
            for name, items in self.drive.state.data.items()
            if sources[name].glob and name not in self.options.data
            for item in items
            if isinstance(item.value, Mapping) and "path" in item.value
        )
        seen = self._media.seen if self._media is not None else frozenset()
        return frozenset(posixpath.normpath(name).casefold() for name in (*found, *seen))

    def _update_lock(self, code: int) -> tuple[Problem, ...]:
        """Write `runner.lock`, if the run came to its end; what kept it from being written."""
        if code not in (0, 1):
            self.emit(Noted("lock", f"{LOCK_NAME} is not written, since the run did not come to its end"))
            return ()
        try:
            told = update_lock(self.project, self.program, self.summariser.summary())
        except RunnerError as error:
            return error.problems
        for sentence in told:
            self.emit(Noted("lock", sentence))
        return ()

    def _record(self) -> tuple[Problem, ...]:
        """Write the recordings; what kept them from being written."""
        try:
            changed = self.recorder.write(self.recordings, self.answers, self.received, [self.program])
        except StorageError as error:
            return error.problems
        self.emit(Noted("recorded", changed))
        return ()

    def _end(self, status: RunStatus, code: int, value: object = None) -> None:
        self.has_ended = True
        self._tell_shadowed()
        seconds = time.monotonic() - self.started
        self.emit(RunFinished(self.run, status, code, seconds, value))
        self._flush()
        with suppress(StorageError):  # a journal without a summary is read as a run that was cut short
            write_summary(self.folder, self.summariser.summary())

    def _flush(self) -> None:
        if self.unwritten is None:
            try:
                self.journal.flush()
            except StorageError as error:
                self.unwritten = error

    def _tell_shadowed(self) -> None:
        try:
            shadowed = self.recorder.shadowed(self.recordings, self.received)
        except StorageError:
            return  # the store is what failed, and is told of already
        if shadowed and not self.options.is_recording:
            text = f"{shadowed} fresh answers are recorded differently in cache/recordings: used in this run only"
            self.emit(Noted("recorded-differently", f"{text}; --record replaces them"))

    def abandon(self, code: int) -> None:
        """The run ends by an error: say so in the record, and close everything."""
        try:
            if not self.has_ended:
                self._end("interrupted" if code == 130 else "failed", code)
        finally:
            self.close()

    def close(self) -> None:
        try:
            with suppress(StorageError):  # of lines that could not be written, which is told of already
                self.journal.close()
        finally:
            self.store.close()


def _ear(options: RunOptions) -> Callable[[Ask, str], None] | None:
    """Who hears the answers while they come, told whose they are."""
    hear = options.hear
    if hear is None:
        return None

    def tell(ask: Ask, text: str) -> None:
        hear(Heard(ask.step, ask.item, text, ask.part, ask.turn, ask.sample, ask.repair))

    return tell


def _open_store(root: Path, options: RunOptions) -> Store:
    return LocalStore(root / LOCAL_CACHE) if options.use_cache else MemoryStore()


def prepare(path: Path, options: RunOptions, sinks: Sequence[EventSink]) -> Session:
    """Everything before the first look into the store. Raises RunnerError; nothing has been called then."""
    prepared = prepare_selected(path, options)
    locked = ensure_locked(prepared, options)
    ensure_selected_can_run(prepared, options)
    ensure_plan_holds(prepared, options)
    return Session(prepared.project, prepared.program, prepared.data, options, sinks, locked, prepared.media)
