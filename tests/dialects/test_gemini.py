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
from runner.dialects.gemini import GeminiDialect, VertexDialect, _thinking

gemini = GeminiDialect()
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]


def body_of(call: Call, route: Route) -> Any:
    return json.loads(bytes(gemini.encode(call, route).body))


def answer(**candidate: Any) -> bytes:
    return json.dumps({"candidates": [candidate], "modelVersion": "gemini-3.1-flash-lite"}).encode()


def said(*parts: dict[str, Any], finish: str = "STOP") -> bytes:
    return answer(content={"role": "model", "parts": list(parts)}, finishReason=finish)


def failed(http: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any) -> Any:
    body = json.dumps({"error": {"code": http, "message": message, **error}}).encode()
    return gemini.failure(http, headers or {}, body)


def test_a_whole_request_is_sent_in_camel_case_and_in_a_fixed_order(route_to: RouteTo, full_call: Call) -> None:
    request = gemini.encode(full_call, route_to("gemini"))
    assert request.endpoint == "/v1beta/models/gemini-3.1-flash-lite:generateContent"
    assert (request.dialect, request.key_version, request.provider, request.headers) == ("gemini", 1, "gemini", ())
    assert request.body == (
        b'{"systemInstruction":{"parts":[{"text":"Answer like an astronomer."}]},'
        b'"contents":[{"role":"user","parts":[{"text":"How big is the moon?"}]},'
        b'{"role":"model","parts":[{"text":"Quite big."}]},'
        b'{"role":"user","parts":[{"text":"In kilometres, please."}]}],'
        b'"generationConfig":{"temperature":0.5,"topP":0.9,"maxOutputTokens":64,"seed":7,"stopSequences":["END","STOP"],'
        b'"responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":'
        b'{"radius":{"type":"integer","minimum":1},"sure":{"type":"boolean"}},"required":["radius","sure"],'
        b'"additionalProperties":false},"thinkingConfig":{"thinkingLevel":"LOW"}}}'
    )


def test_vertex_takes_the_same_body_at_its_own_path(route_to: RouteTo, full_call: Call) -> None:
    request = VertexDialect().encode(full_call, route_to("vertex"))
    assert request.endpoint == "/v1/publishers/google/models/gemini-3.1-flash-lite:generateContent"
    assert (request.dialect, request.provider) == ("vertex", "vertex")
    assert request.body == gemini.encode(full_call, route_to("gemini")).body
    assert VertexDialect.options - gemini.options == {"audioTimestamp", "routingConfig", "labels", "modelArmorConfig"}
    assert gemini.options - VertexDialect.options == {"enableEnhancedCivicAnswers", "serviceTier", "store"}


def test_project_and_location_are_not_in_the_key(route_to: RouteTo, full_call: Call) -> None:
    route = route_to("vertex")
    settings = {"project": "shop", "location": "europe-west4"}
    placed = replace(route, provider=replace(route.provider, base_url="https://x", key_env="", settings=settings))
    assert VertexDialect().encode(full_call, placed) == VertexDialect().encode(full_call, route)


