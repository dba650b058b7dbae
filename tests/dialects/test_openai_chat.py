from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.core.call import Call
from runner.core.model import Provider, Route
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Finish, Usage
from runner.dialects.openai_chat import OpenAIChatDialect

chat = OpenAIChatDialect()
OWN = Provider("box", "openai-chat", "http://127.0.0.1:8080/v1")
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]


def body_of(call: Call, route: Route) -> Any:
    return json.loads(bytes(chat.encode(call, route).body))


def said(content: Any, finish: str | None = "stop", **more: Any) -> bytes:
    message = {"role": "assistant", "content": content, **more}
    return json.dumps({"model": "gpt-5.4-mini", "choices": [{"message": message, "finish_reason": finish}]}).encode()


def failed(http: int, headers: dict[str, str] | None = None, **error: Any) -> Any:
    return chat.failure(http, headers or {}, json.dumps({"error": {"message": "no", **error}}).encode())


def test_a_whole_request_is_sent_in_a_fixed_order(route_to: RouteTo, full_call: Call) -> None:
    request = chat.encode(full_call, route_to("openai-chat"))
    assert (request.dialect, request.provider, request.endpoint) == ("openai-chat", "openai-chat", "/chat/completions")
    assert request.body == (
        b'{"model":"gpt-5.4-mini","messages":[{"role":"developer","content":"Answer like an astronomer."},'
        b'{"role":"user","content":"How big is the moon?"},{"role":"assistant","content":"Quite big."},'
        b'{"role":"user","content":"In kilometres, please."}],"reasoning_effort":"low","temperature":0.5,"top_p":0.9,'
        b'"max_completion_tokens":64,"seed":7,"stop":["END","STOP"],"response_format":{"type":"json_schema",'
        b'"json_schema":{"name":"moon","strict":true,"schema":{"type":"object","properties":'
        b'{"radius":{"type":"integer","minimum":1},"sure":{"type":"boolean"}},"required":["radius","sure"],'
        b'"additionalProperties":false}}}}'
    )


def test_an_own_server_gets_the_older_words(route_to: RouteTo, full_call: Call) -> None:
    body = body_of(full_call, route_to("openai-chat", provider=OWN, model="qwen3"))
    assert body["messages"][0] == {"role": "system", "content": "Answer like an astronomer."}
    assert body["max_tokens"] == 64
    assert "max_completion_tokens" not in body
    assert body["response_format"]["json_schema"]["strict"] is True


def test_a_gateway_model_that_refuses_max_tokens_gets_the_newer_word(route_to: RouteTo, ask: Ask) -> None:
    route = route_to("openai-chat", provider=OWN, model="gpt-5.3-chat-latest", refuses=("max_tokens",))
    assert body_of(ask(max_output_tokens=5), route)["max_completion_tokens"] == 5


def test_a_bare_request_holds_model_and_messages(route_to: RouteTo, ask: Ask) -> None:
    assert body_of(ask("hi"), route_to("openai-chat")) == {
        "model": "gpt-5.4-mini",
        "messages": [{"role": "user", "content": "hi"}],
    }


def test_the_highest_level_is_sent_as_the_highest_that_chat_takes(route_to: RouteTo, ask: Ask) -> None:
    assert body_of(ask(thinking="max"), route_to("openai-chat"))["reasoning_effort"] == "xhigh"
    assert body_of(ask(thinking="none"), route_to("openai-chat"))["reasoning_effort"] == "none"


