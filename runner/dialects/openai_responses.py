"""OpenAI's Responses, and the servers that speak them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from runner.core.call import Call, Message, ToolCall
from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.core.long_text import spell
from runner.core.media import MediaRules, Medium
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import CallFailed, LoweredSchema
from runner.core.request import Request
from runner.core.response import Citation, Finish, Response, Usage
from runner.dialects.calling import function_of, in_fixed_order, read_call, told
from runner.dialects.chat_shape import CHAT_MEDIA, chat_failure
from runner.dialects.media import FILE_NAMES, HERE, TEXT, Part, attachments, data_url, name_of
from runner.dialects.naming import identity_of, schema_name
from runner.dialects.openai_schema import lower_for_openai
from runner.dialects.options import place_options
from runner.dialects.own_tools import own_of
from runner.dialects.payload import (
    bad_answer,
    citations,
    count_of,
    list_of,
    mapping_of,
    read_answer,
    scrub_json,
    show,
    text_of,
)

# Where each named option goes in the body.
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "verbosity": ("text",),
    "summary": ("reasoning",),
    "mode": ("reasoning",),
    "service_tier": (),
    "store": (),
    "metadata": (),
    "prompt_cache_key": (),
    "prompt_cache_retention": (),
    "safety_identifier": (),
    "truncation": (),
    "include": (),
    "top_logprobs": (),
}
_CUTS = frozenset({"max_output_tokens", "max_messages"})


class OpenAIResponsesDialect:
    name: ClassVar[str] = "openai-responses"
    key_version: ClassVar[int] = 1
    options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)
    lacks: ClassVar[frozenset[str]] = frozenset({"seed", "stop"})
    media: ClassVar[MediaRules] = replace(
        CHAT_MEDIA,
        types={kind: types for kind, types in CHAT_MEDIA.types.items() if kind != "audio"},
        uploads=frozenset(("image", "document")),
    )

    def encode(self, call: Call, route: Route) -> Request:
        """`store` is false unless asked for: the service keeps every answer by default."""
        fields: dict[str, Json] = {
            "model": route.model,
            "instructions": call.system,
            "input": [item for message in call.messages for item in _items(message)],
            "reasoning": _reasoning(call, route),
            "temperature": call.temperature,
            "top_p": call.top_p,
            "max_output_tokens": call.max_output_tokens,
            "text": self._text(call),
            "store": False,
            **_tools(call),
        }
        body = {name: value for name, value in fields.items() if value is not None}
        place_options(body, call.options, _OPTIONS)
        if call.tools and call.thinking is not None:
            # Nothing is kept there, so what it thought goes along with each turn.
            body["include"] = list(dict.fromkeys([*list_of(body.get("include")), "reasoning.encrypted_content"]))
        sent = spell(body)
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=identity_of(route.provider),
            endpoint="/responses",
            body=sent,
            sample=call.sample,
            salt=call.salt,
            attachments=attachments(call, _part, self.media, route.provider, sent),
        )

    def _text(self, call: Call) -> Json:
        if call.schema is None:
            return None
        schema = self.lower(call.schema).body
        return {
            "format": {
                "type": "json_schema",
                "name": schema_name(call.schema_name),
                "strict": True,
                "schema": schema,
            }
        }

    def decode(self, payload: bytes) -> Response:
        answer = read_answer(payload)
        items = [mapping_of(item) for item in list_of(answer.get("output"))]
        error = mapping_of(answer.get("error"))
        if error and not _is_policy(error):
            raise CallFailed(self.failure(200, {}, payload))
        if not items and not answer.get("status"):
            raise bad_answer("the answer has no output")
        parts = [mapping_of(part) for item in items if item.get("type") == "message" for part in _content(item)]
        finish, detail = _finish(answer, error)
        refusal = "".join(text_of(part.get("refusal")) for part in parts if part.get("type") == "refusal")
        if refusal:
            finish, detail = Finish.REFUSED, f"refusal: {show(refusal)}"
        calls = tuple(_call(item) for item in items if item.get("type") == "function_call")
        if calls and finish is Finish.COMPLETE:
            finish = Finish.TOOLS
        return Response(
            text="".join(text_of(part.get("text")) for part in parts if part.get("type") == "output_text"),
            finish=finish,
            usage=_usage(mapping_of(answer.get("usage"))),
            model=text_of(answer.get("model")),
            detail=detail,
            thoughts=_thoughts(items),
            sources=_sources(parts),
            calls=calls,
            said=in_fixed_order([_without_nulls(item) for item in items]) if calls else None,
        )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return chat_failure(status, headers, body)

    def lower(self, schema: Json) -> LoweredSchema:
        return lower_for_openai(schema)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, _clean)


def _items(message: Message) -> list[Json]:
    """One item; the turn of a model that called tools has several, and so have the results."""
    if message.said is not None:
        return list_of(message.said)
    if message.results:
        results = message.results
        return [{"type": "function_call_output", "call_id": one.call.id, "output": told(one)} for one in results]
    return [{"role": message.role, "content": _said(message)}]


def _tools(call: Call) -> dict[str, Json]:
    """The tools that a model may call, and whether it must. The arguments are held to their schema here."""
    choice: Json = call.tool_choice or None
    if choice not in (None, "required", "none"):
        choice = {"type": "function", "name": call.tool_choice}
    tools = [{"type": "function", **function_of(tool), "strict": False} for tool in call.tools if not tool.own]
    own = own_of(OpenAIResponsesDialect.name, call.tools)
    return {"tools": [*tools, *own] or None, "tool_choice": choice}


def _call(item: Mapping[str, Json]) -> ToolCall:
    return read_call(text_of(item.get("call_id")), text_of(item.get("name")), item.get("arguments"))


def _without_nulls(item: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in item.items() if value is not None}


def _said(message: Message) -> Json:
    """A text alone is a text; files come before it as parts."""
    if not message.files:
        return message.text
    return [*map(_file, message.files), {"type": "input_text", "text": message.text}]


def _file(medium: Medium) -> Json:
    fields = _part(medium).fields
    if medium.kind == "image":
        return {"type": "input_image", **fields, "detail": medium.resolution or "auto"}
    return {"type": "input_text" if medium.mime == TEXT else "input_file", **fields}


def _part(medium: Medium) -> Part:
    mark, inline = data_url(medium, is_mark=True), data_url(medium, is_mark=False)
    if medium.kind == "image":
        return Part(medium, {"image_url": mark}, {"image_url": inline}, {"file_id": HERE})
    if medium.mime == TEXT:
        return Part(medium, {"text": name_of(medium)}, {"text": HERE}, is_text=True)
    name = {"filename": FILE_NAMES[medium.mime]}
    return Part(medium, {**name, "file_data": mark}, {**name, "file_data": inline}, {"file_id": HERE})


def _reasoning(call: Call, route: Route) -> Json:
    if call.thinking is None:
        return None
    return {"effort": route.facts.thinking_words.get(call.thinking, call.thinking)}


def _content(item: Mapping[str, Json]) -> list[Json]:
    return list_of(item.get("content"))


def _finish(answer: Mapping[str, Json], error: Mapping[str, Json]) -> tuple[Finish, str]:
    """Only `completed` is success; an answer that was stopped says why."""
    status = text_of(answer.get("status"))
    if error:
        return Finish.REFUSED, show(text_of(error.get("code")))
    if status == "completed":
        return Finish.COMPLETE, status
    reason = text_of(mapping_of(answer.get("incomplete_details")).get("reason"))
    detail = show(reason) or show(status) or "no status"
    if status != "incomplete":
        return Finish.UNKNOWN, detail
    return Finish.CUT if reason in _CUTS else Finish.REFUSED if reason == "content_filter" else Finish.UNKNOWN, detail


def _is_policy(error: Mapping[str, Json]) -> bool:
    """A prompt that the provider's rules forbid, told as a failed answer."""
    code = text_of(error.get("code"))
    return code == "bio_policy" or code.endswith("_policy_violation")


