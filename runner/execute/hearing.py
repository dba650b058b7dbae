"""Hears one answer while it comes, and when it began."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.ports import Clock
from runner.plan.advance import Ask


class Ear:
    """Passes text on; `first_at` is when the first of it came."""

    def __init__(self, hear: Callable[[Ask, str], None], clock: Clock, ask: Ask) -> None:
        self._hear = hear
        self._clock = clock
        self._ask = ask
        self.first_at: float | None = None

    def __call__(self, text: str) -> None:
        if self.first_at is None:
            self.first_at = self._clock.monotonic()
        self._hear(self._ask, text)
