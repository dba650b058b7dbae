"""The stream of Responses: its last event holds the whole answer."""

from __future__ import annotations

from runner.core.canonical import Json, ordered
from runner.dialects.fold import EventFold, FailureOf
from runner.dialects.payload import text_of

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesFold(EventFold):
    def __init__(self, failure_of: FailureOf) -> None:
        super().__init__(failure_of)
        self._answer: Json = None

    def add(self, event: dict[str, Json]) -> str:
        kind = event.get("type")
        if kind in _LAST:
            self._answer = event.get("response")
            self.is_over = True
        return text_of(event.get("delta")) if kind == "response.output_text.delta" else ""

    def payload(self) -> bytes | None:
        return ordered(self._answer) if self.is_over else None
