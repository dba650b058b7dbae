from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from runner.core.call import Call
from runner.core.model import Provider, Route
from runner.core.outcome import FailureKind
from runner.core.response import Finish, Usage
from runner.dialects.llama import LlamaDialect

llama = LlamaDialect()
SHAPE = {"type": "object", "properties": {"size": {"enum": ["small", "big"]}}, "required": ["size"]}
PAYLOAD = {
    "choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": '{"size": "big"}'}}],
    "created": 1795360283,
    "model": "/home/ann/models/Smol.gguf",
    "system_fingerprint": "b0-unknown",
    "object": "chat.completion",
    "usage": {"completion_tokens": 7, "prompt_tokens": 40, "prompt_tokens_details": {"cached_tokens": 39}},
    "id": "chatcmpl-jis7",
    "timings": {"cache_n": 0, "prompt_ms": 552.469},
}
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]


def body_of(call: Call, route: Route) -> Any:
    return json.loads(bytes(llama.encode(call, route).body))


def test_what_the_engine_would_choose_by_itself_is_always_sent(route_to: RouteTo, ask: Ask) -> None:
    request = llama.encode(ask("hi"), route_to("llama"))
    assert request.endpoint == "/smollm2-135m@" + "ab" * 32
    assert request.provider == "local"
    assert request.body == (
        b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":512,"temperature":0,"seed":0,"cache_prompt":false}'
    )


def test_a_temperature_without_a_seed_sends_none_so_that_samples_differ(route_to: RouteTo, ask: Ask) -> None:
    assert "seed" not in body_of(ask("hi", temperature=0.8), route_to("llama"))
    assert body_of(ask("hi", temperature=0.8, seed=3), route_to("llama"))["seed"] == 3
    assert body_of(ask("hi", temperature=0.0), route_to("llama"))["seed"] == 0


def test_the_step_has_the_last_word(route_to: RouteTo, full_call: Call) -> None:
    body = body_of(full_call, route_to("llama"))
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["seed"]) == (64, 0.5, 0.9, 7)
    assert body["stop"] == ["END", "STOP"]


def test_the_schema_is_sent_as_a_grammar_and_said_in_words(route_to: RouteTo, ask: Ask) -> None:
    body = body_of(ask("hi", schema=SHAPE, system="Be brief."), route_to("llama"))
    assert body["messages"][0] == {
        "role": "system",
        "content": 'Be brief.\n\nAnswer with JSON only, in this form: {"size": "small" | "big"}',
    }
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "output", "schema": SHAPE}}


def test_a_schema_alone_makes_the_system_text(route_to: RouteTo, ask: Ask) -> None:
    system = body_of(ask("hi", schema=SHAPE), route_to("llama"))["messages"][0]
    assert system == {"role": "system", "content": 'Answer with JSON only, in this form: {"size": "small" | "big"}'}


def test_options_are_passed_through(route_to: RouteTo, ask: Ask) -> None:
    assert body_of(ask("hi", options={"top_k": 1}), route_to("llama"))["top_k"] == 1


def test_a_projects_own_model_file_is_known_by_its_digest_not_by_its_name(route_to: RouteTo, ask: Ask) -> None:
    one = Provider("mine", "llama", settings={"weights_sha256": "ef" * 32})
    other = Provider("yours", "llama", settings={"weights_sha256": "ef" * 32, "model_path": "/elsewhere/x.gguf"})
    assert (
        llama.encode(ask(), route_to("llama", provider=one)).key
        == llama.encode(ask(), route_to("llama", provider=other)).key
    )


def test_the_answer_names_the_file_that_answered_without_its_folder() -> None:
    response = llama.decode(json.dumps(PAYLOAD).encode())
    assert (response.text, response.finish, response.model) == ('{"size": "big"}', Finish.COMPLETE, "Smol.gguf")
    assert response.usage == Usage(40, 7, 39)


def test_a_recording_is_the_same_on_every_machine() -> None:
    scrubbed = llama.scrub(json.dumps(PAYLOAD).encode())
    assert scrubbed == (
        b'{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"{\\"size\\": \\"big\\"}","role":"assistant"}}],'
        b'"model":"Smol.gguf","object":"chat.completion","usage":{"completion_tokens":7,"prompt_tokens":40}}'
    )
    elsewhere = {**PAYLOAD, "id": "x", "created": 1, "timings": {}, "model": "C:\\models\\Smol.gguf"}
    assert llama.scrub(json.dumps(elsewhere).encode()) == scrubbed
    assert llama.scrub(b'{"choices": []}') == b'{"choices":[]}'


def test_a_prompt_that_is_too_long_is_a_bad_request() -> None:
    body = b'{"error": {"code": 400, "message": "request (5031 tokens) exceeds the context", "type": "exceed_context_size_error"}}'
    failure = llama.failure(400, {}, body)
    assert failure.kind is FailureKind.BAD_REQUEST
    assert failure.message == "the provider answered 400: request (5031 tokens) exceeds the context"
