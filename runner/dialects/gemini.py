"""Gemini's generateContent: v1beta of the Gemini API and of the gateways in front of it, v1 of Vertex AI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

import orjson

from runner.core.call import Call, Message, ToolCall, ToolResult, ToolSpec
from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.core.long_text import spell
from runner.core.media import MEDIUM_KINDS, MediaRules, Medium
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, LoweredSchema
from runner.core.request import Request
from runner.core.response import Citation, Finish, Response, Usage
from runner.dialects.calling import function_of, in_fixed_order, read_call
from runner.dialects.failing import describe_failure, kind_of_status, read_seconds
from runner.dialects.gemini_schema import lower_for_gemini
from runner.dialects.media import HERE, TEXT, Part, attachments, name_of
from runner.dialects.naming import identity_of
from runner.dialects.options import place_options
from runner.dialects.own_tools import own_of
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

# Where each named option goes in the body.
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "topK": ("generationConfig",),
    "presencePenalty": ("generationConfig",),
    "frequencyPenalty": ("generationConfig",),
    "mediaResolution": ("generationConfig",),
    "enableEnhancedCivicAnswers": ("generationConfig",),
    "thinkingBudget": ("generationConfig", "thinkingConfig"),
    "includeThoughts": ("generationConfig", "thinkingConfig"),
    "safetySettings": (),
    "serviceTier": (),
    "store": (),
}
# Vertex AI logs nothing by `store` and has tiers elsewhere; it takes labels, and screens of its own.
_VERTEX_OPTIONS: Mapping[str, tuple[str, ...]] = {
    **{
        name: place
        for name, place in _OPTIONS.items()
        if name not in {"enableEnhancedCivicAnswers", "serviceTier", "store"}
    },
    "audioTimestamp": ("generationConfig",),
    "routingConfig": ("generationConfig",),
    "labels": (),
    "modelArmorConfig": (),
}
_ROLES = {"user": "user", "assistant": "model"}
_REFUSALS = frozenset({"SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "LANGUAGE", "MODEL_ARMOR"})


class GeminiDialect:
    name: ClassVar[str] = "gemini"
    key_version: ClassVar[int] = 1
    models: ClassVar[str] = "/v1beta/models/"
    places: ClassVar[Mapping[str, tuple[str, ...]]] = _OPTIONS
    options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)
    lacks: ClassVar[frozenset[str]] = frozenset()
    media: ClassVar[MediaRules] = MediaRules(
        {
            "image": frozenset(f"image/{name}" for name in ("png", "jpeg", "webp", "heic", "heif")),
            "audio": frozenset(f"audio/{name}" for name in ("wav", "mp3", "aiff", "aac", "ogg", "flac", "mp4")),
            "video": frozenset(
                f"video/{name}" for name in ("mp4", "mpeg", "quicktime", "avi", "x-flv", "webm", "wmv", "3gpp")
            ),
            "document": frozenset({"application/pdf", TEXT}),
        },
        resolutions=frozenset(("low", "medium", "high")),
        has_clips=True,
        request_bytes=100_000_000,
        pdf_bytes=50_000_000,
        uploads=frozenset(MEDIUM_KINDS),
    )

    def encode(self, call: Call, route: Route) -> Request:
        sent = spell(self.fields(call, route))
        return Request(
            dialect=self.name,
            key_version=self.key_version,
            provider=identity_of(route.provider),
            endpoint=f"{self.models}{quote(route.model, safe='')}:generateContent",
            body=sent,
            sample=call.sample,
            salt=call.salt,
            attachments=attachments(call, _part, self.media, route.provider, sent),
        )

    def fields(self, call: Call, route: Route) -> dict[str, Json]:
        """The body before it is spelt: long texts stand in it as they are."""
        body: dict[str, Json] = {}
        if call.system is not None:
            body["systemInstruction"] = {"parts": [{"text": call.system}]}
        body["contents"] = [_content(message) for message in call.messages]
        body |= self._tools(call)
        config = self._config(call, route)
        if config:
            body["generationConfig"] = config
        place_options(body, call.options, self.places)
        return body

    def _tools(self, call: Call) -> dict[str, Json]:
        """The tools that a model may call, and whether it must."""
        declared = [self._declaration(tool) for tool in call.tools if not tool.own]
        functions = [{"functionDeclarations": declared}] if declared else []
        own = own_of(self.name, call.tools)
        found: dict[str, Json] = {"tools": [*functions, *own]} if functions or own else {}
        if functions and own:
            # What the provider ran goes back with the turn, beside the calls of functions; the service wants it so.
            found["toolConfig"] = {"includeServerSideToolInvocations": True}
        if call.tool_choice:
            mode = {"required": "ANY", "none": "NONE"}.get(call.tool_choice)
            one = {} if mode else {"allowedFunctionNames": [call.tool_choice]}
            found["toolConfig"] = {"functionCallingConfig": {"mode": mode or "ANY", **one}}
        return found

    def _declaration(self, tool: ToolSpec) -> Json:
        function = function_of(tool)
        schema = function.pop("parameters")
        return {**function, "parametersJsonSchema": self.lower(schema).body}

    def _config(self, call: Call, route: Route) -> dict[str, Json]:
        config: dict[str, Json] = {
            "temperature": call.temperature,
            "topP": call.top_p,
            "maxOutputTokens": call.max_output_tokens,
            "seed": call.seed,
            "stopSequences": list(call.stop) or None,
        }
        config = {name: value for name, value in config.items() if value is not None}
        if call.schema is not None:
            config["responseMimeType"] = "application/json"
            config["responseJsonSchema"] = self.lower(call.schema).body
        # A level and a budget exclude each other on the wire: the option is the author's more exact word.
        if call.thinking is not None and "thinkingBudget" not in call.options:
            config["thinkingConfig"] = _thinking(call.thinking, route)
        return config

    def decode(self, payload: bytes) -> Response:
        answer = read_answer(payload)
        candidates = list_of(answer.get("candidates"))
        if not candidates and answer.get("error"):
            raise CallFailed(self.failure(200, {}, payload))
        usage, model = _usage(mapping_of(answer.get("usageMetadata"))), text_of(answer.get("modelVersion"))
        if not candidates:
            reason = text_of(mapping_of(answer.get("promptFeedback")).get("blockReason"))
            if not reason:
                raise bad_answer("the answer has no candidates")
            return Response("", Finish.REFUSED, usage, model, f"the prompt was blocked: {show(reason)}")
        candidate = mapping_of(candidates[0])
        word = text_of(candidate.get("finishReason"))
        parts = [mapping_of(part) for part in list_of(mapping_of(candidate.get("content")).get("parts"))]
        text, thoughts = (
            "".join(text_of(part.get("text")) for part in parts if bool(part.get("thought")) is is_thought)
            for is_thought in (False, True)
        )
        calls = tuple(_call(mapping_of(part["functionCall"])) for part in parts if part.get("functionCall"))
        finish, detail = _finish(word), show(word) or "no finish reason"
        if not calls or finish is not Finish.COMPLETE:
            return Response(text, finish, usage, model, detail, thoughts, _sources(candidate))
        return Response(
            text, Finish.TOOLS, usage, model, detail, thoughts, calls=calls, said=in_fixed_order(candidate["content"])
        )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        error = read_error(body).get("error")
        if not isinstance(error, dict):
            return describe_failure(status, headers, body, kind=None, message=text_of(error))
        # An error inside a 200 says its own status.
        kind = _kind(count_of(error.get("code")) or status if status == 200 else status, error)
        return describe_failure(
            status, headers, body, kind=kind, message=text_of(error.get("message")), retry_after_s=_retry_delay_s(error)
        )

    def lower(self, schema: Json) -> LoweredSchema:
        return lower_for_gemini(schema)

    def scrub(self, payload: bytes) -> bytes:
        return scrub_json(payload, _clean)


class VertexDialect(GeminiDialect):
    """The same on Vertex AI. The project and the location of a request are the transport's to add: no answer depends
    on them, so they are not in the key; without them the endpoint is the one of express mode.
    """

    name: ClassVar[str] = "vertex"
    models: ClassVar[str] = "/v1/publishers/google/models/"
    places: ClassVar[Mapping[str, tuple[str, ...]]] = _VERTEX_OPTIONS
    options: ClassVar[frozenset[str]] = frozenset(_VERTEX_OPTIONS)
    media: ClassVar[MediaRules] = replace(GeminiDialect.media, uploads=frozenset())


def _content(message: Message) -> Json:
    """One turn. What a model said goes back as it came, with the signatures of its thoughts."""
    if message.said is not None:
        return {"role": "model", **message.said}
    if message.results:
        return {"role": "user", "parts": [_result(one) for one in message.results]}
    return {"role": _ROLES[message.role], "parts": [*map(_file, message.files), {"text": message.text}]}


def _result(result: ToolResult) -> Json:
    answer = {"error": result.text} if result.is_error else {"output": orjson.loads(result.text)}
    named = {"id": result.call.id} if result.call.id else {}
    return {"functionResponse": {**named, "name": result.call.name, "response": answer}}


def _call(call: Mapping[str, Json]) -> ToolCall:
    return read_call(text_of(call.get("id")), text_of(call.get("name")), call.get("args"))


def _file(medium: Medium) -> dict[str, Json]:
    """A part of `contents`; what is said of a part of a video stands beside it."""
    clip = medium.clip
    found: dict[str, Json] = dict(_part(medium).fields)
    if clip is not None:
        offsets = {"startOffset": clip.start, "endOffset": clip.end}
        found["videoMetadata"] = {name: _duration(second) for name, second in offsets.items() if second is not None}
        if clip.fps is not None:
            found["videoMetadata"]["fps"] = clip.fps
    if medium.resolution is not None:
        found["mediaResolution"] = {"level": f"MEDIA_RESOLUTION_{medium.resolution.upper()}"}
    return found


def _duration(seconds: float) -> str:
    """Seconds with at most nine digits after the point, as the services read them."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _part(medium: Medium) -> Part:
    mime = medium.mime
    return Part(
        medium,
        {"inlineData": {"mimeType": mime, "data": name_of(medium)}},
        {"inlineData": {"mimeType": mime, "data": HERE}},
        {"fileData": {"mimeType": mime, "fileUri": HERE}},
    )