@pytest.mark.parametrize(
    ("server", "level", "fields"),
    [
        ("llama.cpp", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("llama.cpp", "minimal", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("llama.cpp", "low", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("vllm", "high", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("ollama", "none", {"reasoning_effort": "none"}),
        ("ollama", "high", {"reasoning_effort": "high"}),
        ("vllm", None, {}),
    ],
)
def test_each_server_switches_thinking_its_way(
    route_to: RouteTo, ask: Ask, server: str, level: str | None, fields: dict[str, Any]
) -> None:
    route = route_to("openai-chat", provider=replace(OWN, settings={"server": server}), model="qwen3")
    body = body_of(ask("hi", thinking=level), route)
    assert body == {"model": "qwen3", "messages": [{"role": "user", "content": "hi"}], **fields}


def test_llama_cpp_is_told_the_schema_in_words_too(route_to: RouteTo, full_call: Call) -> None:
    route = route_to("openai-chat", provider=replace(OWN, settings={"server": "llama.cpp"}), model="qwen3")
    body = body_of(full_call, route)
    assert body["messages"][0]["content"] == (
        'Answer like an astronomer.\n\nAnswer with JSON only, in this form: {"radius": integer from 1, "sure": boolean}'
    )
    assert "response_format" in body


def test_a_built_in_gateway_gets_the_words_that_every_model_knows(route_to: RouteTo, full_call: Call) -> None:
    gateway = Provider("cometapi", "openai-chat", is_builtin=True, settings={"server": "gateway"})
    body = body_of(full_call, route_to("openai-chat", provider=gateway, model="some"))
    assert (body["messages"][0]["role"], body["max_tokens"]) == ("system", 64)


def test_options_come_last_in_the_authors_order(route_to: RouteTo, ask: Ask) -> None:
    body = body_of(ask(options={"verbosity": "low", "logit_bias": {"9": 1, "1": 2}}), route_to("openai-chat"))
    assert list(body) == ["model", "messages", "verbosity", "logit_bias"]
    assert list(body["logit_bias"]) == ["9", "1"]


@pytest.mark.parametrize(
    ("name", "sent"),
    [("output", "output"), ("my schema!", "my_schema_"), ("größe", "gr__e"), ("", "output"), ("x" * 70, "x" * 64)],
)
def test_the_schemas_name_is_one_that_is_taken(route_to: RouteTo, ask: Ask, name: str, sent: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    body = body_of(ask(schema=schema, schema_name=name), route_to("openai-chat"))
    assert body["response_format"]["json_schema"]["name"] == sent


def test_the_first_choice_is_the_answer() -> None:
    response = chat.decode(said("3,474 km"))
    assert (response.text, response.finish, response.model) == ("3,474 km", Finish.COMPLETE, "gpt-5.4-mini")


def test_content_may_come_in_parts_and_thoughts_are_left_out() -> None:
    parts = [{"type": "thinking", "text": "Hmm."}, {"type": "text", "text": "3,4"}, {"type": "text", "text": "74"}, "?"]
    assert chat.decode(said(parts)).text == "3,474"


@pytest.mark.parametrize(
    ("word", "finish", "detail"),
    [
        ("stop", Finish.COMPLETE, "stop"),
        ("length", Finish.CUT, "length"),
        ("content_filter", Finish.REFUSED, "content_filter"),
        ("tool_calls", Finish.UNKNOWN, "tool_calls"),
        ("function_call", Finish.UNKNOWN, "function_call"),
        ("something_new", Finish.UNKNOWN, "something_new"),
        (None, Finish.UNKNOWN, "no finish reason"),
    ],
)
def test_every_finish_reason_has_a_meaning(word: str | None, finish: Finish, detail: str) -> None:
    response = chat.decode(said("x", word))
    assert (response.finish, response.detail) == (finish, detail)


def test_a_refusal_is_refused_whatever_the_finish_reason_says() -> None:
    response = chat.decode(said(None, "stop", refusal="I cannot\nhelp."))
    assert (response.text, response.finish, response.detail) == ("", Finish.REFUSED, "refusal: I cannot help.")


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 43,
                "prompt_tokens_details": {"cached_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(9, 43, 5, 40),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 0}, Usage(9, 0)),
        ({"prompt_tokens": 9}, Usage(9)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        ({"prompt_tokens": True, "completion_tokens": 1}, Usage()),
        ({"prompt_tokens": 9, "completion_tokens": -1}, Usage(9)),
        (None, Usage()),
    ],
)
def test_usage_is_counted_and_unknown_is_never_zero(counts: Any, usage: Usage) -> None:
    payload = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": counts}
    assert chat.decode(json.dumps(payload).encode()).usage == usage


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"{}", "the answer has no choices"),
        (b'{"choices": [{"text": "x"}]}', "the answer's first choice has no message"),
        (b'"x"', 'the answer is JSON, but no object: "x"'),
    ],
)
def test_what_is_no_answer_is_said_in_one_sentence(payload: bytes, message: str) -> None:
    with pytest.raises(CallFailed) as caught:
        chat.decode(payload)
    assert (caught.value.failure.kind, caught.value.failure.message) == (FailureKind.BAD_ANSWER, message)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded"}, FailureKind.TRANSIENT),
        ({"code": "server_error"}, FailureKind.TRANSIENT),
        ({"code": "invalid_prompt"}, FailureKind.BAD_REQUEST),
        ({"code": "insufficient_quota"}, FailureKind.QUOTA),
        ({"code": 429}, FailureKind.TRANSIENT),
        ({"code": 401}, FailureKind.AUTH),
        ({"type": "invalid_request_error"}, FailureKind.BAD_REQUEST),
        ({"code": "image_too_small"}, FailureKind.BAD_REQUEST),
        ({"code": "something_new"}, FailureKind.BAD_ANSWER),
    ],
)
def test_an_error_inside_a_200_is_classed_by_what_it_says(error: dict[str, Any], kind: FailureKind) -> None:
    with pytest.raises(CallFailed) as caught:
        chat.decode(json.dumps({"error": {"message": "oh no", **error}}).encode())
    assert (caught.value.failure.kind, caught.value.failure.message) == (kind, "the provider answered 200: oh no")


