"""A prepared run from start to end: stored answers first, without a loop; then, if calls are needed, asynchronously."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import field
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from runner.core.budget import Allowance
from runner.core.errors import CallNeeded, OverBudget, RunnerError, StorageError
from runner.core.events import Event, Noted, Settled, StepExpected
from runner.core.frozen import dataclass
from runner.core.limits import RateLimit
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.core.ports import Answers, EventSink
from runner.core.problem import Problem
from runner.core.traffic import SeeTraffic
from runner.execute.replay import NeedsCalls, Walk, replay_chunk
from runner.plan.advance import Ask, is_absorbed
from runner.plan.ending import has_bad_list, is_short
from runner.plan.failures import MOST_ROWS, reason_line
from runner.plan.selection import selection_problems
from runner.plan.stages import Chunk, Receipt, RunState, chunks_at_once

if TYPE_CHECKING:
    import asyncio

    from runner.core.ports import Clock, Leases, Transport
    from runner.execute.ahead import Ahead
    from runner.execute.contexts import ContextUse
    from runner.execute.perform import Performer
    from runner.execute.spending import Purse

KEPT_FAILURES = 1000
TOLD_LEFT_OUT = 3


@dataclass(frozen=True, slots=True)
class DriveSettings:
    """`refuse` turns a miss into a failure (offline); `check_asks` raises RunnerError before the first call.

    With `hear`, answers are streamed; `watch` is told where to look at requests under way, as soon as there may be any.
    `make_leases` gives what keeps other processes from asking the same questions at the same time.
    """

    max_parallel: int
    is_fail_fast: bool
    explain: Callable[[Ask], str]
    check_asks: Callable[[tuple[Ask, ...]], None]
    refuse: Callable[[Ask], Failure] | None = None
    allowance: Allowance = field(default_factory=Allowance)
    hear: Callable[[Ask, str], None] | None = None
    make_leases: Callable[[], Leases | None] = lambda: None
    limits: tuple[RateLimit, ...] = ()
    watch: Callable[[SeeTraffic], None] | None = None


@dataclass(slots=True)
class Drive:
    """Walks a RunState to its end. `failures` are the outcomes that end the run badly (the first 1000, and
    some of each step and kind); `counts` are how many there are of a step and kind.
    """

    state: RunState
    answers: Answers
    emit: EventSink
    settings: DriveSettings
    failures: list[Outcome] = field(default_factory=list)
    kinds: set[FailureKind] = field(default_factory=set)
    counts: Counter[tuple[str, FailureKind]] = field(default_factory=Counter)
    is_interrupted: bool = False
    _left_out: dict[str, list[str]] = field(default_factory=dict)
    _rest: tuple[int, Iterator[Chunk]] | None = None
    _performer: Performer | None = None

    def sink(self, event: Event) -> None:
        """Every event of the run passes here."""
        if isinstance(event, Settled):
            self._note(event.outcome)
        self.emit(event)

    def _note(self, outcome: Outcome) -> None:
        if outcome.failure is None or outcome.status is not Status.FAILED:
            return
        if not self.state.program.steps[outcome.step].is_wanted:
            return
        step = self.state.program.steps[outcome.step].linked.step
        if is_absorbed(outcome, step):
            told = self._left_out.setdefault(outcome.step, [])
            if len(told) < TOLD_LEFT_OUT:
                told.append(reason_line(outcome))
            return
        self.kinds.add(outcome.failure.kind)
        self.counts[outcome.step, outcome.failure.kind] += 1
        if len(self.failures) < KEPT_FAILURES or self.counts[outcome.step, outcome.failure.kind] <= MOST_ROWS:
            self.failures.append(outcome)
        self._stop_if_failed()

    def _tell_left_out(self, number: int) -> None:
        """A run goes on without what `on_error: skip` leaves out, but not without a word."""
        for name in self.state.stages[number].steps:
            told = self._left_out.pop(name, [])
            for line in told:
                self.emit(Noted("left-out", line))
            others = self.state.tallies[name].absorbed - len(told)
            if told and others > 0:
                self.emit(Noted("left-out", f"{others:,} more of {name}; 'runner show' lists them"))

    def _stop_if_failed(self) -> None:
        if self.settings.is_fail_fast and self.kinds and self._performer is not None:
            self._performer.stop(Failure(FailureKind.INTERRUPTED, "stopped after the first failure (--fail-fast)"))

    @property
    def unkept(self) -> Problem | None:
        """Why an answer of this run could not be kept."""
        return self._performer.unkept if self._performer is not None else None

    @property
    def ended_by(self) -> tuple[str, FailureKind] | None:
        """The step and the kind of the failure that stopped the run, as every further call would have met it."""
        return self._performer.ended_by if self._performer is not None else None

    @property
    def purse(self) -> Purse | None:
        """What was spent; None as long as nothing was asked."""
        return self._performer.purse if self._performer is not None else None

    @property
    def is_cut_short(self) -> bool:
        """Whether the rest is not walked: the run was interrupted, or every further call would fail."""
        return self.is_interrupted or (self._performer is not None and self._performer.is_hopeless)

    @property
    def is_out_of_budget(self) -> bool:
        """Whether a call was not made because the run had spent what it may."""
        return self.purse is not None and self.purse.refused_by is not None

    # Stored answers, synchronously

    def replay(self) -> bool:
        """Walk as far as stored answers lead; whether that is the end. Otherwise `ask` goes on from there."""
        for number in range(len(self.state.stages)):
            self._expect(number)
            chunks = self.state.chunks(number, self.settings.max_parallel)
            walk = self._walk(number)
            for chunk in chunks:
                receipt = replay_chunk(chunk, walk, self.answers.lookup, self.sink, self.settings.refuse)
                if isinstance(receipt, NeedsCalls):
                    self.settings.check_asks(receipt.asks)
                    self._rest = (number, chain((chunk,), chunks))
                    return False
                self.state.fold(receipt)
            self._tell_left_out(number)
        return True

    def _walk(self, number: int) -> Walk:
        return Walk(self.state.program, self.state.stages[number].steps, self.state.scope())

    def _expect(self, number: int) -> None:
        stage = self.state.stages[number]
        items = len(self.state.items(stage.lane)) if stage.lane else 1
        for name in stage.steps:
            step = self.state.program.steps[name]
            self.emit(StepExpected(name, items, step.models, step.thinking or ""))

    # Calls, asynchronously

    async def ask(
        self,
        transport: Transport,
        clock: Clock,
        random: Callable[[], float],
        purse: Purse | None = None,
        ahead: Ahead | None = None,
        contexts: ContextUse | None = None,
    ) -> None:
        """Walk the rest, asking what is not stored. `ahead` has what was asked before its turn, from the same purse;
        `contexts` keeps parts of questions at their providers.
        """
        from runner.dialects.beside import read_beside
        from runner.execute.gate import Gate
        from runner.execute.limits import InFlight, Limits
        from runner.execute.perform import Performer, Ports, Shared
        from runner.execute.spending import Purse

        self.answers.commit([])  # a store that cannot keep answers is found before one is paid
        leases = self.settings.make_leases()
        gate = Gate(self.answers, leases)
        try:
            ports = Ports(
                transport,
                clock,
                self.sink,
                self.settings.explain,
                random,
                ahead,
                self.settings.hear,
                contexts,
                read_beside,
            )
            limit, purse = InFlight(self.settings.max_parallel), purse or Purse(self.settings.allowance)
            limits = Limits(clock, random, self.settings.limits)
            if self.settings.watch is not None:
                self.settings.watch(limits.traffic)
            shared = Shared(limits, self.state.aside.table())
            await self.walk(Performer(self.state.program, gate, ports, limit, purse, shared))
        finally:
            try:
                await transport.aclose()
            finally:
                await gate.aclose()
                if leases is not None:
                    leases.close()

    async def walk(self, performer: Performer) -> None:
        """Walk the rest with a performer that others may use too."""
        self._performer = performer
        self._stop_if_failed()
        if self.is_interrupted:  # while something else was waited for
            self.interrupt()
        try:
            await self._walk_rest(performer)
        except BaseExceptionGroup as group:
            raise first_of(group) from group

    async def _walk_rest(self, performer: Performer) -> None:
        import asyncio

        assert self._rest is not None
        first, chunks = self._rest
        ended = [asyncio.Event() for _ in self.state.stages]
        for event in ended[:first]:
            event.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stage(first, chunks, performer, ended))
            for number in range(first + 1, len(self.state.stages)):
                group.create_task(self._stage(number, None, performer, ended))

    async def _stage(
        self, number: int, chunks: Iterator[Chunk] | None, performer: Performer, ended: list[asyncio.Event]
    ) -> None:
        import asyncio

        from runner.engines.local import LocalEngine
        from runner.execute.chunk import run_chunk

        for before in self.state.stages[number].after:
            await ended[before].wait()
        if self.is_cut_short:
            ended[number].set()
            return
        if chunks is None:
            lane = self.state.stages[number].lane
            for _ in self.state.opening(lane) if lane else ():
                await asyncio.sleep(0)
            self._expect(number)
            chunks = self.state.chunks(number, self.settings.max_parallel)
        walk = self._walk(number)

        async def run(chunk: Chunk) -> Receipt:
            return await run_chunk(chunk, walk, performer, self.sink)

        window = chunks_at_once(self.settings.max_parallel)
        # Of a million items that cannot be asked none is walked any more: a rerun goes on with them.
        wanted = takewhile(lambda _: not self.is_cut_short, chunks)
        async with aclosing(LocalEngine(run).stream(wanted, window)) as receipts:
            async for receipt in receipts:
                self.state.fold(receipt)
        self._tell_left_out(number)
        ended[number].set()

    def interrupt(self) -> None:
        """Stop new calls; what is in flight is kept, if it comes in the time that answers take."""
        self.is_interrupted = True
        if self._performer is not None:
            self._performer.interrupt(Failure(FailureKind.INTERRUPTED, "interrupted before it was asked"))


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that a group of concurrent ones comes down to: a defect before what the user can act on."""
    defects = group.split(RunnerError)[1]
    error: BaseException = defects or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def exit_code(drive: Drive, *, has_bad_output: bool, has_storage_trouble: bool) -> int:
    """The exit code of a run, by the order 130, 6, 3, 4, 1."""
    kinds = drive.kinds
    if drive.is_interrupted:
        return 130
    if FailureKind.NEEDS_CALL in kinds or selection_problems(drive.state):
        return CallNeeded.exit_code
    if kinds & TROUBLE or has_storage_trouble:
        return StorageError.exit_code
    if drive.is_out_of_budget:
        return OverBudget.exit_code
    return 1 if kinds or has_bad_output or has_bad_list(drive.state) or is_short(drive.state) else 0


TROUBLE = frozenset(
    {
        FailureKind.TRANSIENT,
        FailureKind.UNKNOWN_DELIVERY,
        FailureKind.AUTH,
        FailureKind.QUOTA,
        FailureKind.NOT_FOUND,
        FailureKind.BAD_REQUEST,
        FailureKind.BAD_ANSWER,
        FailureKind.TOOL,
        FailureKind.STORAGE,
    }
)