def _thinking(level: str, route: Route) -> dict[str, Json]:
    """Older models take a number of tokens for a level. One that a project declares for its own model goes as it is called."""
    budget = {name: word for name, word in route.facts.thinking_words.items() if isinstance(word, int)}.get(level)
    return {"thinkingLevel": level.upper()} if budget is None else {"thinkingBudget": budget}


def _finish(word: str) -> Finish:
    if word == "STOP":
        return Finish.COMPLETE
    if word == "MAX_TOKENS":
        return Finish.CUT
    return Finish.REFUSED if word in _REFUSALS or word.startswith("IMAGE_") else Finish.UNKNOWN


def _sources(candidate: Mapping[str, Json]) -> tuple[Citation, ...]:
    """The pages of a search, and those of files that were looked into."""
    chunks = map(mapping_of, list_of(mapping_of(candidate.get("groundingMetadata")).get("groundingChunks")))
    pages = [mapping_of(chunk.get("web") or chunk.get("retrievedContext")) for chunk in chunks]
    return citations((page.get("uri"), page.get("title")) for page in pages)


def _usage(usage: Mapping[str, Json]) -> Usage:
    """Counts that are zero are left out by the server, so a known prompt makes the others known."""
    prompt = count_of(usage.get("promptTokenCount"))
    if not prompt:
        return Usage()
    tools = count_of(usage.get("toolUsePromptTokenCount")) or 0
    answer = count_of(usage.get("candidatesTokenCount")) or 0
    thoughts = count_of(usage.get("thoughtsTokenCount"))
    # Some gateways already count the thoughts among the candidates' tokens; the total gives them away.
    if prompt + tools + answer != count_of(usage.get("totalTokenCount")):
        answer += thoughts or 0
    return Usage(prompt + tools, answer, count_of(usage.get("cachedContentTokenCount")), thoughts)


