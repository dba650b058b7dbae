"""The shape of Chat Completions, spoken by OpenAI, by most own servers and by the embedded engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.core.call import Call, Message, ToolCall
from runner.core.canonical import Json
from runner.core.media import MediaRules, Medium
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Citation, Finish, Response, Usage
from runner.dialects.calling import function_of, in_fixed_order, read_call, told
from runner.dialects.failing import describe_failure, kind_of_status
from runner.dialects.media import FILE_NAMES, HERE, TEXT, Part, data_url, name_of
from runner.dialects.payload import (
    bad_answer,
    citations,
    count_of,
    list_of,
    mapping_of,
    read_answer,
    read_error,
    show,
    text_of,
)

_FINISHES = {"stop": Finish.COMPLETE, "length": Finish.CUT, "content_filter": Finish.REFUSED}

# The code or type of an error outweighs its status: gateways are careless with the latter.
_KINDS = {
    "invalid_api_key": FailureKind.AUTH,
    "authentication_error": FailureKind.AUTH,
    "insufficient_quota": FailureKind.QUOTA,
    "billing_hard_limit_reached": FailureKind.QUOTA,
    "billing_not_active": FailureKind.QUOTA,
    "model_not_found": FailureKind.NOT_FOUND,
    "invalid_request": FailureKind.BAD_REQUEST,
    "context_length_exceeded": FailureKind.BAD_REQUEST,
    "exceed_context_size_error": FailureKind.BAD_REQUEST,
    "unsupported_value": FailureKind.BAD_REQUEST,
    "unsupported_parameter": FailureKind.BAD_REQUEST,
    "invalid_json_schema": FailureKind.BAD_REQUEST,
    "invalid_prompt": FailureKind.BAD_REQUEST,
}
# These say more than a 200, and nothing more than any other status.
_KINDS_IN_A_200 = {
    "rate_limit_exceeded": FailureKind.TRANSIENT,
    "server_error": FailureKind.TRANSIENT,
    "overloaded": FailureKind.TRANSIENT,
    "vector_store_timeout": FailureKind.TRANSIENT,
    "unavailable_error": FailureKind.TRANSIENT,
    "invalid_request_error": FailureKind.BAD_REQUEST,
}

CHAT_MEDIA = MediaRules(
    {
        "image": frozenset(f"image/{name}" for name in ("png", "jpeg", "gif", "webp")),
        "audio": frozenset({"audio/wav", "audio/mp3"}),
        "document": frozenset({"application/pdf", TEXT}),
    },
    resolutions=frozenset(("low", "high")),
    request_bytes=50_000_000,
    uploads=frozenset(("document",)),
    only_inline=frozenset((TEXT,)),
    file_bytes=512_000_000,
)


def chat_messages(system: str | None, messages: Sequence[Message], *, system_role: str) -> list[Json]:
    opening = [{"role": system_role, "content": system}] if system is not None else []
    return opening + [spoken for message in messages for spoken in _spoken(message)]


def _spoken(message: Message) -> list[Json]:
    """One message; the results of tools are each one of their own."""
    if message.said is not None:
        return [message.said]
    if message.results:
        return [{"role": "tool", "tool_call_id": one.call.id, "content": told(one)} for one in message.results]
    return [{"role": message.role, "content": _content(message)}]


def chat_tools(call: Call) -> dict[str, Json]:
    """The tools that a model may call, and whether it must."""
    choice: Json = call.tool_choice or None
    if choice not in (None, "required", "none"):
        choice = {"type": "function", "function": {"name": call.tool_choice}}
    tools = [{"type": "function", "function": function_of(tool)} for tool in call.tools]
    return {"tools": tools or None, "tool_choice": choice}


def _content(message: Message) -> Json:
    """A text alone is a text; files come before it as parts."""
    if not message.files:
        return message.text
    return [*map(_file, message.files), {"type": "text", "text": message.text}]


def _file(medium: Medium) -> Json:
    """A part of a message; what is no picture and no sound is a file, and plain text is text."""
    fields = dict(chat_part(medium).fields)
    if medium.kind == "image":
        look = {} if medium.resolution is None else {"detail": medium.resolution}
        return {"type": "image_url", "image_url": {**fields, **look}}
    if medium.kind == "audio":
        return {"type": "input_audio", "input_audio": fields}
    return {"type": "text", **fields} if medium.mime == TEXT else {"type": "file", "file": fields}


def chat_part(medium: Medium) -> Part:
    """What of a part gives way to the file. Only documents can be uploaded."""
    if medium.kind == "image":
        return Part(medium, {"url": data_url(medium, is_mark=True)}, {"url": data_url(medium, is_mark=False)})
    if medium.kind == "audio":
        form = {"format": medium.mime.removeprefix("audio/")}
        return Part(medium, {"data": name_of(medium), **form}, {"data": HERE, **form})
    if medium.mime == TEXT:
        return Part(medium, {"text": name_of(medium)}, {"text": HERE}, is_text=True)
    name = {"filename": FILE_NAMES[medium.mime]}
    return Part(
        medium,
        {**name, "file_data": data_url(medium, is_mark=True)},
        {**name, "file_data": data_url(medium, is_mark=False)},
        {"file_id": HERE},
    )


def decode_chat(payload: bytes) -> Response:
    """The first choice of a chat completion. Raises CallFailed when there is none."""
    answer = read_answer(payload)
    choices = list_of(answer.get("choices"))
    if not choices and answer.get("error"):
        raise CallFailed(chat_failure(200, {}, payload))
    if not choices:
        raise bad_answer("the answer has no choices")
    choice = mapping_of(choices[0])
    message = choice.get("message")
    if not isinstance(message, dict):
        raise bad_answer("the answer's first choice has no message")
    word = text_of(choice.get("finish_reason"))
    finish, detail = _FINISHES.get(word, Finish.UNKNOWN), show(word) or "no finish reason"
    if text_of(message.get("refusal")):
        finish, detail = Finish.REFUSED, f"refusal: {show(message['refusal'])}"
    raw = [mapping_of(call) for call in list_of(message.get("tool_calls"))]
    said: Json = None
    if raw and finish is not Finish.CUT and finish is not Finish.REFUSED:
        # Some servers say `stop` where they call, and leave the id out.
        raw = [{**call, "id": text_of(call.get("id")) or f"call_{number}"} for number, call in enumerate(raw, 1)]
        raw = [{name: value for name, value in call.items() if name != "index"} for call in raw]
        finish, said = Finish.TOOLS, {"role": "assistant", "content": message.get("content"), "tool_calls": raw}
    return Response(
        text=_text(message.get("content")),
        finish=finish,
        usage=_usage(mapping_of(answer.get("usage"))),
        model=text_of(answer.get("model")),
        detail=detail,
        # Own servers that think aloud have one of two names for it.
        thoughts=text_of(message.get("reasoning_content")) or text_of(message.get("reasoning")),
        sources=_sources(message),
        calls=tuple(map(_call, raw)) if said is not None else (),
        said=in_fixed_order(said),
    )


def _sources(message: Mapping[str, Json]) -> tuple[Citation, ...]:
    if not message.get("annotations"):
        return ()
    notes = [mapping_of(mapping_of(note).get("url_citation")) for note in list_of(message["annotations"])]
    return citations((note.get("url"), note.get("title")) for note in notes)


def _call(call: Mapping[str, Json]) -> ToolCall:
    function = mapping_of(call.get("function"))
    return read_call(text_of(call.get("id")), text_of(function.get("name")), function.get("arguments"))


def _text(content: Json) -> str:
    """A text, or the text parts of a list of parts (thoughts have a type of their own)."""
    if isinstance(content, str):
        return content
    parts = [mapping_of(part) for part in list_of(content)]
    return "".join(text_of(part.get("text")) for part in parts if part.get("type") == "text")


def _usage(usage: Mapping[str, Json]) -> Usage:
    # No prompt has zero tokens: some gateways fill what they do not count with zeros.
    prompt = count_of(usage.get("prompt_tokens"))
    if not prompt:
        return Usage()
    return Usage(
        input_tokens=prompt,
        output_tokens=count_of(usage.get("completion_tokens")),
        cached_tokens=count_of(mapping_of(usage.get("prompt_tokens_details")).get("cached_tokens")),
        thinking_tokens=count_of(mapping_of(usage.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def chat_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """An error in OpenAI's shape: `{"error": {message, type, param, code}}`, or a bare text under `error`."""
    raw = read_error(body)
    error = raw.get("error", raw.get("detail", raw))
    if isinstance(error, str):
        return describe_failure(status, headers, body, kind=None, message=error)
    error = mapping_of(error)
    kind = _kind(status, error)
    return describe_failure(status, headers, body, kind=kind, message=text_of(error.get("message")))


def _kind(status: int, error: Mapping[str, Json]) -> FailureKind | None:
    code = error.get("code")
    words = [text_of(code), text_of(error.get("type"))]
    for word in words:
        if word in _KINDS:
            return _KINDS[word]
    if status != 200:
        return None
    if isinstance(code, int) and 400 <= code < 600:
        return kind_of_status(code)
    if any("image" in word for word in words):
        return FailureKind.BAD_REQUEST  # a picture that cannot be read, for one of many reasons
    return next((_KINDS_IN_A_200[word] for word in words if word in _KINDS_IN_A_200), None)


def clean_chat(answer: dict[str, Json]) -> None:
    """Take out ids, clocks, builds and what only says how warm the provider's prompt cache was."""
    for name in ("id", "created", "system_fingerprint", "timings"):
        answer.pop(name, None)
    mapping_of(answer.get("usage")).pop("prompt_tokens_details", None)
