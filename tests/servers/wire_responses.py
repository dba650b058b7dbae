"""OpenAI's Responses, as strict as the real service."""

from __future__ import annotations

import re
from collections.abc import Mapping

import wire_chat
from wire import (
    Answer,
    Json,
    Received,
    Refused,
    Wire,
    bearer,
    check_model,
    check_named_schema,
    content_text,
    only,
    pieces,
    sse,
    words,
)
from wire_media import check_responses_content
from wire_tools import check_responses_tools, check_responses_turns, responses_calls

FIELDS = words(
    "model input instructions reasoning text max_output_tokens temperature top_p store metadata include truncation "
    "service_tier prompt_cache_key prompt_cache_retention safety_identifier parallel_tool_calls tools tool_choice "
    "top_logprobs stream previous_response_id conversation background user"
)
EFFORTS = words("none minimal low medium high xhigh max")
LEAST_TOKENS = 16


def _check(body: Json, _headers: Mapping[str, str]) -> None:
    only(body, FIELDS, "")
    check_model(body)
    if not isinstance(body.get("input"), str | list) or not body["input"]:
        raise Refused(400, "'input' must be text or a list that is not empty")
    check_responses_tools(body)
    for item in check_responses_turns(_items(body)):
        only(item, frozenset({"type", "role", "content"}), "input.")
        if item.get("role") not in {"system", "developer", "user", "assistant"} or "content" not in item:
            raise Refused(400, "an input message needs a role and a content")
        check_responses_content(item["content"])
    if body.get("max_output_tokens", LEAST_TOKENS) < LEAST_TOKENS:
        raise Refused(400, f"'max_output_tokens' must be at least {LEAST_TOKENS}", "integer_below_min_value")
    reasoning = body.get("reasoning", {})
    only(reasoning, frozenset({"effort", "summary", "mode", "context"}), "reasoning.")
    if reasoning.get("effort", "low") not in EFFORTS:
        raise Refused(400, "unsupported value: 'reasoning.effort'", "unsupported_value")
    text = body.get("text", {})
    only(text, frozenset({"format", "verbosity"}), "text.")
    form = text.get("format", {"type": "text"})
    if form["type"] == "json_schema":
        check_named_schema({name: value for name, value in form.items() if name != "type"}, "text.format")


def _items(body: Json) -> list[Json]:
    return [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]


def prompt_of(body: Json) -> str:
    turns = [item for item in _items(body) if item.get("role") == "user"]
    return content_text(turns[-1]["content"]) if turns else ""


def _answer(answer: Answer, received: Received) -> Json:
    """A finish other than stop, length and refused is a status of its own."""
    part: dict[str, Json] = {"type": "output_text", "text": answer.text, "annotations": []}
    if answer.finish == "refused":
        part = {"type": "refusal", "refusal": answer.text}
    status = {"stop": "completed", "refused": "completed", "length": "incomplete"}.get(answer.finish, answer.finish)
    message = {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "model": answer.model or received.body["model"],
        "output": responses_calls(answer) if answer.calls else [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _stream(answer: Answer, received: Received) -> list[bytes]:
    whole = _answer(answer, received)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    item = whole["output"][0]
    part = item["content"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    kind, name = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
    last = {"completed": "completed", "incomplete": "incomplete"}.get(whole["status"], "failed")
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, name: ""}},
        *({"type": f"response.{kind}.delta", **place, "delta": piece} for piece in pieces(part[name])),
        {"type": f"response.{kind}.done", **place, name: part[name]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{last}", "response": whole},
    ]
    return [sse({**event, "sequence_number": number}, event["type"]) for number, event in enumerate(events)]


WIRE = Wire(
    "openai-responses",
    re.compile(r"(/v1)?/responses"),
    bearer,
    _check,
    prompt_of,
    _answer,
    wire_chat.error,
    stream=_stream,
)
