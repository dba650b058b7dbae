"""Gemini's stream: every event is an answer by itself, with the parts that are new."""

from __future__ import annotations

from runner.core.canonical import Json, ordered
from runner.dialects.fold import EventFold, FailureOf
from runner.dialects.payload import list_of, mapping_of, text_of


class GeminiFold(EventFold):
    """There is no last event: a stream that ends has to have said why the model stopped."""

    def __init__(self, failure_of: FailureOf) -> None:
        super().__init__(failure_of)
        self._answer: dict[str, Json] = {}
        self._candidate: dict[str, Json] = {}
        self._content: dict[str, Json] = {}
        self._parts: list[dict[str, Json]] = []

    def add(self, event: dict[str, Json]) -> str:
        candidates = list_of(event.pop("candidates", None))
        self._answer |= event
        if not candidates:
            return ""
        candidate = dict(mapping_of(candidates[0]))
        content = dict(mapping_of(candidate.pop("content", None)))
        parts = [dict(mapping_of(part)) for part in list_of(content.pop("parts", None))]
        self._candidate |= candidate
        self._content |= content
        for part in parts:
            self._join(part)
        return "".join(text_of(part.get("text")) for part in parts if not part.get("thought"))

    def _join(self, part: dict[str, Json]) -> None:
        """A text goes on where the last one stopped; a signature ends it."""
        last = self._parts[-1] if self._parts else {}
        is_same = bool(last.get("thought")) is bool(part.get("thought")) and "thoughtSignature" not in last
        if is_same and isinstance(last.get("text"), str) and isinstance(part.get("text"), str):
            text = last["text"] + part["text"]
            last |= part
            last["text"] = text
        else:
            self._parts.append(part)

    def payload(self) -> bytes | None:
        is_blocked = bool(mapping_of(self._answer.get("promptFeedback")).get("blockReason"))
        if not self._candidate.get("finishReason"):
            return ordered(self._answer) if is_blocked else None
        content = {"content": {**self._content, "parts": self._parts}} if self._parts else {}
        return ordered({"candidates": [{**content, **self._candidate}], **self._answer})