@pytest.mark.parametrize(
    ("http", "error", "kind"),
    [
        (400, {"code": "unsupported_value", "param": "reasoning_effort"}, FailureKind.BAD_REQUEST),
        (400, {"code": "context_length_exceeded"}, FailureKind.BAD_REQUEST),
        (400, {"code": 400, "type": "exceed_context_size_error", "n_ctx": 2048}, FailureKind.BAD_REQUEST),
        (401, {"code": "invalid_api_key"}, FailureKind.AUTH),
        (400, {"code": "invalid_api_key"}, FailureKind.AUTH),
        (403, {"code": "unsupported_country_region_territory"}, FailureKind.AUTH),
        (403, {"code": "invalid_request"}, FailureKind.BAD_REQUEST),
        (402, {}, FailureKind.QUOTA),
        (404, {"code": "model_not_found"}, FailureKind.NOT_FOUND),
        (404, {"type": "not_found_error"}, FailureKind.NOT_FOUND),
        (408, {}, FailureKind.TRANSIENT),
        (409, {}, FailureKind.TRANSIENT),
        (413, {}, FailureKind.BAD_REQUEST),
        (422, {}, FailureKind.BAD_REQUEST),
        (429, {"code": "rate_limit_exceeded", "type": "tokens"}, FailureKind.TRANSIENT),
        (429, {"code": "insufficient_quota"}, FailureKind.QUOTA),
        (429, {"type": "insufficient_quota"}, FailureKind.QUOTA),
        (429, {"code": "billing_hard_limit_reached"}, FailureKind.QUOTA),
        (500, {"type": "server_error"}, FailureKind.TRANSIENT),
        (500, {"code": "invalid_request"}, FailureKind.BAD_REQUEST),
        (502, {}, FailureKind.TRANSIENT),
        (503, {"code": 503, "type": "unavailable_error"}, FailureKind.TRANSIENT),
        (504, {}, FailureKind.TRANSIENT),
        (524, {}, FailureKind.TRANSIENT),
        (529, {}, FailureKind.TRANSIENT),
    ],
)
def test_every_error_has_a_kind(http: int, error: dict[str, Any], kind: FailureKind) -> None:
    failure = failed(http, **error)
    assert (failure.kind, failure.status, failure.message) == (kind, http, f"the provider answered {http}: no")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": "model is loading"}', "the provider answered 503: model is loading"),
        (b'{"detail": "busy"}', "the provider answered 503: busy"),
        (b'{"message": "busy", "code": "x"}', "the provider answered 503: busy"),
        (b'{"detail": [{"loc": ["body"]}]}', 'the provider answered 503: {"detail": [{"loc": ["body"]}]}'),
        (b"upstream died", "the provider answered 503: upstream died"),
        (b"", "the provider answered 503 without a word"),
    ],
)
def test_errors_of_other_shapes_are_shown_too(body: bytes, message: str) -> None:
    failure = chat.failure(503, {}, body)
    assert (failure.kind, failure.message) == (FailureKind.TRANSIENT, message)


def test_a_recording_holds_no_ids_clocks_or_builds() -> None:
    payload = {
        "id": "chatcmpl-1",
        "created": 1795360283,
        "system_fingerprint": "fp_1",
        "model": "gpt-5.4-mini",
        "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 5}},
    }
    scrubbed = chat.scrub(json.dumps(payload).encode())
    assert scrubbed == (
        b'{"choices":[{"finish_reason":"stop","message":{"content":"x"}}],"model":"gpt-5.4-mini",'
        b'"usage":{"completion_tokens":1,"prompt_tokens":9}}'
    )
    assert chat.scrub(b"not json") == b"not json"
