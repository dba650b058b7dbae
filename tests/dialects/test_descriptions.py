"""Bodies and batch lines against the vendors' own descriptions of their services; every other test here is held to them
too, by the fixture `described`.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.call import Call, Message
from runner.core.media import Clip, Medium
from runner.core.model import ModelFacts, Provider, Route
from runner.dialects import DIALECTS
from runner.dialects.batch import BATCH_FORMATS

descriptions: Any = importlib.import_module("descriptions")
walks: Any = importlib.import_module("description_walks")
RouteTo = Callable[..., Route]
DESCRIBED = ("gemini", "vertex", "openai-chat", "openai-responses")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
LEVELS = {"gemini": ("minimal", "low", "medium", "high"), "vertex": ("minimal", "low", "medium", "high")}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": ["string", "null"]}, "b": {"enum": ["x", 1]}, "c": {"$ref": "#/$defs/d"}},
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {"d": {"type": "array", "items": {"type": "number", "minimum": 0}}},
}
KINDS = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}


def builtin(dialect: str) -> Route:
    return Route("p/m", Provider("p", dialect, "https://p.example", is_builtin=True), "m", ModelFacts("p", "m"))


def media(dialect: str) -> st.SearchStrategy[tuple[Medium, ...]]:
    rules = DIALECTS[dialect].media
    clips = st.builds(Clip, st.none() | st.floats(0, 9), st.none() | st.floats(9, 99), st.none() | st.just(2.0))

    def of(kind: str) -> st.SearchStrategy[Medium]:
        return st.builds(
            Medium,
            st.just(kind),
            st.just(KINDS[kind]),
            st.just("ab" * 32),
            st.integers(1, 2_000_000_000),
            st.none() | clips if kind == "video" else st.none(),
            st.none() | st.sampled_from(sorted(rules.resolutions)) if kind == "image" else st.none(),
        )

    return st.lists(st.one_of([of(kind) for kind in rules.types]), max_size=3).map(tuple)


def calls(dialect: str) -> st.SearchStrategy[Call]:
    lacks = DIALECTS[dialect].lacks
    levels = LEVELS.get(dialect, ("none", "minimal", "low", "medium", "high", "max"))
    return st.builds(
        Call,
        st.just("m"),
        st.builds(
            lambda turns, last, files: (*turns, Message("user", last, files)),
            st.lists(st.builds(Message, st.sampled_from(("user", "assistant")), TEXTS), max_size=3).map(tuple),
            TEXTS,
            media(dialect),
        ),
        system=st.none() | TEXTS,
        schema=st.none() | st.just(SCHEMA),
        schema_name=TEXTS,
        thinking=st.none() | st.sampled_from(levels),
        temperature=st.none() | st.floats(0, 2),
        top_p=st.none() | st.floats(0, 1),
        max_output_tokens=st.none() | st.integers(16, 10**6),
        seed=st.none() if "seed" in lacks else st.none() | st.integers(0, 2**31 - 1),
        stop=st.just(()) if "stop" in lacks else st.lists(TEXTS, max_size=4).map(tuple),
    )


@pytest.mark.parametrize("name", DESCRIBED)
@given(data=st.data())
def test_every_call_is_encoded_as_the_description_allows(name: str, data: st.DataObject) -> None:
    request = DIALECTS[name].encode(data.draw(calls(name)), builtin(name))  # the fixture judges
    assert json.loads(bytes(request.body))


@pytest.mark.parametrize(
    ("name", "option"), [(name, each) for name in DESCRIBED for each in sorted(DIALECTS[name].options)]
)
def test_every_option_is_a_field_of_the_description(name: str, option: str, route_to: RouteTo, full_call: Call) -> None:
    value = OPTIONS[option]
    call = replace(full_call, options={option: value}, thinking=None if option == "reasoning_effort" else "low")
    own = Provider("box", name, "http://127.0.0.1:1", identity="box")
    is_for_own = option in descriptions.OWN_SERVERS
    DIALECTS[name].encode(call, route_to(name, provider=own if is_for_own else None))


OPTIONS: dict[str, Any] = {
    "topK": 3,
    "presencePenalty": 0.5,
    "frequencyPenalty": 0.5,
    "mediaResolution": "MEDIA_RESOLUTION_LOW",
    "enableEnhancedCivicAnswers": True,
    "thinkingBudget": 1024,
    "includeThoughts": True,
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "serviceTier": "flex",
    "store": False,
    "audioTimestamp": True,
    "routingConfig": {"autoMode": {"modelRoutingPreference": "BALANCED"}},
    "labels": {"team": "blue"},
    "modelArmorConfig": {"promptTemplateName": "p"},
    "verbosity": "low",
    "summary": "auto",
    "mode": "standard",
    "service_tier": "flex",
    "metadata": {"team": "blue"},
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "safety_identifier": "s",
    "truncation": "auto",
    "include": ["reasoning.encrypted_content"],
    "top_logprobs": 2,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"9": 1},
    "max_completion_tokens": 9,
    "reasoning_effort": "low",
    "chat_template_kwargs": {"enable_thinking": False},
    "enable_thinking": False,
    "top_k": 3,
    "min_p": 0.1,
    "repeat_penalty": 1.1,
    "repetition_penalty": 1.1,
    "cache_prompt": True,
}


@pytest.mark.parametrize("name", sorted(set(BATCH_FORMATS) & set(DIALECTS)))
@given(data=st.data())
def test_every_line_of_a_batch_is_as_described(name: str, data: st.DataObject) -> None:
    call = data.draw(calls(name))
    call = replace(call, messages=tuple(replace(message, files=()) for message in call.messages))
    request = DIALECTS[name].encode(call, builtin(name))
    line = json.loads(BATCH_FORMATS[name].head(request.key, request) + bytes(request.body) + b"}")
    assert descriptions.line_problems(line) == []
    assert descriptions.line_problems({**line, "extra": 1}) != []
    inner = "body" if "body" in line else "request"
    assert descriptions.line_problems({**line, inner: {**line[inner], "extra": 1}}) != []


# The descriptions themselves are not blind


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def is_authors(path_value: dict[str, Any]) -> bool:
    """What stands inside a schema is the author's: no description knows its fields."""
    return bool({"properties", "enum", "additionalProperties"} & set(path_value)) or path_value in (
        {"type": "integer", "minimum": 1},
        {"type": "boolean"},
    )


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_field_too_many_is_found_in_every_object(name: str, route_to: RouteTo, full_call: Call) -> None:
    body = json.loads(bytes(DIALECTS[name].encode(full_call, route_to(name)).body))
    count = len(list(objects(body)))
    found = 0
    for number in range(count):
        changed = copy.deepcopy(body)
        target = list(objects(changed))[number]
        is_free = is_authors(target) or set(target) == {"radius", "sure"}
        target["surprise"] = 1
        problems = descriptions.problems_of(name, changed)
        assert is_free is not bool(problems), target
        found += bool(problems)
    assert found >= 6


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_value_of_another_kind_is_found(name: str, route_to: RouteTo, full_call: Call) -> None:
    body = json.loads(bytes(DIALECTS[name].encode(full_call, route_to(name)).body))
    assert descriptions.problems_of(name, body) == []
    for field, value in body.items():
        wrong: Any = 5 if isinstance(value, list | dict | str) else "five"
        assert descriptions.problems_of(name, {**body, field: wrong}) != [], field


