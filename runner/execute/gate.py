"""One gate before the store: reads of concurrent calls are merged, and one thread writes and claims."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from runner.core.answer import StoredAnswer
from runner.core.frozen import dataclass
from runner.core.ports import Answers, Leases
from runner.execute.claims import Claim, Claims, Settled

T = TypeVar("T")

MAX_BATCH = 256


@dataclass(frozen=True, slots=True)
class _Write:
    answer: StoredAnswer
    done: asyncio.Future[None]


class Gate:
    """Merges lookups that are made in the same turn of the loop, and commits through one writer thread.

    The writer takes all that has gathered while it was writing (at most 256 at once), so that batches grow with the
    load and a single answer never waits. A commit is awaited: the answer is durable before anybody uses it.

    With `leases` a question is claimed before it is asked, and what another process asks now is waited for.
    """

    def __init__(self, answers: Answers, leases: Leases | None = None) -> None:
        self._answers = answers
        self._claims = Claims(leases, time.monotonic)
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[str, list[asyncio.Future[StoredAnswer | None]]] = {}
        self._writes: deque[_Write] = deque()
        self._new_claims: deque[Claim] = deque()
        self._released: deque[str] = deque()
        self._wake = threading.Condition()
        self._is_waking = False
        self._is_closing = False
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._writer.start()

    async def lookup(self, key: str) -> StoredAnswer | None:
        """What is stored under a key."""
        future: asyncio.Future[StoredAnswer | None] = self._loop.create_future()
        if not self._wanted:
            self._loop.call_soon(self._read)
        self._wanted.setdefault(key, []).append(future)
        return await future

    def _read(self) -> None:
        wanted, self._wanted = self._wanted, {}
        try:
            found = self._answers.lookup(list(wanted))
        except Exception as error:  # noqa: BLE001  # nobody may wait for ever: it is raised where the answer is awaited
            for future in (future for futures in wanted.values() for future in futures):
                if not future.done():
                    future.set_exception(error)
            return
        for key, futures in wanted.items():
            for future in futures:
                if not future.done():
                    future.set_result(found.get(key))

    async def commit(self, answer: StoredAnswer) -> None:
        """Keep an answer; durable against the death of the process when this returns. Raises StorageError."""
        write = _Write(answer, self._loop.create_future())
        self._writes.append(write)
        self._wake_soon()
        await write.done  # a cancelled caller loses no paid answer: the write goes on without it

    def claim(self, key: str) -> asyncio.Future[bool]:
        """True when nobody else asks the question: then it is ours until `commit` or `release`.

        Who does not want to wait any longer ends the future, and has nothing then. A StorageError tells, once for
        each who waits, that questions are not claimed from now on.
        """
        done: asyncio.Future[bool] = self._loop.create_future()
        if self._claims.are_made:
            self._new_claims.append(Claim(key, done))
            self._wake_soon()
        else:
            done.set_result(True)
        return done

    def release(self, key: str) -> None:
        """Give a claim up; the commit of an answer has done so already."""
        if key in self._claims.held:
            self._released.append(key)
            self._wake_soon()

    def _wake_soon(self) -> None:
        """Once for all that comes in the same turn of the loop: the threads hinder each other."""
        if not self._is_waking:
            self._is_waking = True
            self._loop.call_soon(self._wake_now)

    def _wake_now(self) -> None:
        self._is_waking = False
        with self._wake:
            self._wake.notify()

    # The thread

    def _write_all(self) -> None:
        is_last = False
        while not is_last:
            with self._wake:
                while not (self._writes or self._new_claims or self._released or self._is_closing):
                    pause_s = self._claims.pause_s()
                    if pause_s == 0.0:
                        break
                    self._wake.wait(pause_s)
                writes = _take(self._writes)
                claims = _take(self._new_claims)
                released = _take(self._released)
                is_last = self._is_closing and not self._writes and not self._new_claims
            if writes:
                error = self._write(writes)
                if error is None:
                    released += self._claims.kept([write.answer.key for write in writes])
                self._loop.call_soon_threadsafe(_tell, writes, error)
            settled = self._claims.turn(claims, [*released, *self._claims.held] if is_last else released)
            if settled:
                self._loop.call_soon_threadsafe(self._tell_claims, settled)

    def _write(self, batch: Sequence[_Write]) -> BaseException | None:
        try:
            self._answers.commit([write.answer for write in batch])
        except BaseException as error:  # noqa: BLE001  # handed to every waiter; the thread must go on
            return error
        return None

    async def aclose(self) -> None:
        """Write what has gathered, then stop the writer."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        await asyncio.to_thread(self._writer.join)

    def _tell_claims(self, settled: Sequence[Settled]) -> None:
        for claim, error in settled:
            if claim.done.done():
                self.release(claim.key)
            elif error is None:
                claim.done.set_result(True)
            else:
                claim.done.set_exception(error)


def _take(gathered: deque[T]) -> list[T]:
    return [gathered.popleft() for _ in range(min(MAX_BATCH, len(gathered)))]


def _tell(batch: Sequence[_Write], error: BaseException | None) -> None:
    for write in batch:
        if write.done.done():  # nobody waits for it any more
            continue
        if error is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(error)
