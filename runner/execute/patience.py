"""How long an interrupted run waits for requests under way: as long as answers took so far, and little for the hopeless."""

from __future__ import annotations

import asyncio
from types import TracebackType

from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed

GRACE_S = 2.0
"""What a request has left at least, seconds; and all that a hopeless one has: it took longer than any answer before."""
SLOWER = 1.5
"""An answer may take so many times as long as the slowest one of its model before."""


class Patience:
    """The requests under way, and what the answers of each model took."""

    def __init__(self) -> None:
        self.slowest_s: dict[str, float] = {}
        self.under_way: set[UnderWay] = set()

    def request(self, model: str) -> UnderWay:
        """To be entered around one request. Raises CallFailed when it is given up."""
        return UnderWay(model, self)

    def end(self, grace_s: float = GRACE_S) -> None:
        """Nothing more is sent: what is under way ends in time."""
        for request in self.under_way:
            request.hurry(grace_s)


class UnderWay:
    """One request."""

    def __init__(self, model: str, patience: Patience) -> None:
        self._model = model
        self._patience = patience
        self._limit = asyncio.timeout(None)
        self._grace_s = 0.0

    async def __aenter__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._patience.under_way.add(self)
        await self._limit.__aenter__()

    def hurry(self, grace_s: float) -> None:
        """Leave it the time that it may still need."""
        now = self._clock()
        took_s, slowest_s = now - self._began_at, self._patience.slowest_s.get(self._model, 0.0)
        self._grace_s = max(grace_s, slowest_s * SLOWER - took_s) if took_s <= slowest_s else grace_s
        self._limit.reschedule(now + self._grace_s)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patience.under_way.discard(self)
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            text = f"no answer {self._grace_s:,.0f} s after the run was stopped, and not waited for any longer; it may be paid"
            raise CallFailed(Failure(FailureKind.UNKNOWN_DELIVERY, text)) from None
        if error is None:
            took_s = self._clock() - self._began_at
            self._patience.slowest_s[self._model] = max(took_s, self._patience.slowest_s.get(self._model, 0.0))
