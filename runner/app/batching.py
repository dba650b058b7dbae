"""Fills the store by batch jobs, wave by wave: what is missing is planned, asked in batches and kept under the very
keys of single calls. Then the run goes on as one whose answers are stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from runner.app.batch_jobs import BatchJob, BatchPorts, Harvest
from runner.app.batch_lines import BatchLine, LineFailed, lines_of, parts_of
from runner.core.batch import JobStatus
from runner.core.frozen import dataclass
from runner.core.media import Medium
from runner.core.model import Route
from runner.core.outcome import RETRIED_KINDS, Failure, FailureKind
from runner.core.ports import Answers, CallFailed
from runner.execute.ahead import Ahead
from runner.execute.retry import DEFAULT_RETRIES, backoff
from runner.execute.spending import Amount, Held, Purse, amount_of
from runner.plan.advance import Answered, Ask
from runner.plan.plan import make_plan
from runner.plan.planned import Plan, PlannedCall
from runner.plan.program import Program, StepProgram
from runner.plan.stages import RunState
from runner.record.batches import BatchRecord
from runner.transport.port import FORGOTTEN

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
LATE = Failure(FailureKind.TRANSIENT, "not asked: what it reads came only after the last batch job; run it again")
HELD = Failure(FailureKind.NOT_SELECTED, "it waits for its batch job")
NO_ANSWER = Failure(FailureKind.TRANSIENT, "the batch job ended without its answer")
Wanted = Mapping[str, PlannedCall]
"""The questions of a wave by key."""


@dataclass(frozen=True, slots=True)
class Filling:
    """What is filled, and for which run.

    `answers` is read without a word about damage, `received` has what was received here. `ask_online` asks what batch
    steps wait for. Without `waits` the jobs are only handed over.
    """

    run: str
    fresh_state: Callable[[], RunState]
    program: Program
    answers: Answers
    received: Answers
    explain: Callable[[Ask], str]
    ask_online: Callable[[Ahead], Awaitable[None]]
    waits: bool = True
    is_fail_fast: bool = False


class Filler:
    """Asks ahead of the run. `stop` ends the waiting; a job that was started goes on at its provider."""

    def __init__(self, filling: Filling, ports: BatchPorts, purse: Purse) -> None:
        self._filling = filling
        self._ports = ports
        self._purse = purse
        self.ahead = Ahead(filling.program, filling.received)
        self._tries: dict[str, int] = {}
        self._held: dict[str, Held] = {}
        self._idle_waves = 0
        self._reused: dict[str, tuple[Medium, ...]] = {}

    async def fill(self) -> None:
        """Until no question of a batch step is open that could be asked. Raises StorageError."""
        self._ports.answers.commit([])  # a store that cannot keep answers is found before one is paid
        before: set[str] = set()
        while self.ahead.over is None:
            plan, calls = self._plan()
            if self._filling.is_fail_fast and self._has_failed(plan):
                self.stop(Failure(FailureKind.INTERRUPTED, "stopped after the first failure (--fail-fast)"))
                break
            ready = {call.ask.key: call for call in calls if self._step(call).is_batch}
            if ready:
                await self._wave(ready)
                continue
            online = {call.ask.key for call in calls}
            if not self._is_waited_for(plan) or online == before:
                break
            before = online
            self.ahead.held = HELD
            await self._filling.ask_online(self.ahead)
            self.ahead.held = None
        self.stop(LATE)

    def stop(self, failure: Failure) -> None:
        """Hand over nothing more, and wait for nothing."""
        self.ahead.over = self.ahead.over or failure

    def _plan(self) -> tuple[Plan, list[PlannedCall]]:
        """All that can be asked now, each question once."""
        calls: list[PlannedCall] = []
        filling = self._filling
        state, lookup = filling.fresh_state(), filling.answers.lookup
        return make_plan(state, lookup, filling.explain, on_call=calls.append, known=self.ahead.find), calls

    def _step(self, call: PlannedCall) -> StepProgram:
        return self._filling.program.asked_by(call.ask)

    def _has_failed(self, plan: Plan) -> bool:
        steps = self._filling.program.steps
        return any(step.failed and steps[step.step].linked.step.on_error == "fail" for step in plan.steps)

    def _is_waited_for(self, plan: Plan) -> bool:
        """Whether a batch step may have questions that are known only after others were answered online."""
        steps = self._filling.program.steps
        return any(step.may_calls != 0 and steps[step.step].is_batched for step in plan.steps)

    # A wave

    async def _wave(self, wanted: Wanted) -> None:
        jobs = await self._hand_over(wanted)
        if not self._filling.waits and jobs and self.ahead.over is None:
            self._detach(jobs)
        has_answers = not jobs
        pause_s = FIRST_PAUSE_S
        while jobs and self.ahead.over is None:
            running: list[BatchJob] = []
            for job in jobs:
                harvest = await self._look(job, wanted)
                if harvest is None:
                    running.append(job)
                else:
                    has_answers = has_answers or bool(harvest.answered)
            if running:
                await self._ports.pause(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)
            jobs = running
        if self.ahead.over is None:
            self._idle_waves = 0 if has_answers else self._idle_waves + 1
            if self._idle_waves:
                await self._ports.pause(backoff(self._idle_waves))

    def _detach(self, jobs: Sequence[BatchJob]) -> None:
        names = ", ".join(job.record.job for job in jobs)
        fetch = f"'runner run --resume {self._filling.run}' takes it when it is there"
        word = "job" if len(jobs) == 1 else "jobs"
        self.stop(Failure(FailureKind.NEEDS_CALL, f"its answer comes by batch {word} {names}; {fetch}"))

    # Handing over

    async def _hand_over(self, wanted: Wanted) -> list[BatchJob]:
        """The jobs that these questions are asked by: those that were started before, and new ones."""
        async with self._ports.alone():
            jobs = await self._known_jobs(wanted)
            taken = {key for job in jobs for key in job.rows}
            rest = [call for key, call in wanted.items() if key not in taken]
            for record, route in self._spool(await self._shown(self._affordable(rest), wanted)):
                job = BatchJob(record, self._ports.folder.rows(record), route, self._ports)
                if await self._is_started(job, wanted):
                    jobs.append(job)
        return jobs

    async def _known_jobs(self, wanted: Wanted) -> list[BatchJob]:
        """The jobs on disk that answer some of the questions. Answers of others are kept in passing."""
        jobs = []
        left = dict(wanted)
        routes = {step.route.name: step.route for step in self._filling.program.asked.values()}
        for record in self._ports.folder.open_jobs():
            if record.route not in routes:
                continue
            job = BatchJob(record, self._ports.folder.rows(record), routes[record.route], self._ports)
            kept = self._filling.received.lookup(list(job.rows))
            kept = {key: answer for key, answer in kept.items() if answer.received_at >= record.made_at}
            asked = [key for key in job.rows if key in left and key not in kept]
            if not asked:
                await self._pass_by(job, is_kept=len(kept) == len(job.rows))
            elif await self._is_taken_up(job, asked, wanted):
                jobs.append(job)
                left = {key: call for key, call in left.items() if key not in job.rows}
        return jobs

    async def _pass_by(self, job: BatchJob, *, is_kept: bool) -> None:
        """A job that nobody asks for now: what it has is kept, if it has ended."""
        if is_kept:
            self._ports.folder.close(job.record)
            return
        try:
            if await job.find():
                state = await job.look()
                if state.status is not JobStatus.RUNNING:
                    await job.harvest(state)
            else:
                self._ports.folder.drop(job.record)
        except CallFailed:
            return  # another time

    async def _is_taken_up(self, job: BatchJob, asked: Sequence[str], wanted: Wanted) -> bool:
        """Whether a job goes on; one that was never started, and holds more than is asked for or names files, is made anew."""
        try:
            if not await job.find() and (job.record.names_files or len(asked) < len(job.rows)):
                self._ports.folder.drop(job.record)
                return False
        except CallFailed as error:
            self._fail(asked, wanted, error.failure)
            return True
        return await self._is_started(job, wanted)

    async def _is_started(self, job: BatchJob, wanted: Wanted) -> bool:
        """Whether a job is under way now."""
        if self.ahead.over is not None:
            return False
        try:
            await job.submit()
        except CallFailed as error:
            self._fail(job.rows, wanted, error.failure)
            return False
        return True

    def _affordable(self, calls: Iterable[PlannedCall]) -> Iterator[PlannedCall]:
        """The questions that the budget has room for now; the others come later, or not at all."""
        for call in calls:
            held = self._purse.take(self._step(call), call.ask)
            if isinstance(held, Failure):
                self.ahead.note(call.ask, Answered(failure=held))
            elif held is not None:
                self._held[call.ask.key] = held
                self._tries[call.ask.key] = self._tries.get(call.ask.key, 0) + 1
                yield call

    async def _shown(self, calls: Iterable[PlannedCall], wanted: Wanted) -> list[BatchLine]:
        """The questions as lines; files that their job names are uploaded before it is written."""
        lines, failed = await lines_of([(call, self._step(call)) for call in calls], self._ports)
        for key, failure in failed.items():
            self._fail([key], wanted, failure)
        self._reused.update((line.key, line.reused) for line in lines if line.reused)
        return lines

    def _spool(self, lines: Iterable[BatchLine]) -> Iterator[tuple[BatchRecord, Route]]:
        """The questions on disk, as jobs of one model each that are not larger than the provider takes."""
        groups: dict[tuple[str, str], list[BatchLine]] = {}
        for line in lines:
            groups.setdefault((line.step.route.name, line.request.endpoint), []).append(line)
        for group in groups.values():
            for part in parts_of(group):
                record = self._spooled(part, group[0].step.route)
                if record is not None:
                    yield record, group[0].step.route

    def _spooled(self, part: list[BatchLine], route: Route) -> BatchRecord | None:
        """A job on disk; a question whose file has changed meanwhile is left out of it."""
        folder = self._ports.folder
        while part:
            request = part[0].request
            record = BatchRecord(
                name=folder.name_for(line.key for line in part),
                route=route.name,
                dialect=request.dialect,
                provider=request.provider,
                endpoint=request.endpoint,
                run=self._filling.run,
                made_at=self._ports.clock.now(),
                names_files=any(line.names for line in part),
            )
            try:
                folder.spool(record, (line.spelt() for line in part))
            except LineFailed as error:
                self._settle(error.line.key, None)
                self.ahead.note(error.line.call.ask, Answered(failure=error.failure, reason=error.line.call.reason))
                part = [line for line in part if line is not error.line]
            else:
                return record
        return None

    # What came

    async def _look(self, job: BatchJob, wanted: Wanted) -> Harvest | None:
        """What a job brought, None as long as it is under way."""
        try:
            state = await job.look()
            if state.status is JobStatus.RUNNING:
                return None
            harvest = await job.harvest(state)
        except CallFailed as error:
            self._fail(job.rows, wanted, error.failure)
            return Harvest()
        for key in job.rows:
            if key in wanted:
                self._note(wanted[key], harvest)
        return harvest

    def _note(self, call: PlannedCall, harvest: Harvest) -> None:
        """What became of a question. One that is not noted is open, and asked again."""
        ask, step = call.ask, self._step(call)
        tries = self._tries.get(ask.key, 1)
        answer = harvest.answered.get(ask.key)
        if answer is not None:
            usage = step.dialect.decode(answer.payload).usage
            self._settle(ask.key, amount_of(usage, step.cost, ask, answer.payload))
            answered = Answered(reason=call.reason, is_todays=True, requests=tries, seconds=answer.seconds)
            self.ahead.note(ask, answered)
            return
        self._settle(ask.key, None)
        failure = harvest.failed.get(ask.key) or harvest.failure or NO_ANSWER
        reused = self._reused.pop(ask.key, ())
        if reused and failure.status in FORGOTTEN:  # perhaps the provider no longer knows a file: it is sent anew, once
            for medium in reused:
                self._ports.forget(step.route, medium)
            return
        retries = DEFAULT_RETRIES if step.linked.step.retries is None else step.linked.step.retries
        if (failure.kind in RETRIED_KINDS and failure is not harvest.failure) and tries <= retries:
            return
        self.ahead.note(ask, Answered(failure=failure, reason=call.reason, requests=tries))

    def _fail(self, keys: Iterable[str], wanted: Wanted, failure: Failure) -> None:
        """A job that cannot be handed over or looked at. It stays on disk: the next run goes on with it."""
        failure = self.ahead.over or failure
        for key in keys:
            if key in wanted:
                self._settle(key, None)
                self.ahead.note(wanted[key].ask, Answered(failure=failure, reason=wanted[key].reason))

    def _settle(self, key: str, paid: Amount | None) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._purse.settle(held, paid)
