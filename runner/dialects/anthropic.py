"""Anthropic's Messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from runner.core.call import Call, Message, ToolCall, ToolResult, ToolSpec
from runner.core.canonical import Json
from runner.core.long_text import spell
from runner.core.media import MediaRules, Medium
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, LoweredSchema
from runner.core.request import Request
from runner.core.response import Citation, Finish, Response, Usage
from runner.dialects.anthropic_schema import lower_for_anthropic
from runner.dialects.calling import function_of, in_fixed_order, read_call
from runner.dialects.failing import describe_failure
from runner.dialects.media import HERE, TEXT, Part, attachments, name_of
from runner.dialects.naming import identity_of
from runner.dialects.options import place_options
from runner.dialects.payload import (
    bad_answer,
    citations,
    count_of,
    list_of,
    mapping_of,
    read_answer,
    read_error,
    scrub_json,
    show,
    text_of,
)

VERSION: Final = "2026-10-21"
# The protocol has no answer without a cap, and thoughts come out of it too.
DEFAULT_MAX_TOKENS: Final = 16_384

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "top_k": (),
    "metadata": (),
    "service_tier": (),
    "display": ("thinking",),
    "thinking": (),
    "effort": ("output_config",),
}
_FINISHES = {
    "end_turn": Finish.COMPLETE,
    "tool_use": Finish.TOOLS,
    "stop_sequence": Finish.COMPLETE,
    "max_tokens": Finish.CUT,
    "model_context_window_exceeded": Finish.CUT,
    "refusal": Finish.REFUSED,
}
# What the body says outweighs the status: inside a 200 there is no other word.
_KINDS = {
    "authentication_error": FailureKind.AUTH,
    "permission_error": FailureKind.AUTH,
    "billing_error": FailureKind.QUOTA,
    "not_found_error": FailureKind.NOT_FOUND,
    "invalid_request_error": FailureKind.BAD_REQUEST,
    "request_too_large": FailureKind.BAD_REQUEST,
    "rate_limit_error": FailureKind.TRANSIENT,
    "overloaded_error": FailureKind.TRANSIENT,
    "timeout_error": FailureKind.TRANSIENT,
    "api_error": FailureKind.TRANSIENT,
}
# Words of gateways, which put them where others have their codes.
_CODES = {"invalid_request": FailureKind.BAD_REQUEST, "insufficient_quota": FailureKind.QUOTA}


class AnthropicDialect:
    name: ClassVar[str] = "anthropic"
    key_version: ClassVar[int] = 1
    options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)
    lacks: ClassVar[frozenset[str]] = frozenset({"seed"})
    media: ClassVar[MediaRules] = MediaRules(
        {
            "image": frozenset(f"image/{name}" for name in ("png", "jpeg", "gif", "webp")),
            "document": frozenset({"application/pdf", TEXT}),
        },
        request_bytes=32_000_000,
    )

    def encode(self, call: Call, route: Route) -> Request:
        thinking, effort = _thinking(call, route)
        fields: dict[str, Json] = {
            "model": route.model,
            "max_tokens": DEFAULT_MAX_TOKENS if call.max_output_tokens is None else call.max_output_tokens,
            "system": call.system,
            "messages": [{"role": message.role, "content": _said(message)} for message in call.messages],
            **_tools(call),
            "thinking": thinking,
            "output_config": self._output(call, effort) or None,
            "temperature": call.temperature,
            "top_p": call.top_p,
            "stop_sequences": list(call.stop) or None,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        place_options(body, call.options, _OPTIONS)
        sent = spell(body)
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=identity_of(route.provider),
            endpoint="/v1/messages",
            body=sent,
            headers=(("anthropic-version", VERSION),),
            sample=call.sample,
            salt=call.salt,
            attachments=attachments(call, _part, self.media, route.provider, sent),
        )

    def _output(self, call: Call, effort: Json) -> dict[str, Json]:
        schema = None if call.schema is None else self.lower(call.schema).body
        form = None if schema is None else {"type": "json_schema", "schema": schema}
        return {name: value for name, value in (("effort", effort), ("format", form)) if value is not None}

    def decode(self, payload: bytes) -> Response:
        answer = read_answer(payload)
        if answer.get("error"):
            raise CallFailed(self.failure(200, {}, payload))
        if not isinstance(answer.get("content"), list):
            raise bad_answer("the answer has no content")
        blocks = [mapping_of(block) for block in answer["content"]]
        word = text_of(answer.get("stop_reason"))
        calls = tuple(_call(block) for block in blocks if block.get("type") == "tool_use")
        return Response(
            text="".join(text_of(block.get("text")) for block in blocks if block.get("type") == "text"),
            finish=_FINISHES.get(word, Finish.UNKNOWN) if calls or word != "tool_use" else Finish.UNKNOWN,
            usage=_usage(mapping_of(answer.get("usage"))),
            model=text_of(answer.get("model")),
            detail=show(word) or "no stop reason",
            thoughts="".join(text_of(block.get("thinking")) for block in blocks if block.get("type") == "thinking"),
            sources=_sources(blocks),
            calls=calls,
            said=in_fixed_order(answer["content"]) if calls else None,
        )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """An error in the shape `{"type": "error", "error": {type, message}}`."""
        error = read_error(body).get("error")
        if not isinstance(error, dict):
            return describe_failure(status, headers, body, kind=None, message=text_of(error))
        kind = _CODES.get(text_of(error.get("code"))) or _KINDS.get(text_of(error.get("type")))
        return describe_failure(status, headers, body, kind=kind, message=text_of(error.get("message")))

    def lower(self, schema: Json) -> LoweredSchema:
        return lower_for_anthropic(schema)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, _clean)


def _said(message: Message) -> Json:
    """A text alone is a text; files come before it as blocks. What a model said goes back as it came."""
    if message.said is not None:
        return message.said
    if message.results:
        return [_result(one) for one in message.results]
    if not message.files:
        return message.text
    blocks = [{"type": medium.kind, "source": dict(_part(medium).fields)} for medium in message.files]
    return [*blocks, {"type": "text", "text": message.text}]


def _result(result: ToolResult) -> Json:
    found = {"type": "tool_result", "tool_use_id": result.call.id, "content": result.text}
    return {**found, "is_error": True} if result.is_error else found


def _tools(call: Call) -> dict[str, Json]:
    """The tools that a model may call, and whether it must."""
    words = {"required": {"type": "any"}, "none": {"type": "none"}, "": None}
    choice: Json = words.get(call.tool_choice, {"type": "tool", "name": call.tool_choice})
    return {"tools": [_tool(tool) for tool in call.tools] or None, "tool_choice": choice}


def _tool(tool: ToolSpec) -> Json:
    function = function_of(tool)
    schema = function.pop("parameters")
    return {**function, "input_schema": schema}


def _call(block: Mapping[str, Json]) -> ToolCall:
    return read_call(text_of(block.get("id")), text_of(block.get("name")), block.get("input"))


def _part(medium: Medium) -> Part:
    """The source of a block; plain text stands in it as it is."""
    is_text = medium.mime == TEXT
    kind = {"type": "text" if is_text else "base64", "media_type": medium.mime}
    return Part(medium, {**kind, "data": name_of(medium)}, {**kind, "data": HERE}, is_text=is_text)


def _thinking(call: Call, route: Route) -> tuple[Json, Json]:
    """What goes out as `thinking` and as `effort`: older models take a number of tokens, newer ones an effort.

    A model that cannot leave thinking off is told its effort only.
    """
    if call.thinking is None:
        return None, None
    if call.thinking == "none":
        return {"type": "disabled"}, None
    word = route.facts.thinking_words.get(call.thinking, call.thinking)
    if isinstance(word, int):
        return {"type": "enabled", "budget_tokens": word}, None
    return {"type": "adaptive"} if "none" in route.facts.thinking_levels else None, word


def _sources(blocks: list[dict[str, Json]]) -> tuple[Citation, ...]:
    notes = [mapping_of(note) for block in blocks for note in list_of(block.get("citations"))]
    return citations((note.get("url"), note.get("title")) for note in notes)


def _usage(usage: Mapping[str, Json]) -> Usage:
    """`input_tokens` of the wire leaves out what was read from and written to the provider's cache."""
    fresh = count_of(usage.get("input_tokens"))
    if fresh is None:
        return Usage()
    cached = count_of(usage.get("cache_read_input_tokens"))
    written = count_of(usage.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=fresh + (cached or 0) + (written or 0),
        output_tokens=count_of(usage.get("output_tokens")),
        cached_tokens=cached,
        thinking_tokens=count_of(mapping_of(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


def _clean(answer: dict[str, Json]) -> None:
    """Take out ids and opaque signatures; how warm the provider's cache was is no part of the answer, the sum is."""
    answer.pop("id", None)
    usage = mapping_of(answer.get("usage"))
    total = _usage(usage).input_tokens
    for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", "service_tier"):
        usage.pop(name, None)
    if total is not None:
        usage["input_tokens"] = total
    blocks = [mapping_of(block) for block in list_of(answer.get("content"))]
    if any(block.get("type") == "tool_use" for block in blocks):
        return  # they go back with the next turn, whose key they are part of
    for block in blocks:
        block.pop("signature", None)