def test_an_older_model_is_told_its_level_in_tokens(route_to: RouteTo, ask: Ask) -> None:
    route = route_to("gemini", model="gemini-2.5-flash")
    route = replace(route, facts=replace(route.facts, thinking_words={"none": 0, "low": 1024}))
    assert body_of(ask(thinking="none"), route)["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 0}
    assert body_of(ask(thinking="low"), route)["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 1024}


def test_a_level_that_a_project_declares_is_sent_as_it_is_called(route_to: RouteTo) -> None:
    # The vendor's own models know no such level, so no body is made of it here: each is held against their description.
    assert _thinking("max", route_to("gemini")) == {"thinkingLevel": "MAX"}


def test_a_budget_of_the_authors_takes_the_place_of_the_level(route_to: RouteTo, ask: Ask) -> None:
    call = ask(thinking="low", options={"thinkingBudget": -1, "includeThoughts": True})
    config = body_of(call, route_to("gemini"))["generationConfig"]
    assert config["thinkingConfig"] == {"thinkingBudget": -1, "includeThoughts": True}


def test_a_bare_request_holds_nothing_but_the_contents(route_to: RouteTo, ask: Ask) -> None:
    assert body_of(ask("hi"), route_to("gemini")) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_options_go_to_their_places_after_our_own_fields(route_to: RouteTo, ask: Ask) -> None:
    options = {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "topK": 3,
        "thinkingBudget": 0,
    }
    body = body_of(ask("hi", options=options), route_to("gemini"))
    assert body["generationConfig"] == {"topK": 3, "thinkingConfig": {"thinkingBudget": 0}}
    assert list(body) == ["contents", "safetySettings", "generationConfig"]


def test_options_join_the_thinking_level(route_to: RouteTo, ask: Ask) -> None:
    body = body_of(ask("hi", thinking="minimal", options={"includeThoughts": True}), route_to("gemini"))
    assert body["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "MINIMAL", "includeThoughts": True}}


def test_every_option_has_a_place() -> None:
    assert gemini.options == {
        *("topK", "presencePenalty", "frequencyPenalty", "mediaResolution", "enableEnhancedCivicAnswers"),
        *("thinkingBudget", "includeThoughts", "safetySettings", "serviceTier", "store"),
    }


def test_a_model_id_cannot_leave_its_place_in_the_path(route_to: RouteTo, ask: Ask) -> None:
    endpoint = gemini.encode(ask(), route_to("gemini", model="a/../b?key=1")).endpoint
    assert endpoint == "/v1beta/models/a%2F..%2Fb%3Fkey%3D1:generateContent"


def test_a_gateway_is_known_by_its_identity_else_by_its_address(route_to: RouteTo, ask: Ask) -> None:
    gateway = Provider("comet", "gemini", "https://gateway.example/")
    assert gemini.encode(ask(), route_to("gemini", provider=gateway)).provider == "https://gateway.example"
    named = Provider("comet", "gemini", "https://gateway.example/", identity="gw")
    assert gemini.encode(ask(), route_to("gemini", provider=named)).provider == "gw"


def test_thoughts_are_left_out_of_the_text() -> None:
    response = gemini.decode(said({"text": "Hmm.", "thought": True}, {"text": "3,4"}, {"text": "74 km"}))
    assert (response.text, response.finish, response.detail) == ("3,474 km", Finish.COMPLETE, "STOP")
    assert response.model == "gemini-3.1-flash-lite"


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", Finish.COMPLETE),
        ("MAX_TOKENS", Finish.CUT),
        *(
            (word, Finish.REFUSED)
            for word in ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "LANGUAGE")
        ),
        *(
            (word, Finish.REFUSED)
            for word in ("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "IMAGE_RECITATION")
        ),
        *((word, Finish.UNKNOWN) for word in ("OTHER", "MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL", "NO_IMAGE")),
        *(
            (word, Finish.UNKNOWN)
            for word in ("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE")
        ),
        ("SOMETHING_NEW", Finish.UNKNOWN),
    ],
)
def test_every_finish_reason_has_a_meaning(word: str, finish: Finish) -> None:
    response = gemini.decode(said({"text": "x"}, finish=word))
    assert (response.finish, response.detail) == (finish, word)


def test_an_answer_without_a_finish_reason_is_not_complete() -> None:
    response = gemini.decode(answer(content={"parts": [{"text": "x"}]}))
    assert (response.finish, response.detail) == (Finish.UNKNOWN, "no finish reason")


def test_a_blocked_answer_may_have_no_content() -> None:
    response = gemini.decode(answer(finishReason="SAFETY"))
    assert (response.text, response.finish) == ("", Finish.REFUSED)


def test_a_blocked_prompt_is_refused() -> None:
    payload = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
    response = gemini.decode(json.dumps(payload).encode())
    assert (response.finish, response.detail) == (Finish.REFUSED, "the prompt was blocked: SAFETY")
    assert response.usage.input_tokens == 9


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}, Usage(9, 3)),
        (
            {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 40, "totalTokenCount": 52},
            Usage(9, 43, None, 40),
        ),
        (
            # This gateway counts the thoughts among the candidates' tokens.
            {"promptTokenCount": 9, "candidatesTokenCount": 43, "thoughtsTokenCount": 40, "totalTokenCount": 52},
            Usage(9, 43, None, 40),
        ),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 5, "totalTokenCount": 9}, Usage(9, 0, 5)),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 1}, Usage(11, 1)),
        ({"promptTokenCount": 0, "candidatesTokenCount": 0}, Usage()),
        ({"promptTokenCount": "9"}, Usage()),
        ({}, Usage()),
    ],
)
def test_usage_is_counted_and_unknown_is_never_zero(counts: dict[str, Any], usage: Usage) -> None:
    payload = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}], "usageMetadata": counts}
    assert gemini.decode(json.dumps(payload).encode()).usage == usage


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "the answer is empty"),
        (b" \n", "the answer is empty"),
        (b"{}", "the answer has no candidates"),
        (b"[1, 2]", "the answer is JSON, but no object: [1, 2]"),
        (b"nope\x07", "the answer is not JSON: nope\\x07"),
        (
            b"<!doctype html><title>Login</title>",
            "the answer is a web page, not JSON: does base_url lead to the API (for most servers it ends in /v1)?",
        ),
        (b'{"candidates":' + b"[" * 100_000, "the answer is nested deeper than 64 levels"),
    ],
)
def test_what_is_no_answer_is_said_in_one_sentence(payload: bytes, message: str) -> None:
    with pytest.raises(CallFailed) as caught:
        gemini.decode(payload)
    assert caught.value.failure.kind is FailureKind.BAD_ANSWER
    assert caught.value.failure.message == message


