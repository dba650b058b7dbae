"""One batch job from its spool to its answers in the store. Whatever happens in between, it can be taken up again.

Nothing is submitted that may be under way already: the name of a job is made of its questions, ids are on disk before
anything is done with them, and before a job is started the provider's list is asked for one of that name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field, replace
from functools import partial
from typing import TypeVar

from runner.core.answer import StoredAnswer
from runner.core.batch import BatchFormat, BatchRow, BatchWire, JobState, JobStatus
from runner.core.events import Noted
from runner.core.frozen import dataclass
from runner.core.long_text import Body
from runner.core.media import Medium
from runner.core.model import Route
from runner.core.outcome import RETRIED_KINDS, Failure, FailureKind
from runner.core.ports import Answers, CallFailed, Clock, EventSink
from runner.core.request import Request
from runner.dialects import ASKED
from runner.dialects.batch import BATCH_FORMATS, job_failure
from runner.execute.perform import FINAL_BY_FINISH
from runner.execute.retry import Wait, decide
from runner.record.batches import BatchFolder, BatchRecord, SpooledRow

T = TypeVar("T")
Upload = Callable[[Route, Request, Sequence[int]], Awaitable[tuple[dict[int, str], list[Medium]]]]
"""Uploads those files of a request, by the numbers of its attachments. Raises CallFailed."""
KEPT_AT_ONCE = 256
STALE_FILE = frozenset({FailureKind.BAD_REQUEST, FailureKind.NOT_FOUND, FailureKind.AUTH})


@dataclass(frozen=True, slots=True)
class BatchPorts:
    """What jobs need from outside. `pause` waits, and says whether the run was stopped meanwhile; within `alone` no other
    process hands jobs over. `upload` gives the provider's names of files of a request, and those of them that it was
    sent before; `forget` says that it no longer knows one.
    """

    folder: BatchFolder
    wire_of: Callable[[Route], BatchWire]
    answers: Answers
    clock: Clock
    emit: EventSink
    random: Callable[[], float]
    pause: Callable[[float], Awaitable[bool]]
    alone: Callable[[], AbstractAsyncContextManager[None]]
    upload: Upload
    forget: Callable[[Route, Medium], None]


@dataclass(slots=True)
class Harvest:
    """What a job brought: the payload of each answer, and of the other rows why there is none.

    A row that is in neither was not answered and may be sent again, unless `failure` says why not.
    """

    answered: dict[str, StoredAnswer] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass(slots=True)
class BatchJob:
    """A job over spooled rows, all for one route and endpoint."""

    record: BatchRecord
    rows: Mapping[str, SpooledRow]
    route: Route
    ports: BatchPorts
    told: str = ""

    @property
    def format(self) -> BatchFormat:
        return BATCH_FORMATS[self.record.dialect]

    @property
    def wire(self) -> BatchWire:
        return self.ports.wire_of(self.route)

    # Starting

    async def find(self) -> bool:
        """Whether the job was started before; then its id is on disk. Raises CallFailed."""
        if not self.record.job:
            found = await self._retried(lambda: self.wire.find(self.route, self.record.name))
            if found is not None:
                self._save(job=found)
        return bool(self.record.job)

    async def submit(self) -> None:
        """Upload what was spooled and start the job, unless it was started before. Raises CallFailed."""
        tries, is_old_file = 0, bool(self.record.file)
        while not await self.find():
            if not self.record.file:
                self._save(file=await self._retried(self._upload))
            try:
                record = self.record
                self._save(job=await self.wire.create(self.route, record.endpoint, record.name, record.file))
            except CallFailed as error:
                if is_old_file and error.failure.kind in STALE_FILE:
                    is_old_file = False  # the provider keeps a file for some days only
                    self._save(file="")
                    continue
                tries += 1
                await self._wait_or_raise(error, tries)
        self._tell(f"batch job {self.record.job}: {len(self.rows):,} calls handed over to {self.record.route}")

    async def _upload(self) -> str:
        return await self.wire.upload(self.route, self.record.name, self.ports.folder.input(self.record))

    def _save(self, *, file: str | None = None, job: str | None = None) -> None:
        record = self.record
        self.record = replace(record, file=record.file if file is None else file, job=job or record.job)
        self.ports.folder.save(self.record)

    # Waiting

    async def look(self) -> JobState:
        """How far the job is. Raises CallFailed."""
        state = await self._retried(lambda: self.wire.look(self.route, self.record.job))
        if state.status is JobStatus.RUNNING and state.total:
            self._tell(f"batch job {self.record.job}: {state.done or 0:,} of {state.total:,} answered")
        return state

    def _tell(self, sentence: str) -> None:
        if sentence != self.told:
            self.told = sentence
            self.ports.emit(Noted("batch", sentence))

    # Taking the answers

    async def harvest(self, state: JobState) -> Harvest:
        """Keep all answers of a job that has ended, then close it. Raises CallFailed and StorageError."""
        found = Harvest(failure=self._job_failure(state))
        found.failed.update(self._line_failures(state))
        for file in state.files:
            await self._retried(partial(self._take, file, found))
        self.ports.folder.close(self.record)
        return found

    async def _take(self, file: str, found: Harvest) -> None:
        rows: dict[str, BatchRow] = {}
        async for line in self.wire.lines(self.route, file):
            row = self.format.row(line)
            if row is None or row.key not in self.rows or row.key in found.answered:
                continue  # of another job, or told twice
            if row.payload is None:
                assert row.failure is not None
                if row.key not in rows:
                    found.failed[row.key] = row.failure
                continue
            rows[row.key] = row
            if len(rows) >= KEPT_AT_ONCE:
                self._keep(rows, found)
                rows = {}
        self._keep(rows, found)

    def _keep(self, rows: Mapping[str, BatchRow], found: Harvest) -> None:
        """Into the store, under the key of the question, as an answer to a call would be."""
        asked = [self.rows[key] for key in rows]
        kept = []
        for row, body in self.ports.folder.bodies(self.record, asked):
            payload = rows[row.key].payload
            assert payload is not None
            made = self._answer(row, body, payload)
            if isinstance(made, Failure):
                found.failed[row.key] = made
            else:
                kept.append(made)
        self.ports.answers.commit(kept)
        for answer in kept:
            found.answered[answer.key] = answer
            found.failed.pop(answer.key, None)

    def _answer(self, row: SpooledRow, body: Body, payload: bytes) -> StoredAnswer | Failure:
        try:
            response = ASKED[self.record.dialect].decode(payload)
        except CallFailed as error:
            return error.failure
        now = self.ports.clock.now()
        return StoredAnswer(
            key=row.key,
            dialect=self.record.dialect,
            provider=self.record.provider,
            endpoint=self.record.endpoint,
            body=body,
            payload=payload,
            failure=FINAL_BY_FINISH.get(response.finish),
            ingredients=row.ingredients,
            sample=row.sample,
            salt=row.salt,
            received_at=now,
            seconds=max(0.0, now - self.record.made_at),
        )

    def _job_failure(self, state: JobState) -> Failure | None:
        """Why none of the rows without an answer is sent again."""
        name = f"batch job {self.record.job}"
        if state.status is JobStatus.CANCELLED:
            return Failure(FailureKind.TRANSIENT, f"{name} was cancelled at the provider")
        refused = [error for error in state.errors if error.line is None]
        if state.status is not JobStatus.FAILED or (state.errors and not refused):
            return None
        if not refused:
            return Failure(FailureKind.BAD_REQUEST, f"{name} failed, and the provider does not say why")
        failure = job_failure(refused[0].code, refused[0].message)
        return None if failure.kind in RETRIED_KINDS else replace(failure, message=f"{name}: {failure.message}")

    def _line_failures(self, state: JobState) -> Mapping[str, Failure]:
        keys = list(self.rows)
        return {
            keys[error.line - 1]: replace(job_failure(error.code, error.message), kind=FailureKind.BAD_REQUEST)
            for error in state.errors
            if error.line is not None and 1 <= error.line <= len(keys)
        }

    # Trying again

    async def _retried(self, call: Callable[[], Awaitable[T]]) -> T:
        return await retried(call, self.ports)

    async def _wait_or_raise(self, error: CallFailed, tries: int) -> None:
        await wait_or_raise(error, tries, self.ports)


async def retried(call: Callable[[], Awaitable[T]], ports: BatchPorts) -> T:
    """A call that may be made twice without harm. Raises CallFailed."""
    tries = 0
    while True:
        try:
            return await call()
        except CallFailed as error:
            tries += 1
            await wait_or_raise(error, tries, ports)


async def wait_or_raise(error: CallFailed, tries: int, ports: BatchPorts) -> None:
    decision = decide(error.failure, tries=tries, random=ports.random())
    if not isinstance(decision, Wait) or await ports.pause(decision.seconds):
        raise error