def _thoughts(items: list[dict[str, Json]]) -> str:
    summaries = [list_of(item.get("summary")) for item in items if item.get("type") == "reasoning"]
    return "\n\n".join(text_of(mapping_of(part).get("text")) for summary in summaries for part in summary)


def _sources(parts: list[dict[str, Json]]) -> tuple[Citation, ...]:
    notes = [mapping_of(note) for part in parts for note in list_of(part.get("annotations"))]
    return citations((note.get("url"), note.get("title")) for note in notes if note.get("type") == "url_citation")


def _usage(usage: Mapping[str, Json]) -> Usage:
    prompt = count_of(usage.get("input_tokens"))
    if not prompt:
        return Usage()
    return Usage(
        input_tokens=prompt,
        output_tokens=count_of(usage.get("output_tokens")),
        cached_tokens=count_of(mapping_of(usage.get("input_tokens_details")).get("cached_tokens")),
        thinking_tokens=count_of(mapping_of(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )


def _clean(answer: dict[str, Json]) -> None:
    """Take out ids, clocks, opaque reasoning and what only says how warm the provider's prompt cache was."""
    for name in ("id", "created_at", "completed_at"):
        answer.pop(name, None)
    items = [mapping_of(item) for item in list_of(answer.get("output"))]
    if any(item.get("type") == "function_call" for item in items):
        items = []  # they go back with the next turn, whose key they are part of
    for item in items:
        for name in ("id", "encrypted_content"):
            item.pop(name, None)
    mapping_of(answer.get("usage")).pop("input_tokens_details", None)