def test_an_error_inside_a_200_is_classed_by_what_it_says() -> None:
    payload = b'[{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}]'
    with pytest.raises(CallFailed) as caught:
        gemini.decode(payload)
    assert caught.value.failure.kind is FailureKind.TRANSIENT
    assert caught.value.failure.message == "the provider answered 200: slow down"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FailureKind.BAD_REQUEST),
        (401, FailureKind.AUTH),
        (403, FailureKind.AUTH),
        (404, FailureKind.NOT_FOUND),
        (408, FailureKind.TRANSIENT),
        (413, FailureKind.BAD_REQUEST),
        (429, FailureKind.TRANSIENT),
        (500, FailureKind.TRANSIENT),
        (502, FailureKind.TRANSIENT),
        (503, FailureKind.TRANSIENT),
        (504, FailureKind.TRANSIENT),
    ],
)
def test_every_status_has_a_kind(status: int, kind: FailureKind) -> None:
    failure = failed(status)
    assert (failure.kind, failure.status, failure.message) == (kind, status, f"the provider answered {status}: no")


def test_a_bad_key_is_a_400_with_a_reason() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    assert failed(400, "API key not valid. Please pass a valid API key.", details=details).kind is FailureKind.AUTH


def test_an_account_in_the_wrong_place_stops_the_provider() -> None:
    assert failed(400, "User location is not supported", status="FAILED_PRECONDITION").kind is FailureKind.AUTH


def test_the_quota_of_the_day_does_not_heal_by_waiting() -> None:
    def details(quota: str) -> list[dict[str, Any]]:
        return [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"},
        ]

    day = failed(429, details=details("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    assert (day.kind, day.retry_after_s) == (FailureKind.QUOTA, None)
    minute = failed(429, details=details("GenerateRequestsPerMinutePerProjectPerModel"))
    assert (minute.kind, minute.retry_after_s) == (FailureKind.TRANSIENT, 37.5)


def test_a_gateway_in_front_may_speak_openai_codes() -> None:
    assert failed(500, code="invalid_request").kind is FailureKind.BAD_REQUEST
    assert failed(429, type="insufficient_quota").kind is FailureKind.QUOTA
    assert gemini.failure(503, {}, b'{"error": "busy"}').message == "the provider answered 503: busy"


def test_a_recording_holds_no_ids_and_no_signatures() -> None:
    payload = {
        "responseId": "r-1",
        "candidates": [{"content": {"parts": [{"text": "x", "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}, 1],
        "usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 5, "trafficType": "ON_DEMAND"},
        "createTime": "2026-11-22T00:00:00Z",
    }
    scrubbed = gemini.scrub(json.dumps(payload).encode())
    assert scrubbed == (
        b'{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"},1],"usageMetadata":{"promptTokenCount":9}}'
    )
    assert gemini.scrub(scrubbed) == scrubbed
    assert gemini.decode(scrubbed).text == "x"
