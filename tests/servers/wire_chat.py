"""Chat Completions, as strict as the real service."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
from wire_media import check_chat_content
from wire_tools import chat_calls, check_chat_tools, check_chat_turns

FIELDS = words(
    "model messages max_completion_tokens max_tokens reasoning_effort verbosity temperature top_p n stop seed logprobs "
    "top_logprobs presence_penalty frequency_penalty logit_bias response_format tools tool_choice parallel_tool_calls "
    "stream stream_options service_tier store metadata prompt_cache_key safety_identifier user modalities"
)


def _check(body: Json, _headers: Mapping[str, str]) -> None:
    only(body, FIELDS, "")
    check_model(body)
    if "stream_options" in body and not body.get("stream"):
        raise Refused(400, "the 'stream_options' parameter is only allowed when 'stream' is enabled")
    only(body.get("stream_options", {}), frozenset({"include_usage", "include_obfuscation"}), "stream_options.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "'messages' must be a list that is not empty")
    for message in messages:
        only(message, frozenset({"role", "content", "name", "tool_calls", "tool_call_id"}), "messages.")
        if message.get("role") not in {"system", "developer", "user", "assistant", "tool"} or "content" not in message:
            raise Refused(400, "a message needs a role and a content")
        if message["content"] is not None or "tool_calls" not in message:
            check_chat_content(message["content"])
    check_chat_tools(body)
    check_chat_turns(messages)
    wanted = body.get("response_format", {"type": "text"})
    if wanted["type"] not in {"text", "json_object", "json_schema"}:
        raise Refused(400, "unknown response_format")
    if wanted["type"] == "json_schema":
        only(wanted, frozenset({"type", "json_schema"}), "response_format.")
        check_named_schema(wanted["json_schema"], "response_format.json_schema")


def prompt_of(body: Json) -> str:
    turns = [turn for turn in body["messages"] if turn["role"] == "user"]
    return content_text(turns[-1]["content"]) if turns else ""


def _answer(answer: Answer, received: Received) -> Json:
    is_refused = answer.finish == "refused"
    message: dict[str, Json] = {
        "role": "assistant",
        "content": None if is_refused else answer.text,
        "refusal": answer.text if is_refused else None,
    }
    reason = "stop" if is_refused else answer.finish
    if answer.calls:
        message |= {"content": None, "tool_calls": chat_calls(answer)}
        reason = "tool_calls"
    usage = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": answer.model or received.body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": usage,
    }


def _stream(answer: Answer, received: Received) -> list[bytes]:
    whole = _answer(answer, received)
    usage, choice = whole.pop("usage"), whole.pop("choices")[0]
    head = {**whole, "object": "chat.completion.chunk"}
    wants_usage = received.body.get("stream_options", {}).get("include_usage")
    unknown = {"usage": None} if wants_usage else {}

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        return sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **unknown})

    name = "refusal" if choice["message"]["refusal"] else "content"
    events = [chunk({"role": "assistant", "content": "", "refusal": None})]
    events += [chunk({name: piece}) for piece in pieces(choice["message"][name])]
    events.append(chunk({}, choice["finish_reason"]))
    return [*events, *([sse({**head, "choices": [], "usage": usage})] if wants_usage else []), b"data: [DONE]\n\n"]


def error(answer: Answer) -> Json:
    kind = "invalid_request_error" if answer.status < 429 else "server_error"
    return {"error": {"message": answer.text, "type": kind, "param": None, "code": answer.code or None}}


WIRE = Wire(
    "openai-chat", re.compile(r"(/v1)?/chat/completions"), bearer, _check, prompt_of, _answer, error, stream=_stream
)
