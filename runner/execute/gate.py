"""One gate before the store: reads of concurrent calls are merged, and one thread writes."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

from runner.core.answer import StoredAnswer
from runner.core.frozen import dataclass
from runner.core.ports import Answers

MAX_BATCH = 256


@dataclass(frozen=True, slots=True)
class _Write:
    answer: StoredAnswer
    done: asyncio.Future[None]


class Gate:
    """Merges lookups that are made in the same turn of the loop, and commits through one writer thread.

    The writer takes all that has gathered while it was writing (at most 256 at once), so that batches grow with the
    load and a single answer never waits. A commit is awaited: the answer is durable before anybody uses it.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[str, list[asyncio.Future[StoredAnswer | None]]] = {}
        self._writes: deque[_Write] = deque()
        self._wake = threading.Condition()
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
        with self._wake:
            self._writes.append(write)
            self._wake.notify()
        # A cancelled caller must not lose a paid answer: the write goes on without it.
        await asyncio.shield(write.done)

    def _write_all(self) -> None:
        while True:
            with self._wake:
                while not self._writes and not self._is_closing:
                    self._wake.wait()
                if not self._writes:
                    return
                batch = [self._writes.popleft() for _ in range(min(MAX_BATCH, len(self._writes)))]
            error = self._write(batch)
            self._loop.call_soon_threadsafe(_tell, batch, error)

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


def _tell(batch: Sequence[_Write], error: BaseException | None) -> None:
    for write in batch:
        if error is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(error)
