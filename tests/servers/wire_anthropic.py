"""Anthropic's Messages, as strict as the real service."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wire import Answer, Json, Received, Refused, Wire, check_model, content_text, only, pieces, sse, words
from wire_media import check_anthropic_content
from wire_tools import anthropic_calls, check_anthropic_tools

FIELDS = words(
    "model max_tokens messages system thinking output_config temperature top_p top_k stop_sequences metadata "
    "service_tier stream tools tool_choice"
)
LEAST_BUDGET = 1024
_ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def _check(body: Json, headers: Mapping[str, str]) -> None:
    if not headers.get("anthropic-version"):
        raise Refused(400, "anthropic-version: header is required")
    only(body, FIELDS, "")
    check_model(body)
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        raise Refused(400, "max_tokens: Field required")
    for message in body.get("messages", ()):
        only(message, frozenset({"role", "content"}), "messages.")
        if message.get("role") not in {"user", "assistant"} or not message.get("content"):
            raise Refused(400, "a message needs a role and a content")
        if not _is_of_tools(message["content"]):
            check_anthropic_content(message["content"])
    if not body.get("messages"):
        raise Refused(400, "messages: at least one message is required")
    check_anthropic_tools(body)
    _check_thinking(body.get("thinking", {"type": "disabled"}), body["max_tokens"])
    config = body.get("output_config", {})
    only(config, frozenset({"effort", "format"}), "output_config.")
    if config.get("effort", "low") not in {"low", "medium", "high", "xhigh", "max"}:
        raise Refused(400, "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    if "format" in config:
        only(config["format"], frozenset({"type", "schema"}), "output_config.format.")
        _check_closed(config["format"]["schema"])


def _is_of_tools(content: Json) -> bool:
    kinds = {block.get("type") for block in content} if isinstance(content, list) else set()
    return bool(kinds & {"tool_use", "tool_result"})


def _check_thinking(thinking: Json, cap: int) -> None:
    kinds = {
        "enabled": {"type", "budget_tokens", "display"},
        "adaptive": {"type", "display"},
        "disabled": {"type"},
    }
    if thinking.get("type") not in kinds:
        raise Refused(400, "thinking.type: unknown")
    only(thinking, frozenset(kinds[thinking["type"]]), "thinking.")
    if thinking["type"] == "enabled" and not LEAST_BUDGET <= thinking["budget_tokens"] < cap:
        raise Refused(400, "thinking.budget_tokens must be at least 1024 and less than max_tokens")


def _check_closed(schema: Json) -> None:
    if isinstance(schema, list):
        for inner in schema:
            _check_closed(inner)
    elif isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            raise Refused(400, "output_config.format.schema: For 'object' type, 'additionalProperties' must be false")
        for inner in schema.values():
            _check_closed(inner)


def prompt_of(body: Json) -> str:
    turns = [turn for turn in body["messages"] if turn["role"] == "user"]
    return content_text(turns[-1]["content"]) if turns else ""


def _answer(answer: Answer, received: Received) -> Json:
    reason = {"stop": "end_turn", "length": "max_tokens", "refused": "refusal"}.get(answer.finish, answer.finish)
    said = [] if answer.finish == "refused" else [{"type": "text", "text": answer.text}]
    if answer.calls:
        said, reason = anthropic_calls(answer), "tool_use"
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": answer.model or received.body["model"],
        "content": said,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
    }


def _stream(answer: Answer, received: Received) -> list[bytes]:
    whole = _answer(answer, received)
    opened = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[Json] = [{"type": "message_start", "message": opened}, {"type": "ping"}]
    for number, block in enumerate(whole["content"]):
        events.append({"type": "content_block_start", "index": number, "content_block": {**block, "text": ""}})
        for piece in pieces(block["text"]):
            delta = {"type": "text_delta", "text": piece}
            events.append({"type": "content_block_delta", "index": number, "delta": delta})
        events.append({"type": "content_block_stop", "index": number})
    stopped = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    events += [{"type": "message_delta", "delta": stopped, "usage": usage}, {"type": "message_stop"}]
    return [sse(event, event["type"]) for event in events]


def error(answer: Answer) -> Json:
    kind = "invalid_request_error" if answer.status < 500 else "api_error"
    if answer.status == 529:
        kind = "overloaded_error"
    kind = answer.code or _ERRORS.get(answer.status, kind)
    return {"type": "error", "error": {"type": kind, "message": answer.text}, "request_id": "req_1"}


def _key(headers: Mapping[str, str]) -> str:
    return headers.get("x-api-key", "")


WIRE = Wire("anthropic", re.compile(r"/v1/messages"), _key, _check, prompt_of, _answer, error, stream=_stream)
