from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.core.call import Call
from runner.core.model import Route, ThinkingLevel
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Finish, Usage
from runner.dialects.anthropic import DEFAULT_MAX_TOKENS, AnthropicDialect

anthropic = AnthropicDialect()
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
ADAPTIVE: tuple[ThinkingLevel, ...] = ("none", "low", "medium", "high", "max")


def body_of(call: Call, route: Route) -> Any:
    return json.loads(bytes(anthropic.encode(call, route).body))


def said(*blocks: Any, word: str | None = "end_turn", **fields: Any) -> bytes:
    return json.dumps({"type": "message", "content": list(blocks), "stop_reason": word, **fields}).encode()


def failed(status: int, kind: str, headers: dict[str, str] | None = None) -> Any:
    body = {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req_1"}
    return anthropic.failure(status, headers or {}, json.dumps(body).encode())


def test_a_whole_request_is_sent_in_a_fixed_order(route_to: RouteTo, full_call: Call) -> None:
    request = anthropic.encode(full_call, route_to("anthropic"))
    assert (request.dialect, request.provider, request.endpoint) == ("anthropic", "anthropic", "/v1/messages")
    assert request.headers == (("anthropic-version", "2026-10-21"),)
    assert request.body == (
        b'{"model":"claude-sonnet-4-6","max_tokens":64,"system":"Answer like an astronomer.",'
        b'"messages":[{"role":"user","content":"How big is the moon?"},{"role":"assistant","content":"Quite big."},'
        b'{"role":"user","content":"In kilometres, please."}],"output_config":{"effort":"low","format":'
        b'{"type":"json_schema","schema":{"type":"object","properties":{"radius":{"type":"integer"},'
        b'"sure":{"type":"boolean"}},"required":["radius","sure"],"additionalProperties":false}}},'
        b'"temperature":0.5,"top_p":0.9,"stop_sequences":["END","STOP"]}'
    )


def test_a_bare_request_says_a_cap_because_it_must(route_to: RouteTo, ask: Ask) -> None:
    assert body_of(ask("hi"), route_to("anthropic")) == {
        "model": "claude-sonnet-4-6",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": "hi"}],
    }


@pytest.mark.parametrize(
    ("levels", "words", "level", "thinking", "effort"),
    [
        (ADAPTIVE, {}, "none", {"type": "disabled"}, None),
        (ADAPTIVE, {}, "low", {"type": "adaptive"}, "low"),
        (ADAPTIVE, {}, "max", {"type": "adaptive"}, "max"),
        (ADAPTIVE[1:], {}, "high", None, "high"),
        (ADAPTIVE, {"low": 1024}, "low", {"type": "enabled", "budget_tokens": 1024}, None),
        (ADAPTIVE, {"low": 1024}, "none", {"type": "disabled"}, None),
        ((), {}, None, None, None),
    ],
)
def test_each_generation_is_told_to_think_its_way(
    route_to: RouteTo,
    ask: Ask,
    levels: tuple[ThinkingLevel, ...],
    words: dict[str, int],
    level: str | None,
    thinking: Any,
    effort: str | None,
) -> None:
    route = route_to("anthropic")
    route = replace(route, facts=replace(route.facts, thinking_levels=levels, thinking_words=words))
    body = body_of(ask(thinking=level), route)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == (None if effort is None else {"effort": effort})


def test_options_go_to_their_places(route_to: RouteTo, ask: Ask) -> None:
    route = route_to("anthropic")
    route = replace(route, facts=replace(route.facts, thinking_levels=ADAPTIVE))
    body = body_of(ask(thinking="low", options={"display": "summarized", "effort": "xhigh", "top_k": 4}), route)
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert (body["output_config"], body["top_k"]) == ({"effort": "xhigh"}, 4)


def test_the_text_blocks_are_the_answer_and_thoughts_are_kept_apart() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hmm."},
        {"type": "text", "text": "3,4"},
        {"type": "text", "text": "74"},
        7,
    ]
    response = anthropic.decode(said(*blocks, model="claude-sonnet-4-6"))
    assert (response.text, response.thoughts, response.model) == ("3,474", "Hmm.", "claude-sonnet-4-6")


