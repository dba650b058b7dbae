"""The stream of Messages: a message is opened, its blocks are filled piece by piece, and it is closed."""

from __future__ import annotations

import orjson

from runner.core.canonical import Json, ordered
from runner.dialects.fold import EventFold, FailureOf
from runner.dialects.payload import mapping_of, text_of

# Where the pieces of each kind belong in their block.
_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class AnthropicFold(EventFold):
    def __init__(self, failure_of: FailureOf) -> None:
        super().__init__(failure_of)
        self._message: dict[str, Json] = {}
        self._blocks: dict[int, dict[str, Json]] = {}
        self._inputs: dict[int, str] = {}

    def add(self, event: dict[str, Json]) -> str:
        match event:
            case {"type": "message_start", "message": dict() as message}:
                self._message = message
            case {"type": "content_block_start", "index": int() as number, "content_block": dict() as block}:
                self._blocks[number] = block
                return text_of(block.get("text")) if block.get("type") == "text" else ""
            case {"type": "content_block_delta", "index": int() as number, "delta": dict() as delta}:
                return self._join(number, delta)
            case {"type": "message_delta", "delta": dict() as delta}:
                usage = {name: count for name, count in mapping_of(event.get("usage")).items() if count is not None}
                self._message |= {**delta, "usage": {**mapping_of(self._message.get("usage")), **usage}}
            case {"type": "message_stop"}:
                self.is_over = True
        return ""

    def _join(self, number: int, delta: dict[str, Json]) -> str:
        """Kinds of pieces that are not known add nothing that is read."""
        block = self._blocks.setdefault(number, {"type": "text", "text": ""})
        kind = text_of(delta.get("type"))
        if kind in _PIECES:
            name = _PIECES[kind]
            block[name] = text_of(block.get(name)) + text_of(delta.get(name))
        elif kind == "input_json_delta":
            self._inputs[number] = self._inputs.get(number, "") + text_of(delta.get("partial_json"))
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
        return text_of(delta.get("text")) if kind == "text_delta" else ""

    def payload(self) -> bytes | None:
        if not self.is_over:
            return None
        for number, written in self._inputs.items():
            self._blocks[number]["input"] = _arguments(written)
        return ordered({**self._message, "content": [self._blocks[number] for number in sorted(self._blocks)]})


def _arguments(written: str) -> Json:
    """What a tool is called with. An answer that was cut off may leave it unfinished; it is told as cut off."""
    try:
        return orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        return {}
