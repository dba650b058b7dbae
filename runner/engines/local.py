"""Chunks on this process's loop, a bounded number at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Generic, TypeVar

C = TypeVar("C")
R = TypeVar("R")


class LocalEngine(Generic[C, R]):
    """Fills the Engine port: runs the chunk function as tasks and yields receipts as they finish."""

    def __init__(self, run_chunk: Callable[[C], Awaitable[R]]) -> None:
        self._run_chunk = run_chunk

    async def stream(self, chunks: Iterable[C], window: int) -> AsyncGenerator[R, None]:
        """At most `window` chunks are under way; no chunk is taken from the source before there is room for it."""
        source = iter(chunks)
        running: set[asyncio.Task[R]] = set()
        done: set[asyncio.Task[R]] = set()
        is_dry = False
        try:
            while True:
                while not is_dry and len(running) < window:
                    chunk = next(source, None)
                    if chunk is None:
                        is_dry = True
                    else:
                        running.add(asyncio.ensure_future(self._run_chunk(chunk)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()
            # Also those that are done: of several that failed at once only the first is raised.
            await asyncio.gather(*running, *done, return_exceptions=True)
