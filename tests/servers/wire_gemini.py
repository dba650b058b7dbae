"""generateContent of the Gemini API and of Vertex AI, as strict as the real services."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wire import Answer, Json, Received, Refused, Wire, bearer, only, pieces, sse, words
from wire_media import check_gemini_part
from wire_tools import check_gemini_tools, gemini_calls

_SHARED = "contents systemInstruction generationConfig safetySettings tools toolConfig cachedContent"
FIELDS = words(f"{_SHARED} serviceTier store model")
VERTEX_FIELDS = words(f"{_SHARED} labels modelArmorConfig")
_SHARED_CONFIG = (
    "temperature topP topK candidateCount maxOutputTokens stopSequences seed presencePenalty frequencyPenalty "
    "responseLogprobs logprobs responseMimeType responseSchema responseJsonSchema responseModalities thinkingConfig "
    "mediaResolution speechConfig imageConfig"
)
CONFIG_FIELDS = words(f"{_SHARED_CONFIG} enableEnhancedCivicAnswers")
VERTEX_CONFIG_FIELDS = words(f"{_SHARED_CONFIG} audioTimestamp routingConfig")
THINKING_FIELDS = frozenset({"thinkingLevel", "thinkingBudget", "includeThoughts"})
PART_FIELDS = words(
    "text thought toolCall toolResponse inlineData fileData videoMetadata mediaResolution functionCall functionResponse thoughtSignature"
)
LEVELS = frozenset({"MINIMAL", "LOW", "MEDIUM", "HIGH"})
# What the author chose: not a field of the protocol, so its spelling stays.
_FREE = frozenset({"responseJsonSchema", "responseSchema", "parametersJsonSchema", "args", "response", "labels"})
_UNDERSCORE = re.compile(r"_([a-z])")
_MODEL = re.compile(r"/models/([^/:?]+):(?:generateContent|streamGenerateContent)")
_METHOD = r":(generateContent|streamGenerateContent\?alt=sse)"


def read(value: Json) -> Json:
    """Field names in camel case; the real services take both spellings."""
    if isinstance(value, list):
        return [read(each) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("data"), str):
        # Both alphabets of base64 are read; Google's own client writes the one that is safe in addresses.
        value = {**value, "data": value["data"].replace("-", "+").replace("_", "/")}
    spelled = {_UNDERSCORE.sub(lambda found: found[1].upper(), name): inner for name, inner in value.items()}
    return {name: inner if name in _FREE else read(inner) for name, inner in spelled.items()}


def _check(body: Json, _headers: Mapping[str, str]) -> None:
    _check_body(body, FIELDS, CONFIG_FIELDS)


def _check_vertex(body: Json, _headers: Mapping[str, str]) -> None:
    _check_body(body, VERTEX_FIELDS, VERTEX_CONFIG_FIELDS)
    if "includeServerSideToolInvocations" in body.get("toolConfig", {}):
        raise Refused(400, "Unknown name includeServerSideToolInvocations at 'tool_config'", "INVALID_ARGUMENT")
    if any("role" not in turn for turn in body["contents"]):
        raise Refused(400, "please use a valid role: user, model", "INVALID_ARGUMENT")


def _check_body(body: Json, fields: frozenset[str], config_fields: frozenset[str]) -> None:
    only(body, fields, "")
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise Refused(400, "contents is not specified", "INVALID_ARGUMENT")
    check_turns([*contents, *([body["systemInstruction"]] if "systemInstruction" in body else [])])
    check_gemini_tools(body)
    config = body.get("generationConfig", {})
    only(config, config_fields, "generation_config.")
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        raise Refused(400, "responseJsonSchema needs responseMimeType application/json", "INVALID_ARGUMENT")
    thinking = config.get("thinkingConfig", {})
    only(thinking, THINKING_FIELDS, "generation_config.thinking_config.")
    if {"thinkingLevel", "thinkingBudget"} <= set(thinking):
        raise Refused(400, "thinking_level and thinking_budget exclude each other", "INVALID_ARGUMENT")
    if thinking.get("thinkingLevel", "LOW") not in LEVELS:
        raise Refused(400, "invalid value at 'generation_config.thinking_config.thinking_level'", "INVALID_ARGUMENT")


def check_turns(turns: list[Json]) -> None:
    for turn in turns:
        only(turn, frozenset({"role", "parts"}), "contents.")
        if turn.get("role", "user") not in {"user", "model"}:
            raise Refused(400, "please use a valid role: user, model", "INVALID_ARGUMENT")
        for part in turn.get("parts", ()):
            only(part, PART_FIELDS, "contents.parts.")
            if not {"functionCall", "functionResponse", "toolCall", "toolResponse"} & set(part):
                check_gemini_part(part)


def prompt_of(body: Json) -> str:
    turns = [turn for turn in body["contents"] if turn.get("role", "user") == "user"]
    return "".join(part.get("text", "") for part in turns[-1]["parts"]) if turns else ""


def _answer(answer: Answer, received: Received) -> Json:
    reason = {"stop": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}.get(answer.finish, answer.finish)
    thoughts: list[Json] = [{"text": answer.thoughts, "thought": True}] if answer.thoughts else []
    parts = [*thoughts, *(gemini_calls(answer) if answer.calls else [{"text": answer.text}])]
    content = {} if answer.finish == "refused" else {"content": {"role": "model", "parts": parts}}
    match = _MODEL.search(received.path)
    assert match is not None
    usage = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": answer.output_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
    }
    if answer.cached_tokens:
        usage["cachedContentTokenCount"] = answer.cached_tokens
    return {
        "candidates": [{**content, "finishReason": reason, "index": 0}],
        "usageMetadata": usage,
        "modelVersion": answer.model or match[1],
        "responseId": "response-1",
    }


def _stream(answer: Answer, received: Received) -> list[bytes]:
    """Each event is an answer with the part that is new; only the last says why it ended."""
    whole = _answer(answer, received)
    candidate = whole["candidates"][0]
    text = answer.text if "content" in candidate else ""
    events = []
    for piece in pieces(text):
        content = {"role": "model", "parts": [{"text": piece}]}
        events.append({**whole, "candidates": [{"content": content, "index": 0}]})
    last = {name: value for name, value in candidate.items() if name != "content"}
    return [sse(event) for event in [*events, {**whole, "candidates": [last]}]]


def _is_streamed(path: str, _body: Json) -> bool:
    return ":streamGenerateContent" in path


def error(answer: Answer) -> Json:
    status = answer.code or {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND"}.get(
        answer.status, "RESOURCE_EXHAUSTED" if answer.status == 429 else "UNAVAILABLE"
    )
    return {"error": {"code": answer.status, "message": answer.text, "status": status}}


def _key(headers: Mapping[str, str]) -> str:
    return headers.get("x-goog-api-key", "")


def _key_or_token(headers: Mapping[str, str]) -> str:
    return _key(headers) or bearer(headers)


GEMINI = Wire(
    "gemini",
    re.compile(r"/(v1|v1beta)/models/[^/:?]+" + _METHOD),
    _key,
    _check,
    prompt_of,
    _answer,
    error,
    read,
    _stream,
    _is_streamed,
)
VERTEX = Wire(
    "vertex",
    re.compile(r"/(v1|v1beta1)/(projects/[^/]+/locations/[^/]+/)?publishers/google/models/[^/:?]+" + _METHOD),
    _key_or_token,
    _check_vertex,
    prompt_of,
    _answer,
    error,
    read,
    _stream,
    _is_streamed,
)
