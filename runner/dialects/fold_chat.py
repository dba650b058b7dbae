"""The stream of Chat Completions: chunks of one message, closed by a word that is no JSON."""

from __future__ import annotations

from runner.core.canonical import Json, ordered
from runner.dialects.fold import EventFold, FailureOf
from runner.dialects.payload import list_of, mapping_of, text_of

_DONE = b"[DONE]"
_HEAD = ("id", "created", "model", "service_tier", "system_fingerprint")


class ChatFold(EventFold):
    def __init__(self, failure_of: FailureOf) -> None:
        super().__init__(failure_of)
        self._head: dict[str, Json] = {}
        self._message: dict[str, Json] = {}
        self._calls: dict[int, dict[str, Json]] = {}
        self._finish: Json = None
        self._usage: Json = None

    def _hear(self, event: bytes) -> str:
        if event.strip() == _DONE:
            self.is_over = True
            return ""
        return super()._hear(event)

    def add(self, event: dict[str, Json]) -> str:
        self._head |= {name: event[name] for name in _HEAD if event.get(name) is not None}
        self._usage = event.get("usage") or self._usage
        # The last chunk counts tokens and has no choice; one question has one answer.
        choices = [mapping_of(choice) for choice in list_of(event.get("choices"))]
        texts = [self._join(choice) for choice in choices if not choice.get("index")]
        return "".join(texts)

    def _join(self, choice: dict[str, Json]) -> str:
        self._finish = choice.get("finish_reason") or self._finish
        delta = mapping_of(choice.get("delta"))
        for name, value in delta.items():
            if name == "tool_calls":
                for call in list_of(value):
                    self._join_call(mapping_of(call))
            elif value is not None:
                self._message[name] = _joined(name, self._message.get(name), value)
        return text_of(delta.get("content"))

    def _join_call(self, call: dict[str, Json]) -> None:
        """The name of a function comes at once, its arguments in pieces."""
        number = call.get("index")
        known = self._calls.setdefault(number if isinstance(number, int) else 0, {"id": "", "type": "function"})
        known |= {name: value for name, value in call.items() if name in ("id", "type") and value}
        function = mapping_of(call.get("function"))
        inner = known.setdefault("function", {"name": "", "arguments": ""})
        for name in ("name", "arguments"):
            inner[name] += text_of(function.get(name))

    def payload(self) -> bytes | None:
        """A stream without its closing word was cut, whatever came before."""
        if not self.is_over:
            return None
        calls = {"tool_calls": [self._calls[number] for number in sorted(self._calls)]} if self._calls else {}
        message = {"role": "assistant", "content": None, **self._message, **calls}
        if message["content"] is None and not calls and not message.get("refusal"):
            message["content"] = ""
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        has_said = bool(self._message) or bool(calls) or self._finish is not None
        return ordered(
            {
                **self._head,
                "object": "chat.completion",
                "choices": [choice] if has_said else [],
                "usage": self._usage,
            }
        )


def _joined(name: str, known: Json, value: Json) -> Json:
    """Texts and lists come in pieces; whatever else is said again is said anew."""
    if name != "role" and isinstance(value, str) and isinstance(known, str):
        return known + value
    return [*known, *value] if isinstance(value, list) and isinstance(known, list) else value
