"""Streams of every protocol, put together: what comes out is what the same question would have brought at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.long_text import LongBody, LongText, Stretch, spell
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.core.response import Finish, Response, Usage
from runner.dialects import DIALECTS
from runner.dialects.sse import Events
from runner.dialects.streams import STREAMS


def sse(*events: Any) -> list[bytes]:
    return [f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode() for event in events]


def gemini(parts: list[Any], **more: Any) -> Any:
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, **more}], "modelVersion": "g"}


def chat(delta: Any, finish: str | None = None, **more: Any) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "c", "choices": [choice], **more}


USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "totalTokenCount": 16}
RESPONSE = {
    "id": "resp_1",
    "status": "completed",
    "model": "r",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Think."}]},
        {"type": "message", "content": [{"type": "output_text", "text": "Grüße"}]},
    ],
    "usage": {"input_tokens": 9, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 4}},
}
STREAMED = {
    "gemini": sse(
        gemini([{"text": "Thi", "thought": True}]),
        gemini([{"text": "nk.", "thought": True}]),
        gemini([{"text": "Grü"}]),
        gemini([{"text": "ße", "thoughtSignature": "c2ln"}]),
        {**gemini([{"text": ""}], finishReason="STOP"), "usageMetadata": USAGE},
    ),
    "openai-chat": sse(
        chat({"role": "assistant", "content": "", "refusal": None}, usage=None),
        chat({"reasoning_content": "Think."}),
        chat({"content": "Grü"}),
        chat({"content": "ße"}),
        chat({}, "stop"),
        {
            "id": "c1",
            "model": "c",
            "choices": [],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 7,
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
        },
        "[DONE]",
    ),
    "openai-responses": sse(
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "delta": "Grü"},
        {"type": "response.output_text.delta", "delta": "ße"},
        {"type": "response.output_text.done", "text": "Grüße"},
        {"type": "response.completed", "response": RESPONSE},
    ),
    "anthropic": sse(
        {"type": "message_start", "message": {"model": "a", "content": [], "usage": {"input_tokens": 9}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Think."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "ping"},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grü"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "ße"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}, "input_tokens": None},
        },
        {"type": "message_stop"},
    ),
}
STREAMED["vertex"] = STREAMED["gemini"]
MODELS = {"gemini": "g", "vertex": "g", "openai-chat": "c", "openai-responses": "r", "anthropic": "a"}
NAMES = sorted(STREAMS)


def fold(dialect: str, *pieces: bytes) -> tuple[str, bytes | None]:
    """The text that was told, and the payload."""
    found = STREAMS[dialect].fold()
    said = "".join([found.take(piece) for piece in pieces])
    return said, found.payload()


def fail(dialect: str, *pieces: bytes) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        fold(dialect, *pieces)
    return caught.value


@pytest.mark.parametrize("dialect", NAMES)
def test_a_stream_becomes_the_answer_that_it_is(dialect: str) -> None:
    said, payload = fold(dialect, *STREAMED[dialect])
    assert payload is not None
    answer = DIALECTS[dialect].decode(payload)
    assert said == answer.text == "Grüße"
    assert (answer.finish, answer.model) == (Finish.COMPLETE, MODELS[dialect])
    assert answer.usage == Usage(9, 7, None, 4)
    assert "Think." in payload.decode()


@pytest.mark.parametrize("dialect", NAMES)
@given(st.data())
def test_where_the_pieces_are_cut_makes_no_difference(dialect: str, data: Any) -> None:
    whole = b"".join(STREAMED[dialect])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert fold(dialect, *pieces) == fold(dialect, whole)


@pytest.mark.parametrize("dialect", NAMES)
def test_a_stream_that_is_cut_anywhere_is_no_answer(dialect: str) -> None:
    whole = b"".join(STREAMED[dialect])
    for end in range(len(whole) - 1):
        assert fold(dialect, whole[:end])[1] is None


@pytest.mark.parametrize("dialect", NAMES)
def test_carriage_returns_comments_names_and_a_mark_change_nothing(dialect: str) -> None:
    lines = b"\xef\xbb\xbf: keep-alive\n\n" + b"".join(
        b"event: x\nid: 1\nretry: 5\n" + one for one in STREAMED[dialect]
    )
    for ending in (b"\r\n", b"\r"):
        pieces = [bytes([byte]) for byte in lines.replace(b"\n", ending)]
        assert fold(dialect, *pieces) == fold(dialect, *STREAMED[dialect])


def test_data_on_several_lines_is_one_event() -> None:
    events = Events()
    assert events.take(b"data: [1,\ndata:2]\n\ndata\n\ndata: x\n") == [b"[1,\n2]"]
    assert events.take(b"\n") == [b"x"]


@pytest.mark.parametrize("dialect", NAMES)
def test_what_is_no_json_ends_the_stream(dialect: str) -> None:
    failure = fail(dialect, STREAMED[dialect][0], b"data: <oops>\n\n").failure
    assert failure.kind is FailureKind.BAD_ANSWER


@dataclass(frozen=True)
class Broken:
    dialect: str
    event: Any
    kind: FailureKind
    message: str


BROKEN = (
    Broken(
        "gemini",
        [{"error": {"code": 503, "status": "UNAVAILABLE", "message": "too busy"}}],
        FailureKind.TRANSIENT,
        "the provider answered 200: too busy",
    ),
    Broken("openai-chat", {"error": {"code": "rate_limit_exceeded", "message": "slow"}}, FailureKind.TRANSIENT,
           "the provider answered 200: slow"),
    Broken("openai-responses", {"type": "error", "code": "server_error", "message": "oops"}, FailureKind.TRANSIENT,
           "the provider answered 200: oops"),
    Broken("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "full"}},
           FailureKind.TRANSIENT, "the provider answered 200: full"),
)  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.dialect)
def test_an_error_in_the_middle_is_the_failure_that_it_says(broken: Broken) -> None:
    events = STREAMED[broken.dialect]
    for number in range(len(events) - 1):
        failure = fail(broken.dialect, *events[:number], *sse(broken.event)).failure
        assert (failure.kind, failure.message) == (broken.kind, broken.message)


def decoded(dialect: str, *events: Any) -> Response:
    payload = fold(dialect, *sse(*events))[1]
    assert payload is not None
    return DIALECTS[dialect].decode(payload)


def test_what_is_cut_off_or_refused_is_so_in_a_stream() -> None:
    assert decoded("gemini", gemini([{"text": "a"}]), gemini([], finishReason="MAX_TOKENS")).finish is Finish.CUT
    blocked = decoded("gemini", {"promptFeedback": {"blockReason": "SAFETY"}})
    assert (blocked.finish, blocked.detail) == (Finish.REFUSED, "the prompt was blocked: SAFETY")
    refused = decoded("openai-chat", chat({"refusal": "I "}), chat({"refusal": "won't"}), chat({}, "stop"), "[DONE]")
    assert (refused.finish, refused.detail, refused.text) == (Finish.REFUSED, "refusal: I won't", "")
    assert decoded("openai-chat", chat({"content": "a"}), chat({}, "length"), "[DONE]").finish is Finish.CUT
    cut = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert decoded("openai-responses", {"type": "response.incomplete", "response": cut}).finish is Finish.CUT
    stopped = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 7}}
    begun = {"type": "message_start", "message": {"content": [], "usage": {}}}
    assert decoded("anthropic", begun, stopped, {"type": "message_stop"}).finish is Finish.CUT


def test_a_failed_response_is_what_its_error_says() -> None:
    failed = {"status": "failed", "error": {"code": "server_error", "message": "oops"}, "output": []}
    with pytest.raises(CallFailed) as caught:
        decoded("openai-responses", {"type": "response.failed", "response": failed})
    assert caught.value.failure.kind is FailureKind.TRANSIENT


def test_a_stream_that_ends_without_a_choice_is_no_answer() -> None:
    with pytest.raises(CallFailed) as caught:
        decoded("openai-chat", "[DONE]")
    assert caught.value.failure.message == "the answer has no choices"
    assert decoded("openai-chat", chat({}, "stop"), "[DONE]").text == ""


def test_calls_of_tools_come_in_pieces() -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    second = {"index": 1, "id": "call_2", "type": "function", "function": {"name": "up", "arguments": "{}"}}
    payload = fold(
        "openai-chat",
        *sse(
            chat({"role": "assistant", "content": None, "tool_calls": [first]}),
            chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"id"'}}, second]}),
            chat({"tool_calls": [{"index": 0, "id": None, "function": {"arguments": ": 1}"}}]}),
            chat({}, "tool_calls"),
            "[DONE]",
        ),
    )[1]
    assert payload is not None
    choice = json.loads(payload)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"id": 1}'}},
            {"id": "call_2", "type": "function", "function": {"name": "up", "arguments": "{}"}},
        ],
    }


def test_tools_citations_and_unknown_pieces_of_a_message() -> None:
    def piece(number: int, **delta: Any) -> Any:
        return {"type": "content_block_delta", "index": number, "delta": delta}

    payload = fold(
        "anthropic",
        *sse(
            {"type": "message_start", "message": {"content": []}},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "tool_use", "name": "f", "input": {}},
            },
            piece(0, type="input_json_delta", partial_json='{"a": '),
            piece(0, type="input_json_delta", partial_json="1}"),
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "tool_use", "name": "g", "input": {}},
            },
            piece(1, type="input_json_delta", partial_json='{"cut'),
            piece(2, type="text_delta", text="x"),
            piece(2, type="citations_delta", citation={"n": 1}),
            piece(2, type="something_new", text="y"),
            {"type": "something_new"},
            {"type": "message_stop"},
        ),
    )[1]
    assert payload is not None
    assert json.loads(payload)["content"] == [
        {"type": "tool_use", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "name": "g", "input": {}},
        {"type": "text", "text": "x", "citations": [{"n": 1}]},
    ]


def test_lists_of_a_message_grow_and_other_choices_are_left_out() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "other"}}]}
    payload = fold(
        "openai-chat", *sse(chat({"annotations": [1]}), other, chat({"annotations": [2], "content": "a"}), "[DONE]")
    )[1]
    assert payload is not None
    assert json.loads(payload)["choices"][0]["message"] == {"role": "assistant", "content": "a", "annotations": [1, 2]}


def test_parts_that_are_no_text_stand_between_texts() -> None:
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s"}
    payload = fold(
        "gemini",
        *sse(
            gemini([{"text": "a"}, call, {"text": "b"}]),
            gemini([{"text": "c", "thoughtSignature": "t"}]),
            gemini([{"text": "d"}], finishReason="STOP"),
            {"usageMetadata": USAGE},
        ),
    )[1]
    assert payload is not None
    answer = json.loads(payload)
    assert answer["candidates"][0]["content"]["parts"] == [
        {"text": "a"},
        call,
        {"text": "bc", "thoughtSignature": "t"},
        {"text": "d"},
    ]
    assert answer["usageMetadata"] == USAGE


def test_nothing_is_read_after_the_last_event() -> None:
    found = STREAMS["openai-chat"].fold()
    found.take(b"".join(STREAMED["openai-chat"]) + b"data: <oops>\n\n")
    assert found.is_over


REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gemini": ("/v1beta/models/g:generateContent", "/v1beta/models/g:streamGenerateContent?alt=sse", {}),
    "vertex": ("/v1/publishers/google/models/g:generateContent",
               "/v1/publishers/google/models/g:streamGenerateContent?alt=sse", {}),
    "openai-chat": ("/chat/completions", "/chat/completions",
                    {"stream": True, "stream_options": {"include_usage": True}}),
    "openai-responses": ("/responses", "/responses", {"stream": True}),
    "anthropic": ("/v1/messages", "/v1/messages", {"stream": True}),
}  # fmt: skip


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("dialect", NAMES)
def test_a_request_for_a_stream_says_so_and_nothing_else(dialect: str, is_long: bool) -> None:
    endpoint, streamed, flags = REQUESTS[dialect]
    body = spell({"model": LongText((Stretch("m", 0, 1),)) if is_long else "m"})
    request = Request(dialect, 1, "box", endpoint, body, sample=2, salt="s")
    opened = STREAMS[dialect].open(request)
    assert isinstance(opened.body, LongBody) == is_long
    assert (opened.endpoint, json.loads(bytes(opened.body))) == (streamed, {"model": "m", **flags})
    assert (opened.sample, opened.salt, opened.headers) == (2, "s", request.headers)
