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
from runner.dialects.openai_responses import OpenAIResponsesDialect

responses = OpenAIResponsesDialect()
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]


def body_of(call: Call, route: Route) -> Any:
    return json.loads(bytes(responses.encode(call, route).body))


def said(*parts: dict[str, Any], **fields: Any) -> bytes:
    message = {"type": "message", "role": "assistant", "content": list(parts)}
    return json.dumps({"status": "completed", "output": [message], **fields}).encode()


def test_a_whole_request_is_sent_in_a_fixed_order(route_to: RouteTo, full_call: Call) -> None:
    request = responses.encode(full_call, route_to("openai-responses"))
    assert (request.dialect, request.provider, request.endpoint) == ("openai-responses", "openai", "/responses")
    assert request.body == (
        b'{"model":"gpt-5.4-mini","instructions":"Answer like an astronomer.",'
        b'"input":[{"role":"user","content":"How big is the moon?"},{"role":"assistant","content":"Quite big."},'
        b'{"role":"user","content":"In kilometres, please."}],"reasoning":{"effort":"low"},"temperature":0.5,"top_p":0.9,'
        b'"max_output_tokens":64,"text":{"format":{"type":"json_schema","name":"moon","strict":true,"schema":'
        b'{"type":"object","properties":{"radius":{"type":"integer","minimum":1},"sure":{"type":"boolean"}},'
        b'"required":["radius","sure"],"additionalProperties":false}}},"store":false}'
    )


def test_nothing_is_kept_by_the_service_unless_it_is_asked_to(route_to: RouteTo, ask: Ask) -> None:
    route = route_to("openai-responses")
    assert body_of(ask("hi"), route) == {
        "model": "gpt-5.4-mini",
        "input": [{"role": "user", "content": "hi"}],
        "store": False,
    }
    assert body_of(ask("hi", options={"store": True}), route)["store"] is True


def test_options_go_to_their_places_beside_our_own_fields(route_to: RouteTo, ask: Ask) -> None:
    call = ask(thinking="low", options={"verbosity": "low", "summary": "auto", "truncation": "auto"})
    body = body_of(call, route_to("openai-responses"))
    assert body["text"] == {"verbosity": "low"}
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["truncation"] == "auto"


def test_the_highest_level_is_said_in_the_models_own_word(route_to: RouteTo, ask: Ask) -> None:
    route = route_to("openai-responses")
    assert body_of(ask(thinking="max"), route)["reasoning"] == {"effort": "max"}
    older = replace(route, facts=replace(route.facts, thinking_words={"max": "xhigh"}))
    assert body_of(ask(thinking="max"), older)["reasoning"] == {"effort": "xhigh"}
    assert body_of(ask(thinking="none"), older)["reasoning"] == {"effort": "none"}


def test_an_own_server_is_asked_the_same(route_to: RouteTo, full_call: Call) -> None:
    own = Provider("box", "openai-responses", "http://127.0.0.1:8080/v1", identity="box")
    ours = responses.encode(full_call, route_to("openai-responses", provider=own, model="gpt-5.4-mini"))
    assert ours.provider == "box"
    assert ours.body == responses.encode(full_call, route_to("openai-responses")).body


@pytest.mark.parametrize(
    ("fields", "finish", "detail"),
    [
        ({"status": "completed"}, Finish.COMPLETE, "completed"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Finish.CUT,
            "max_output_tokens",
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_messages"}}, Finish.CUT, "max_messages"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Finish.REFUSED,
            "content_filter",
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, Finish.UNKNOWN, "steered"),
        ({"status": "incomplete"}, Finish.UNKNOWN, "incomplete"),
        ({"status": "in_progress"}, Finish.UNKNOWN, "in_progress"),
        ({"status": "cancelled"}, Finish.UNKNOWN, "cancelled"),
        ({"status": "new_word"}, Finish.UNKNOWN, "new_word"),
        ({"status": None}, Finish.UNKNOWN, "no status"),
    ],
)
def test_every_status_has_a_meaning_and_only_completed_is_success(
    fields: dict[str, Any], finish: Finish, detail: str
) -> None:
    response = responses.decode(said({"type": "output_text", "text": "x"}, **fields))
    assert (response.text, response.finish, response.detail) == ("x", finish, detail)


def test_a_refusal_is_refused_whatever_the_status_says() -> None:
    response = responses.decode(said({"type": "refusal", "refusal": "I cannot\nhelp."}))
    assert (response.text, response.finish, response.detail) == ("", Finish.REFUSED, "refusal: I cannot help.")


def test_only_messages_make_the_answer() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hmm."}]},
        {"type": "function_call", "name": "f", "arguments": "{}"},
        "?",
        {"type": "message", "content": [{"type": "output_text", "text": "3,474"}, {"type": "new", "text": "?"}, 7]},
    ]
    response = responses.decode(json.dumps({"status": "completed", "output": output}).encode())
    assert (response.text, response.thoughts) == ("3,474", "Hmm.")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", FailureKind.TRANSIENT),
        ("rate_limit_exceeded", FailureKind.TRANSIENT),
        ("invalid_prompt", FailureKind.BAD_REQUEST),
        ("invalid_image_format", FailureKind.BAD_REQUEST),
        ("something_new", FailureKind.BAD_ANSWER),
    ],
)
def test_a_failed_answer_inside_a_200_is_a_failure(code: str, kind: FailureKind) -> None:
    payload = json.dumps({"status": "failed", "error": {"code": code, "message": "It failed."}, "output": []}).encode()
    with pytest.raises(CallFailed) as caught:
        responses.decode(payload)
    assert (caught.value.failure.kind, caught.value.failure.message) == (kind, "the provider answered 200: It failed.")


@pytest.mark.parametrize("code", ["bio_policy", "image_content_policy_violation"])
def test_a_prompt_that_the_rules_forbid_is_refused(code: str) -> None:
    payload = json.dumps({"status": "failed", "error": {"code": code, "message": "No."}, "output": []}).encode()
    response = responses.decode(payload)
    assert (response.text, response.finish, response.detail) == ("", Finish.REFUSED, code)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {
                "input_tokens": 9,
                "output_tokens": 43,
                "input_tokens_details": {"cached_tokens": 5},
                "output_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(9, 43, 5, 40),
        ),
        ({"input_tokens": 9, "output_tokens": 43}, Usage(9, 43)),
        ({"input_tokens": 0, "output_tokens": 0}, Usage()),
        (None, Usage()),
    ],
)
def test_usage_is_what_the_provider_counted(counts: Any, usage: Usage) -> None:
    assert responses.decode(said({"type": "output_text", "text": "x"}, usage=counts)).usage == usage


def test_a_recording_holds_no_ids_clocks_or_opaque_reasoning() -> None:
    payload = {
        "id": "resp_1",
        "created_at": 1,
        "completed_at": 2,
        "status": "completed",
        "output": [{"id": "rs_1", "type": "reasoning", "encrypted_content": "x"}, 7],
        "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 1}},
    }
    assert responses.scrub(json.dumps(payload).encode()) == (
        b'{"output":[{"type":"reasoning"},7],"status":"completed","usage":{"input_tokens":1}}'
    )
