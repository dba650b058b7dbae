"""What the folds of all protocols share: bytes to events, and an error in the middle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from runner.core.canonical import Json
from runner.core.outcome import Failure
from runner.core.ports import CallFailed
from runner.dialects.payload import read_answer
from runner.dialects.sse import Events

FailureOf = Callable[[int, Mapping[str, str], bytes], Failure]
"""A dialect's reading of an error."""


class EventFold(ABC):
    """Fills `Fold` but for `payload`. A protocol says what an event adds; `is_over` is set by its last one."""

    def __init__(self, failure_of: FailureOf) -> None:
        self.is_over = False
        self._failure_of = failure_of
        self._events = Events()

    def take(self, data: bytes) -> str:
        return "".join([self._hear(event) for event in self._events.take(data) if not self.is_over])

    def _hear(self, event: bytes) -> str:
        value = read_answer(event)
        if value.get("error") or value.get("type") == "error":
            raise CallFailed(self._failure_of(200, {}, event))
        return self.add(value)

    @abstractmethod
    def add(self, event: dict[str, Json]) -> str:
        """Take an event in; the text that is new."""