def _kind(status: int, error: Mapping[str, Json]) -> FailureKind | None:
    details = [mapping_of(detail) for detail in list_of(error.get("details"))]
    if any(text_of(detail.get("reason")).startswith("API_KEY_") for detail in details):
        return FailureKind.AUTH
    # The region or the billing of the account: no other request fares better.
    if status == 400 and error.get("status") == "FAILED_PRECONDITION":
        return FailureKind.AUTH
    quotas = [text_of(mapping_of(v).get("quotaId")) for detail in details for v in list_of(detail.get("violations"))]
    if status == 429 and any("PerDay" in quota for quota in quotas):
        return FailureKind.QUOTA
    if error.get("code") == "invalid_request":
        return FailureKind.BAD_REQUEST
    if error.get("code") == "insufficient_quota" or error.get("type") == "insufficient_quota":
        return FailureKind.QUOTA
    return kind_of_status(status)


def _retry_delay_s(error: Mapping[str, Json]) -> float | None:
    """`retryDelay` of RetryInfo: a decimal number of seconds with an `s`."""
    details = [mapping_of(detail) for detail in list_of(error.get("details"))]
    delays = [read_seconds(text_of(detail.get("retryDelay")).removesuffix("s")) for detail in details]
    return max((delay for delay in delays if delay is not None), default=None)


def _clean(answer: dict[str, Json]) -> None:
    """Take out ids, clocks, opaque signatures and what only says how warm the provider's prompt cache was."""
    for name in ("responseId", "createTime"):
        answer.pop(name, None)
    usage = mapping_of(answer.get("usageMetadata"))
    for name in ("cachedContentTokenCount", "cacheTokensDetails", "trafficType"):
        usage.pop(name, None)
    for candidate in list_of(answer.get("candidates")):
        parts = [mapping_of(part) for part in list_of(mapping_of(mapping_of(candidate).get("content")).get("parts"))]
        if any("functionCall" in part for part in parts):
            continue  # they go back with the next turn, whose key they are part of
        for part in parts:
            part.pop("thoughtSignature", None)
