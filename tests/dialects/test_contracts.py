"""Every dialect from a call to a response, against servers' rules and payloads of the documented shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from runner.core.call import Call
from runner.core.model import Provider, Route
from runner.core.ports import Dialect
from runner.core.response import Finish, Response, Usage
from runner.dialects import DIALECTS

PAYLOADS = Path(__file__).with_name("payloads")
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
ANSWER = {"radius": 1737, "sure": True}


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_fields(value: dict[str, Any], rules: dict[str, Callable[[Any], bool]], needed: set[str], where: str) -> None:
    """A strict server: unknown fields and wrong kinds are errors."""
    assert set(value) <= set(rules), f"unknown name at {where}: {set(value) - set(rules)}"
    assert needed <= set(value), f"missing at {where}: {needed - set(value)}"
    for name, inner in value.items():
        assert rules[name](inner), f"{where}.{name}: {inner!r}"


def check_gemini(body: dict[str, Any]) -> None:
    tops = {"systemInstruction", "contents", "generationConfig", "safetySettings", "serviceTier", "store"}
    check_fields(body, dict.fromkeys(tops, bool), {"contents"}, "body")
    for content in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
        rules = {"role": lambda role: role in {"user", "model"}, "parts": bool}
        check_fields(content, rules, {"parts"}, "content")
        for part in content["parts"]:
            check_fields(part, {"text": is_text}, {"text"}, "part")
    config = body.get("generationConfig", {})
    check_fields(
        config,
        {
            "temperature": lambda t: 0 <= t <= 2,
            "topP": is_number,
            "topK": is_number,
            "maxOutputTokens": lambda n: isinstance(n, int),
            "seed": lambda n: isinstance(n, int),
            "stopSequences": lambda texts: 1 <= len(texts) <= 5 and all(map(is_text, texts)),
            "responseMimeType": lambda kind: kind == "application/json",
            "responseJsonSchema": lambda schema: isinstance(schema, dict),
            "thinkingConfig": lambda thinking: set(thinking) <= {"thinkingLevel", "thinkingBudget", "includeThoughts"},
        },
        set(),
        "generationConfig",
    )
    assert ("responseJsonSchema" in config) == ("responseMimeType" in config)
    level = config.get("thinkingConfig", {}).get("thinkingLevel", "LOW")
    assert level in {"MINIMAL", "LOW", "MEDIUM", "HIGH"}


def check_chat(body: dict[str, Any], cap: str, system_role: str) -> None:
    rules: dict[str, Callable[[Any], bool]] = {
        "model": is_text,
        "messages": bool,
        "reasoning_effort": lambda effort: effort in {"none", "minimal", "low", "medium", "high", "xhigh"},
        "temperature": lambda t: 0 <= t <= 2,
        "top_p": lambda p: 0 <= p <= 1,
        cap: lambda n: isinstance(n, int),
        "seed": lambda n: isinstance(n, int),
        "stop": lambda texts: 1 <= len(texts) <= 4,
        "response_format": lambda shape: shape["type"] == "json_schema",
    }
    check_fields(body, rules, {"model", "messages"}, "body")
    roles = {system_role, "user", "assistant"}
    for message in body["messages"]:
        check_fields(message, {"role": lambda role: role in roles, "content": is_text}, {"role", "content"}, "message")
    if "response_format" in body:
        check_fields(
            body["response_format"]["json_schema"],
            {"name": is_text, "strict": lambda strict: strict is True, "schema": check_strict},
            {"name", "strict", "schema"},
            "json_schema",
        )


def check_strict(schema: dict[str, Any]) -> bool:
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"])
    return True


def check_responses(body: dict[str, Any]) -> None:
    rules: dict[str, Callable[[Any], bool]] = {
        "model": is_text,
        "instructions": is_text,
        "input": bool,
        "reasoning": lambda reasoning: (
            reasoning["effort"] in {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
        ),
        "temperature": lambda t: 0 <= t <= 2,
        "top_p": lambda p: 0 <= p <= 1,
        "max_output_tokens": lambda n: isinstance(n, int) and n >= 16,
        "text": bool,
        "store": lambda store: store is False,
    }
    check_fields(body, rules, {"model", "input", "store"}, "body")
    roles = {"user", "assistant"}
    for message in body["input"]:
        check_fields(message, {"role": lambda role: role in roles, "content": is_text}, {"role", "content"}, "input")
    if "text" in body:
        rules = {
            "type": lambda kind: kind == "json_schema",
            "name": is_text,
            "strict": lambda strict: strict is True,
            "schema": check_strict,
        }
        check_fields(body["text"]["format"], rules, set(rules), "text.format")


def check_messages(body: dict[str, Any]) -> None:
    rules: dict[str, Callable[[Any], bool]] = {
        "model": is_text,
        "max_tokens": lambda n: isinstance(n, int) and n > 0,
        "system": is_text,
        "messages": bool,
        "thinking": lambda thinking: thinking["type"] in {"adaptive", "enabled", "disabled"},
        "output_config": lambda config: set(config) <= {"effort", "format"},
        "temperature": lambda t: 0 <= t <= 1,
        "top_p": lambda p: 0 <= p <= 1,
        "stop_sequences": lambda texts: all(map(is_text, texts)),
    }
    check_fields(body, rules, {"model", "max_tokens", "messages"}, "body")
    for message in body["messages"]:
        assert message["role"] in {"user", "assistant"}
        check_fields(message, {"role": is_text, "content": is_text}, {"role", "content"}, "message")
    form = body.get("output_config", {}).get("format")
    if form is not None:
        assert form["type"] == "json_schema"
        assert form["schema"]["additionalProperties"] is False


def check_llama(body: dict[str, Any]) -> None:
    schema = body.get("response_format", {"json_schema": {"schema": {}}})["json_schema"]["schema"]
    assert isinstance(schema, dict)
    assert {"messages", "max_tokens", "temperature", "seed", "cache_prompt"} <= set(body)


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "gemini": check_gemini,
    "vertex": check_gemini,
    "openai-responses": check_responses,
    "anthropic": check_messages,
    "openai-chat": lambda body: check_chat(body, "max_completion_tokens", "developer"),
    "llama": check_llama,
    "scripted": lambda body: None,
}
RESPONSES = {
    "gemini_answer": Response(
        '{"radius": 1737, "sure": true}',
        Finish.COMPLETE,
        Usage(31, 52, None, 40),
        "gemini-3.1-flash-lite",
        "STOP",
        "The radius is half of 3,474 km.",
    ),
    "gemini_cut": Response("", Finish.CUT, Usage(31, 64, None, 64), "gemini-3.1-flash-lite", "MAX_TOKENS"),
    "gemini_blocked": Response(
        "", Finish.REFUSED, Usage(31, 0), "gemini-3.1-flash-lite", "the prompt was blocked: PROHIBITED_CONTENT"
    ),
    "vertex_answer": Response(
        '{"radius": 1737, "sure": true}', Finish.COMPLETE, Usage(31, 52, 16, 40), "gemini-3.1-flash-lite", "STOP"
    ),
    "vertex_blocked": Response(
        "", Finish.REFUSED, Usage(31, 0), "gemini-3.1-flash-lite", "the prompt was blocked: MODEL_ARMOR"
    ),
    "openai-responses_answer": Response(
        '{"radius": 1737, "sure": true}',
        Finish.COMPLETE,
        Usage(31, 52, 16, 40),
        "gpt-5.4-mini-2026-03-05",
        "completed",
        "The diameter is 3,474 km.\n\nHalf of it is 1,737 km.",
    ),
    "openai-responses_refused": Response(
        "", Finish.REFUSED, Usage(31, 8), "gpt-5.4-mini-2026-03-05", "refusal: I can't help with that."
    ),
    "openai-responses_cut": Response(
        "", Finish.CUT, Usage(31, 64, None, 64), "gpt-5.4-mini-2026-03-05", "max_output_tokens"
    ),
    "openai-responses_filtered": Response(
        "", Finish.REFUSED, Usage(31, 0), "gpt-5.4-mini-2026-03-05", "content_filter"
    ),
    "anthropic_answer": Response(
        '{"radius": 1737, "sure": true}',
        Finish.COMPLETE,
        Usage(31, 52, 16, 40),
        "claude-sonnet-4-6",
        "end_turn",
        "Half of 3,474 km.",
    ),
    "anthropic_cut": Response('{"radius": 17', Finish.CUT, Usage(31, 5), "claude-sonnet-4-6", "max_tokens"),
    "anthropic_refused": Response("", Finish.REFUSED, Usage(31, 1), "claude-sonnet-4-6", "refusal"),
    "openai-chat_answer": Response(
        '{"radius": 1737, "sure": true}', Finish.COMPLETE, Usage(31, 52, 16, 40), "gpt-5.4-mini-2026-03-05", "stop"
    ),
    "openai-chat_refused": Response(
        "", Finish.REFUSED, Usage(31, 8), "gpt-5.4-mini-2026-03-05", "refusal: I can't help with that."
    ),
    "openai-chat_cut": Response('{"radius": 17', Finish.CUT, Usage(31, 5), "qwen3", "length"),
    "llama_answer": Response(
        '{\n  "radius": 1737,\n  "sure": true\n}',
        Finish.COMPLETE,
        Usage(40, 23, 0),
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "stop",
    ),
    "scripted_answer": Response('{"radius": 1737, "sure": true}', Finish.COMPLETE, Usage(31, 8), "script", "stop"),
}


def test_every_payload_file_has_its_expectation() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.json")} == set(RESPONSES)


@pytest.mark.parametrize("case", sorted(RESPONSES))
def test_a_call_goes_out_as_the_server_wants_it_and_its_answer_comes_back(
    case: str, route_to: RouteTo, full_call: Call
) -> None:
    name = case.partition("_")[0]
    dialect: Dialect = DIALECTS[name]
    CHECKS[name](json.loads(bytes(dialect.encode(full_call, route_to(name)).body)))
    payload = (PAYLOADS / f"{case}.json").read_bytes()
    response = dialect.decode(payload)
    assert response == RESPONSES[case]
    if response.finish is Finish.COMPLETE:
        assert json.loads(response.text) == ANSWER


@pytest.mark.parametrize("case", sorted(RESPONSES))
def test_a_recording_answers_like_the_payload_it_was_made_from(case: str) -> None:
    dialect = DIALECTS[case.partition("_")[0]]
    scrubbed = dialect.scrub((PAYLOADS / f"{case}.json").read_bytes())
    again, expected = dialect.decode(scrubbed), RESPONSES[case]
    assert again == replace(expected, usage=replace(expected.usage, cached_tokens=None))
    assert dialect.scrub(scrubbed) == scrubbed


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_bare_call_is_taken_too(name: str, route_to: RouteTo, ask: Ask) -> None:
    CHECKS[name](json.loads(bytes(DIALECTS[name].encode(ask("hi"), route_to(name)).body)))


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize(
    "payload", [b"", b"null", b"{}", b"[]", b"<html>", b"\xff\xfe", b'{"choices": 1}', b'"\\ud800"']
)
def test_no_payload_crashes(name: str, payload: bytes) -> None:
    from runner.core.ports import CallFailed

    dialect = DIALECTS[name]
    with pytest.raises(CallFailed):
        dialect.decode(payload)
    for status in (200, 302, 400, 429, 500):
        assert dialect.failure(status, {}, payload).message.isprintable()
    assert isinstance(dialect.scrub(payload), bytes)


def test_an_own_server_is_asked_in_its_words(route_to: RouteTo, full_call: Call) -> None:
    own = Provider("box", "openai-chat", "http://127.0.0.1:8080/v1")
    body = json.loads(
        bytes(DIALECTS["openai-chat"].encode(full_call, route_to("openai-chat", provider=own, model="qwen3")).body)
    )
    check_chat(body, "max_tokens", "system")


def sent_by_the_sdk(**arguments: Any) -> tuple[str, Any]:
    """The path and body that OpenAI's own client sends."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=(PAYLOADS / "openai-chat_answer.json").read_bytes())

    http: Any
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="https://api.example/v1", http_client=http)
        client.chat.completions.create(**arguments)
    return seen[0].url.path, json.loads(seen[0].content)


