"""The interfaces that give vectors: what is sent, what is keyed, what an answer is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from runner.core.call import Call, Message
from runner.core.model import ModelFacts, Provider, Route
from runner.core.outcome import FailureKind
from runner.core.ports import CallFailed, LoweredSchema
from runner.core.response import Finish, Response, Usage
from runner.dialects import ASKED, DIALECTS
from runner.dialects.embedding import EMBEDDINGS

NAMES = sorted(set(EMBEDDINGS.values()) - set(DIALECTS))
CALL = Call("v/1", (Message("user", "sea"),))
OPTIONS: dict[str, dict[str, Any]] = {
    "openai-embed": {"dimensions": 2},
    "llama-embed": {},
    "gemini-embed": {"taskType": "CLUSTERING", "title": "t", "outputDimensionality": 2},
    "vertex-embed": {"taskType": "CLUSTERING", "title": "t", "outputDimensionality": 2, "autoTruncate": False},
}
CONTENT = {"content": {"role": "user", "parts": [{"text": "sea"}]}}
SENT: dict[str, tuple[str, Any]] = {
    "openai-embed": ("/embeddings", {"model": "v/1", "input": "sea"}),
    "llama-embed": (f"/v/1@{'ab' * 32}", {"input": "sea"}),
    "gemini-embed": ("/v1beta/models/v%2F1:embedContent", CONTENT),
    "vertex-embed": ("/v1/publishers/google/models/v%2F1:embedContent", CONTENT),
}
# The keys of the first release that had vectors.
KEYS = {
    "gemini-embed": "f7f50cca1cb94357e9a6b366e0ed5a3eb4eabf5cf3f978254a723bdd067907e4",
    "llama-embed": "2d5701128147ca8803a5897f6ebd0aeeb0f5d39c0aafbd8d205adba424fffbec",
    "openai-embed": "0c5aee1f6742e5678e9f884e6d52e5efc487665421d5b4117593bd3391a98343",
    "vertex-embed": "19fa2864441eeabfbbcf97e83ab12aa588a65f92fafbe8e921de86529d500c5d",
}


def route(name: str) -> Route:
    provider = Provider("box", name, identity="box", settings={"weights_sha256": "ab" * 32})
    return Route("box/v", provider, "v/1", ModelFacts("box", "v/1"))


def test_every_dialect_of_questions_has_one_of_vectors_or_none() -> None:
    assert set(EMBEDDINGS.values()) == {*NAMES, "scripted"}
    assert set(DIALECTS) - set(EMBEDDINGS) == {"anthropic"}


@pytest.mark.parametrize("name", NAMES)
def test_the_text_and_the_options_are_sent_and_keyed(name: str) -> None:
    dialect, (endpoint, body) = ASKED[name], SENT[name]
    plain = dialect.encode(CALL, route(name))
    assert (plain.endpoint, json.loads(bytes(plain.body)), plain.dialect) == (endpoint, body, name)
    assert plain.key == KEYS[name]
    full = dialect.encode(replace(CALL, options=OPTIONS[name]), route(name))
    placed = {"embedContentConfig": OPTIONS[name]} if name == "vertex-embed" else OPTIONS[name]
    assert json.loads(bytes(full.body)) == {**body, **placed}
    others = [replace(CALL, sample=1), replace(CALL, salt="s"), replace(CALL, messages=(Message("user", "lake"),))]
    keys = {dialect.encode(call, route(name)).key for call in others} | {plain.key, full.key}
    assert len(keys) == 4 + bool(OPTIONS[name])
    assert set(OPTIONS[name]) == dialect.options


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_answers_in_words_change_nothing(name: str) -> None:
    dialect = ASKED[name]
    rich = replace(CALL, system="s", temperature=1.0, thinking="low", max_output_tokens=9)
    assert dialect.encode(rich, route(name)) == dialect.encode(CALL, route(name))
    assert dialect.lower({"type": "array"}) == LoweredSchema(body=None)


OPENAI = {
    "object": "list",
    "model": "m",
    "data": [{"index": 0, "embedding": [0.1, -1e-9]}],
    "usage": {"prompt_tokens": 4},
}
GEMINI = {"embedding": {"values": [0.1, -1e-9]}}
ANSWERS: list[tuple[str, Any, Response]] = [
    ("openai-embed", OPENAI, Response("[0.1,-1e-9]", Finish.COMPLETE, Usage(4, 0), "m", "a vector")),
    ("llama-embed", OPENAI, Response("[0.1,-1e-9]", Finish.COMPLETE, Usage(4, 0), "m", "a vector")),
    ("gemini-embed", GEMINI, Response("[0.1,-1e-9]", Finish.COMPLETE, Usage(), "", "a vector")),
    (
        "vertex-embed",
        {**GEMINI, "usageMetadata": {"promptTokenCount": 4}},
        Response("[0.1,-1e-9]", Finish.COMPLETE, Usage(4, 0), "", "a vector"),
    ),
]


@pytest.mark.parametrize(("name", "payload", "response"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
def test_a_vector_is_json_text_with_every_digit(name: str, payload: Any, response: Response) -> None:
    assert ASKED[name].decode(json.dumps(payload).encode()) == response


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("payload", [{}, {"data": []}, {"data": [{"embedding": []}]}, {"embedding": {"values": "x"}}])
def test_what_has_no_vector_is_no_answer(name: str, payload: Any) -> None:
    with pytest.raises(CallFailed) as caught:
        ASKED[name].decode(json.dumps(payload).encode())
    assert caught.value.failure.message == "the answer has no vector"


@pytest.mark.parametrize("name", NAMES)
def test_an_error_is_read_as_of_a_question(name: str) -> None:
    body = json.dumps({"error": {"code": 404, "message": "no such model", "type": "x"}}).encode()
    failure = ASKED[name].failure(404, {}, body)
    assert (failure.kind, failure.message) == (FailureKind.NOT_FOUND, "the provider answered 404: no such model")
    with pytest.raises(CallFailed) as caught:
        ASKED[name].decode(body)
    assert caught.value.failure.kind is FailureKind.NOT_FOUND


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_holds_the_vector_as_it_came(name: str) -> None:
    assert ASKED[name].scrub(b'{"b": [0.1], "a": 1}') == b'{"a":1,"b":[0.1]}'