@pytest.mark.parametrize(
    ("dialect", "change", "told"),
    [
        ("gemini", {"labels": {"a": "b"}}, "GenerateContentRequest.labels: only Vertex AI takes it"),
        ("gemini", {"serviceTier": "fast"}, "GenerateContentRequest.serviceTier: 'fast' is no string"),
        ("vertex", {"store": True}, "GenerateContentRequest.store: unknown field"),
        ("openai-chat", {"reasoning_effort": "much"}, "chat.reasoning_effort: 'much' is none of "),
        ("openai-chat", {"cache_prompt": True}, "chat.cache_prompt: unknown field"),
        ("openai-responses", {"seed": 7}, "responses.seed: unknown field"),
    ],
)
def test_what_is_not_allowed_is_told_with_its_place(
    dialect: str, change: Any, told: str, route_to: RouteTo, full_call: Call
) -> None:
    body = json.loads(bytes(DIALECTS[dialect].encode(full_call, route_to(dialect)).body))
    assert descriptions.problems_of(dialect, {**body, **change})[0].startswith(told)


def test_what_must_be_there_is_missed() -> None:
    assert "chat: 'messages' is missing" in descriptions.problems_of("openai-chat", {"model": "m"})
    batch = {"input_file_id": "f", "endpoint": "/v1/responses", "completion_window": "24h"}
    assert descriptions.problems_of("openai-batch", batch) == []
    assert descriptions.problems_of("openai-batch", {**batch, "completion_window": "1h"}) != []
    form = {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    assert descriptions.form_problems(form) == []
    assert descriptions.form_problems({**form, "reason": "none"}) == ["form.reason: unknown field"]
    assert descriptions.problems_of("openai-embeddings", {"model": "m", "input": ["a", "b"]}) == []
    assert descriptions.problems_of("openai-embeddings", {"model": "m"}) != []


@pytest.mark.skipif(
    not descriptions.has_published(), reason="RUNNER_API_DESCRIPTIONS names no folder with descriptions"
)
@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            "gemini-batch",
            {"batch": {"displayName": "d", "inputConfig": {"fileName": "files/f"}}},
            {"batch": {"displayName": "d", "inputConfig": {"file": "files/f"}}},
        ),
        ("gemini-file", {"file": {"displayName": "d", "mimeType": "application/jsonl"}}, {"file": {"title": "d"}}),
        ("gemini-embed", {"content": {"parts": [{"text": "a"}]}}, {"contents": []}),
        ("gemini", {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}, {"contents": [{"text": "a"}]}),
        ("openai-chat", {"model": "m", "messages": [{"role": "user", "content": "a"}]}, {"model": "m", "messages": [{}]}),
        ("openai-responses", {"model": "m", "input": "a"}, {"model": "m", "input": [{"role": "user", "text": "a"}]}),
    ],
)  # fmt: skip
def test_the_published_descriptions_are_walked_as_strictly(kind: str, good: Any, bad: Any) -> None:
    assert descriptions.problems_of(kind, good) == []
    assert descriptions.problems_of(kind, bad) != []


