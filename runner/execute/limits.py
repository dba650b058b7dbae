"""How many requests at once."""

from __future__ import annotations

import asyncio
from types import TracebackType


class InFlight:
    """`async with in_flight:` holds one of `limit` places; `highest` is the most that were ever held."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("at least one request must be allowed at once")
        self._places = asyncio.Semaphore(limit)
        self.limit = limit
        self.now = 0
        self.highest = 0

    async def __aenter__(self) -> None:
        await self._places.acquire()
        self.now += 1
        self.highest = max(self.highest, self.now)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.now -= 1
        self._places.release()