@pytest.mark.parametrize(
    ("word", "finish", "detail"),
    [
        ("end_turn", Finish.COMPLETE, "end_turn"),
        ("stop_sequence", Finish.COMPLETE, "stop_sequence"),
        ("max_tokens", Finish.CUT, "max_tokens"),
        ("model_context_window_exceeded", Finish.CUT, "model_context_window_exceeded"),
        ("refusal", Finish.REFUSED, "refusal"),
        ("tool_use", Finish.UNKNOWN, "tool_use"),
        ("pause_turn", Finish.UNKNOWN, "pause_turn"),
        ("something_new", Finish.UNKNOWN, "something_new"),
        (None, Finish.UNKNOWN, "no stop reason"),
    ],
)
def test_every_stop_reason_has_a_meaning(word: str | None, finish: Finish, detail: str) -> None:
    response = anthropic.decode(said({"type": "text", "text": "x"}, word=word))
    assert (response.finish, response.detail) == (finish, detail)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"input_tokens": 9, "output_tokens": 3}, Usage(9, 3)),
        (
            {
                "input_tokens": 9,
                "cache_read_input_tokens": 5,
                "cache_creation_input_tokens": 2,
                "output_tokens": 43,
                "output_tokens_details": {"thinking_tokens": 40},
            },
            Usage(16, 43, 5, 40),
        ),
        ({"output_tokens": 3}, Usage()),
        (None, Usage()),
    ],
)
def test_what_the_provider_had_cached_is_counted_as_input(counts: Any, usage: Usage) -> None:
    assert anthropic.decode(said(usage=counts)).usage == usage


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "invalid_request_error", FailureKind.BAD_REQUEST),
        (401, "authentication_error", FailureKind.AUTH),
        (402, "billing_error", FailureKind.QUOTA),
        (403, "billing_error", FailureKind.QUOTA),
        (403, "permission_error", FailureKind.AUTH),
        (404, "not_found_error", FailureKind.NOT_FOUND),
        (413, "request_too_large", FailureKind.BAD_REQUEST),
        (429, "rate_limit_error", FailureKind.TRANSIENT),
        (500, "api_error", FailureKind.TRANSIENT),
        (504, "timeout_error", FailureKind.TRANSIENT),
        (529, "overloaded_error", FailureKind.TRANSIENT),
        (529, "something_new", FailureKind.TRANSIENT),
        (418, "something_new", FailureKind.BAD_REQUEST),
    ],
)
def test_every_error_has_a_kind(status: int, word: str, kind: FailureKind) -> None:
    failure = failed(status, word)
    assert (failure.kind, failure.message, failure.status) == (kind, f"the provider answered {status}: no", status)


def test_the_wait_that_is_asked_for_is_kept() -> None:
    assert failed(429, "rate_limit_error", {"retry-after": "12"}).retry_after_s == 12


def test_an_error_inside_a_200_is_a_failure() -> None:
    body = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}).encode()
    with pytest.raises(CallFailed, match=r"the provider answered 200: Busy\.") as caught:
        anthropic.decode(body)
    assert caught.value.failure.kind is FailureKind.TRANSIENT


def test_an_error_of_another_shape_is_shown_as_it_is() -> None:
    assert anthropic.failure(502, {}, b'{"error": "bad gateway"}').message == "the provider answered 502: bad gateway"


def test_a_recording_holds_the_sum_of_the_input_and_no_signatures() -> None:
    payload = {
        "id": "msg_1",
        "content": [{"type": "thinking", "thinking": "a", "signature": "x"}, 7],
        "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "service_tier": "standard"},
    }
    scrubbed = anthropic.scrub(json.dumps(payload).encode())
    assert scrubbed == b'{"content":[{"thinking":"a","type":"thinking"},7],"usage":{"input_tokens":3}}'
    assert anthropic.scrub(b'{"content":[]}') == b'{"content":[]}'
