"""What llama.cpp, vLLM and Ollama document of schemas and thinking: read out of our bodies as each of them reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from runner.core.call import Call
from runner.core.model import Provider, Route
from runner.dialects import DIALECTS

RouteTo = Callable[..., Route]
SERVERS = ("llama.cpp", "vllm", "ollama", "")
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "size": {"type": ["integer", "null"]}},
    "required": ["city", "size"],
    "additionalProperties": False,
}


def body_for(server: str, route_to: RouteTo, call: Call) -> Any:
    provider = Provider("box", "openai-chat", "http://127.0.0.1:8080/v1", settings={"server": server} if server else {})
    request = DIALECTS["openai-chat"].encode(call, route_to("openai-chat", provider=provider, model="qwen3"))
    return json.loads(bytes(request.body))


def schema_read_by(server: str, body: Any) -> Any:
    """llama.cpp looks for the schema in two places, and takes the type's word for which; the others in one."""
    form = body["response_format"]
    assert form["type"] == "json_schema"
    if server == "llama.cpp":
        return form.get("schema") or form["json_schema"]["schema"]
    assert set(form) == {"type", "json_schema"}
    assert form["json_schema"]["name"]
    return form["json_schema"]["schema"]


def is_thinking(server: str, body: Any) -> bool | None:
    """Whether a server would let the model think; None: as the model is by itself."""
    kwargs = body.get("chat_template_kwargs", {}).get("enable_thinking")
    effort = body.get("reasoning_effort")
    match server:
        case "llama.cpp":
            return kwargs if kwargs is not None else None if effort is None else effort != "none"
        case "vllm":
            return None if kwargs is None else bool(kwargs)
        case _:
            assert kwargs is None, "a field that it does not know"
            return None if effort is None else effort != "none"


@pytest.mark.parametrize("server", SERVERS)
def test_the_schema_stands_where_the_server_reads_it(server: str, route_to: RouteTo, ask: Callable[..., Call]) -> None:
    body = body_for(server, route_to, ask(schema=SCHEMA))
    assert schema_read_by(server, body) == SCHEMA


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("level", "thinks"), [("none", False), ("low", True), ("high", True), (None, None)])
def test_thinking_is_switched_as_the_server_documents_it(
    server: str, level: str | None, thinks: bool | None, route_to: RouteTo, ask: Callable[..., Call]
) -> None:
    assert is_thinking(server, body_for(server, route_to, ask(thinking=level))) is thinks


@pytest.mark.parametrize("server", SERVERS)
def test_the_words_are_those_that_every_server_knows(server: str, route_to: RouteTo, ask: Callable[..., Call]) -> None:
    body = body_for(server, route_to, ask(system="Be brief.", max_output_tokens=9, seed=7, stop=("x",), schema=SCHEMA))
    assert (body["messages"][0]["role"], body["max_tokens"], body["seed"], body["stop"]) == ("system", 9, 7, ["x"])
    assert not {"max_completion_tokens", "developer"} & set(body)


@pytest.mark.parametrize("server", SERVERS)
def test_only_a_server_that_hides_the_schema_from_the_model_is_told_it_in_words(
    server: str, route_to: RouteTo, ask: Callable[..., Call]
) -> None:
    texts = [one["content"] for one in body_for(server, route_to, ask(schema=SCHEMA))["messages"]]
    assert any("Answer with JSON only" in text for text in texts) is (server == "llama.cpp")


def test_thoughts_that_a_server_keeps_apart_are_no_part_of_the_answer() -> None:
    for field in ("reasoning_content", "reasoning", "thinking"):
        message = {"role": "assistant", "content": "Rome", field: "Hmm."}
        answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        assert DIALECTS["openai-chat"].decode(json.dumps(answer).encode()).text == "Rome"


def test_a_context_that_is_too_small_is_told_once() -> None:
    error = {"code": 400, "type": "exceed_context_size_error", "message": "too long", "n_prompt_tokens": 9, "n_ctx": 8}
    failure = DIALECTS["openai-chat"].failure(400, {}, json.dumps({"error": error}).encode())
    assert (str(failure.kind), failure.message) == ("bad-request", "the provider answered 400: too long")
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    assert str(DIALECTS["openai-chat"].failure(503, {}, json.dumps(loading).encode()).kind) == "transient"