def test_a_discovery_document_knows_maps_and_forms() -> None:
    document = walks.Discovery(
        {
            "A": {
                "type": "object",
                "properties": {
                    "names": {"type": "object", "additionalProperties": {"type": "string"}},
                    "data": {"type": "string", "format": "byte"},
                    "length": {"type": "string", "format": "google-duration"},
                    "count": {"type": "string", "format": "int64"},
                    "hole": {"$ref": "Nowhere"},
                    "whole": {"type": "integer", "format": "int32"},
                },
            }
        }
    )
    good = {"names": {"a": "b"}, "data": "AAAA", "length": "1.5s", "count": "12", "hole": {"x": 1}, "whole": 3.0}
    assert document.problems("A", good) == []
    for bad in ({"names": {"a": 1}}, {"data": "?"}, {"length": "1.5"}, {"count": "x"}, {"whole": 3.5}, {"whole": True}):
        assert len(document.problems("A", bad)) == 1, bad


def test_an_openapi_document_knows_parts_choices_and_bounds() -> None:
    document = walks.OpenApi(
        {
            "Base": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 3}},
                "required": ["name"],
            },
            "Thing": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {
                        "type": "object",
                        "properties": {
                            "size": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
                            "kind": {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]},
                            "more": {"type": "object", "additionalProperties": {"type": "boolean"}},
                            "some": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                        },
                    },
                ]
            },
        }
    )
    good = {"name": "abc", "size": None, "kind": None, "more": {"x": True}, "some": ["a"]}
    assert document.problems("Thing", good) == []
    wrong: list[Any] = [
        {"size": 10},
        {"size": "1"},
        {"kind": "c"},
        {"more": {"x": 1}},
        {"some": []},
        {"other": 1},
        {"name": "abcd"},
    ]
    for bad in wrong:
        assert len(document.problems("Thing", {**good, **bad})) == 1, bad
    assert document.problems("Thing", {}) == ["Thing: 'name' is missing"]
