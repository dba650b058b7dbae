"""Answers from a file or a function: a neutral body with nothing left out, for tests and for trying a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from runner.core.call import Call, Message
from runner.core.canonical import Json
from runner.core.long_text import spell
from runner.core.magic import ALL_TYPES
from runner.core.media import MEDIUM_KINDS, MediaRules, Medium
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import CallFailed, LoweredSchema
from runner.core.request import Request
from runner.core.response import Finish, Response, Usage
from runner.dialects.calling import function_of, in_fixed_order, read_call, told
from runner.dialects.chat_shape import chat_failure
from runner.dialects.media import name_of
from runner.dialects.naming import digest_endpoint, identity_of
from runner.dialects.payload import bad_answer, count_of, list_of, mapping_of, read_answer, scrub_json, show, text_of

_FINISHES = {"stop": Finish.COMPLETE, "length": Finish.CUT, "refused": Finish.REFUSED}


class ScriptedDialect:
    """The payload is `{"text", "finish": "stop"|"length"|"refused", "usage": {input_tokens, output_tokens}, "model"}`, and `calls`, a list of
    `{"tool", "arguments"}`, where tools are called.
    """

    name: ClassVar[str] = "scripted"
    key_version: ClassVar[int] = 1
    options: ClassVar[frozenset[str]] = frozenset()
    lacks: ClassVar[frozenset[str]] = frozenset()
    media: ClassVar[MediaRules] = MediaRules(
        {kind: ALL_TYPES[kind] for kind in MEDIUM_KINDS}, frozenset(("low", "medium", "high")), has_clips=True
    )

    def encode(self, call: Call, route: Route) -> Request:
        """`settings["script_sha256"]` of the provider must be known by now."""
        fields: dict[str, Json] = {
            "model": route.model,
            "system": call.system,
            "messages": [_message(message) for message in call.messages],
            "schema": call.schema,
            "thinking": call.thinking,
            "temperature": call.temperature,
            "top_p": call.top_p,
            "max_output_tokens": call.max_output_tokens,
            "seed": call.seed,
            "stop": list(call.stop) or None,
            "tools": [function_of(tool) for tool in call.tools] or None,
            "tool_choice": call.tool_choice or None,
        }
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=identity_of(route.provider),
            endpoint=digest_endpoint(route, "script_sha256"),
            body=spell({name: value for name, value in fields.items() if value is not None}),
            sample=call.sample,
            salt=call.salt,
        )

    def decode(self, payload: bytes) -> Response:
        answer = read_answer(payload)
        if answer.get("error"):
            raise CallFailed(self.failure(200, {}, payload))
        if not isinstance(answer.get("text"), str):
            raise bad_answer("the answer has no text")
        usage = mapping_of(answer.get("usage"))
        word = text_of(answer.get("finish"))
        said = list_of(answer.get("calls"))
        calls = tuple(read_call("", text_of(one.get("tool")), one.get("arguments")) for one in map(mapping_of, said))
        return Response(
            text=answer["text"],
            finish=Finish.TOOLS if calls else _FINISHES.get(word, Finish.UNKNOWN),
            calls=calls,
            said=in_fixed_order({"calls": said}) if calls else None,
            usage=Usage(count_of(usage.get("input_tokens")), count_of(usage.get("output_tokens"))),
            model=text_of(answer.get("model")),
            detail=show(word) or "no finish reason",
        )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return chat_failure(status, headers, body)

    def lower(self, schema: Json) -> LoweredSchema:
        return LoweredSchema(body=schema)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, lambda _: None)


def _message(message: Message) -> Json:
    """Files are named by what they hold: nothing is sent anywhere."""
    shown: dict[str, Json] = {"role": message.role, "text": message.text}
    if message.said is not None:
        return {**shown, **message.said}
    if message.results:
        return {"role": "tool", "text": "\n".join(map(told, message.results))}
    return {**shown, "files": [_file(medium) for medium in message.files]} if message.files else shown


def _file(medium: Medium) -> Json:
    clip = medium.clip
    found = {
        medium.kind: name_of(medium),
        "type": medium.mime,
        "clip": [clip.start, clip.end, clip.fps] if clip is not None else None,
        "resolution": medium.resolution,
    }
    return {name: value for name, value in found.items() if value is not None}