def test_a_plain_chat_is_what_openais_own_client_sends(route_to: RouteTo, ask: Ask) -> None:
    request = DIALECTS["openai-chat"].encode(ask("hi", thinking="low", max_output_tokens=9), route_to("openai-chat"))
    path, body = sent_by_the_sdk(
        model="gpt-5.4-mini",
        messages=[{"role": "user", "content": "hi"}],
        reasoning_effort="low",
        max_completion_tokens=9,
    )
    assert path == "/v1" + request.endpoint
    assert json.loads(bytes(request.body)) == body


def test_a_structured_chat_is_what_openais_own_client_sends(route_to: RouteTo, full_call: Call) -> None:
    ours = json.loads(bytes(DIALECTS["openai-chat"].encode(full_call, route_to("openai-chat")).body))
    _, theirs = sent_by_the_sdk(
        model="gpt-5.4-mini",
        messages=[
            {"role": "developer", "content": "Answer like an astronomer."},
            {"role": "user", "content": "How big is the moon?"},
            {"role": "assistant", "content": "Quite big."},
            {"role": "user", "content": "In kilometres, please."},
        ],
        reasoning_effort="low",
        temperature=0.5,
        top_p=0.9,
        max_completion_tokens=64,
        seed=7,
        stop=["END", "STOP"],
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "moon",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {"radius": {"type": "integer", "minimum": 1}, "sure": {"type": "boolean"}},
                    "required": ["radius", "sure"],
                    "additionalProperties": False,
                },
            },
        },
    )
    assert set(ours) == set(theirs)
    for field, value in theirs.items():
        assert ours[field] == value, field


def test_a_strict_schema_is_the_one_that_openais_own_client_makes(route_to: RouteTo, ask: Ask) -> None:
    from openai.lib._pydantic import to_strict_json_schema
    from pydantic import BaseModel

    class Line(BaseModel):
        name: str
        quantity: int

    class Order(BaseModel):
        lines: list[Line]
        note: str | None

    schema = Order.model_json_schema()
    body = json.loads(bytes(DIALECTS["openai-chat"].encode(ask("hi", schema=schema), route_to("openai-chat")).body))
    assert body["response_format"]["json_schema"]["schema"] == to_strict_json_schema(Order)
