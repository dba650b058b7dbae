"""What is sent is what is keyed, and nothing else is: derived from the requests that the dialects encode."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from runner.core.call import Call, Message, ToolSpec
from runner.core.media import Clip, Medium
from runner.core.model import ModelFacts, Price, Provider, Route
from runner.core.request import Request
from runner.dialects import DIALECTS

GOLDEN = Path(__file__).with_name("golden_keys.json")
RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
OPTIONS: dict[str, dict[str, Any]] = {
    "gemini": {"topK": 3, "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]},
    "vertex": {"topK": 3, "labels": {"team": "blue"}},
    "openai-responses": {"verbosity": "low", "summary": "auto", "truncation": "auto"},
    "anthropic": {"top_k": 3, "metadata": {"user_id": "u"}},
    "openai-chat": {"verbosity": "low", "logit_bias": {"9": 1}},
    "llama": {"top_k": 5, "repeat_penalty": 1.1},
    "scripted": {},
}
NAMES = sorted(DIALECTS)
PNG = Medium("image", "image/png", "01" * 32, 70, resolution="low", path="/a/p.png", shown="p.png")
WAV = Medium("audio", "audio/wav", "02" * 32, 80)
MP4 = Medium("video", "video/mp4", "03" * 32, 90, clip=Clip(0.5, 20, 2))
PDF = Medium("document", "application/pdf", "04" * 32, 100)
TEXT = Medium("document", "text/plain", "05" * 32, 110)
SHOWN = {
    "gemini": (PNG, WAV, MP4, PDF, TEXT),
    "vertex": (PNG, WAV, MP4, PDF, TEXT),
    "openai-chat": (PNG, WAV, PDF, TEXT),
    "openai-responses": (PNG, PDF, TEXT),
    "anthropic": (replace(PNG, resolution=None), PDF, TEXT),
    "scripted": (PNG, WAV, MP4, PDF, TEXT),
}


@pytest.fixture(params=NAMES)
def encoded(request: pytest.FixtureRequest, route_to: RouteTo, full_call: Call) -> Request:
    return encode(request.param, replace(full_call, options=OPTIONS[request.param]), route_to(request.param))


def encode(name: str, call: Call, route: Route) -> Request:
    return DIALECTS[name].encode(call, route)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None or not value:
        yield path
        return
    for key, element in inner:
        yield from leaves(element, (*path, key))


def flipped(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case _:
            return "other"


def changed(body: Any, path: tuple[Any, ...]) -> Any:
    body = copy.deepcopy(body)
    target = body
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = flipped(target[path[-1]])
    return body


def without(body: Any, path: tuple[Any, ...]) -> Any:
    body = copy.deepcopy(body)
    target = body
    for key in path[:-1]:
        target = target[key]
    del target[path[-1]]
    return body


def test_every_leaf_of_the_body_is_in_the_key(encoded: Request) -> None:
    body = orjson.loads(bytes(encoded.body))
    assert orjson.dumps(body) == encoded.body
    paths = list(leaves(body))
    assert len(paths) > 10
    variants = [changed(body, path) for path in paths] + [without(body, path) for path in paths]
    keys = {replace(encoded, body=orjson.dumps(variant)).key for variant in variants}
    assert len(keys | {encoded.key}) == len(variants) + 1


def test_everything_beside_the_body_is_in_the_key(encoded: Request) -> None:
    variants = {
        "dialect": "other",
        "key_version": encoded.key_version + 1,
        "provider": "other",
        "endpoint": encoded.endpoint + "x",
        "headers": (("x-version", "2"),),
        "sample": 1,
        "salt": "again",
        "body": bytes(encoded.body) + b" ",
    }
    # What the transport puts into the body is named there by its digest.
    assert set(variants) == {field.name for field in fields(Request)} - {"attachments"}
    keys = {replace(encoded, **{name: value}).key for name, value in variants.items()}  # type: ignore[arg-type]
    assert len(keys | {encoded.key}) == len(variants) + 1


def test_sample_and_salt_come_from_the_call(route_to: RouteTo, full_call: Call) -> None:
    for name in NAMES:
        request = encode(name, replace(full_call, sample=2, salt="again"), route_to(name))
        assert (request.sample, request.salt) == (2, "again")


def test_sample_zero_and_an_empty_salt_leave_no_trace(encoded: Request) -> None:
    assert encoded.key == replace(encoded, sample=0, salt="").key
    headers = [list(pair) for pair in encoded.headers]
    head = orjson.dumps([1, encoded.dialect, 1, encoded.provider, encoded.endpoint, headers])
    assert encoded.key == hashlib.sha256(head + b"\n" + bytes(encoded.body)).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_the_call_that_goes_on_the_wire_changes_the_key(
    name: str, route_to: RouteTo, full_call: Call
) -> None:
    changes: dict[str, Any] = {
        "messages": (*full_call.messages[:2], Message("user", "In miles, please.")),
        "system": None,
        "schema": {**full_call.schema, "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]},  # type: ignore[dict-item]
        "thinking": "high",
        "temperature": 0.25,
        "top_p": 0.5,
        "max_output_tokens": 65,
        "seed": 8,
        "stop": ("END",),
        "sample": 1,
        "salt": "again",
        "options": OPTIONS[name],
        "schema_name": "sun",
        "tools": (ToolSpec("find", "Finds.", {"type": "object"}),),
        "tool_choice": "required",
    }
    # The model's name in the call is the author's; the id that is sent is the route's.
    # Arguments are for tools that are run here. What is shared says nothing about the answer.
    assert {"model", "arguments", "asked_in", "shared", *changes} == {field.name for field in fields(Call)}
    unsent = {
        "gemini": {"schema_name"},
        "vertex": {"schema_name"},
        "openai-responses": set(DIALECTS["openai-responses"].lacks),
        "anthropic": {"schema_name"} | DIALECTS["anthropic"].lacks,
        "openai-chat": set(),
        "llama": {"thinking", "tools", "tool_choice"},
        "scripted": {"schema_name", "options"},
    }[name]
    base = encode(name, full_call, route_to(name)).key
    for field, value in changes.items():
        key = encode(name, replace(full_call, **{field: value}), route_to(name)).key
        assert (key == base) is (field in unsent), field
    assert encode(name, full_call, route_to(name, model="other")).key != base
    assert encode(name, replace(full_call, model="renamed"), route_to(name)).key == base


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_change_the_answer_is_not_in_the_key(name: str, route_to: RouteTo, full_call: Call) -> None:
    route = route_to(name)
    base = encode(name, full_call, route)
    moved = replace(
        route.provider, base_url="https://elsewhere.example", key_env="OTHER_KEY", price=Price(1.0, 2.0), is_free=True
    )
    facts = ModelFacts("p", "m", title="T", price=Price(1.0, 2.0), retired="2020-01-01", context_tokens=1, note="n")
    other = replace(route, name="renamed", provider=moved, facts=facts, thinking="high")
    assert encode(name, full_call, other) == base
    whole = repr(base)
    for excluded in (
        "elsewhere.example",
        "API_KEY",
        "OTHER_KEY",
        "timeout",
        "authorization",
        "googleapis",
        "api.openai",
    ):
        assert excluded not in whole


@pytest.mark.parametrize("name", NAMES)
def test_an_own_provider_is_keyed_by_identity_or_address_and_never_by_its_name(
    name: str, route_to: RouteTo, full_call: Call
) -> None:
    settings = {"weights_sha256": "ab" * 32, "script_sha256": "cd" * 32}
    one = Provider("one", name, "http://127.0.0.1:1/v1", settings=settings)

    def key(provider: Provider) -> str:
        return encode(name, full_call, route_to(name, provider=provider)).key

    assert key(one) == key(replace(one, name="two", key_env="K"))
    assert key(one) != key(replace(one, base_url="http://127.0.0.1:2/v1"))
    named = replace(one, identity="box")
    assert key(named) != key(one)
    assert key(named) == key(replace(named, base_url="http://127.0.0.1:2/v1"))


@pytest.mark.parametrize("name", ["llama", "scripted"])
def test_the_bytes_behind_an_answer_in_process_are_in_the_key(name: str, route_to: RouteTo, full_call: Call) -> None:
    route = route_to(name)
    settings = dict.fromkeys(route.provider.settings, "00" * 32)
    other = replace(route, provider=replace(route.provider, settings=settings))
    assert encode(name, full_call, route).key != encode(name, full_call, other).key


@pytest.mark.parametrize("name", NAMES)
def test_equal_calls_give_equal_bytes(name: str, route_to: RouteTo, full_call: Call) -> None:
    again = replace(full_call, schema=copy.deepcopy(full_call.schema))
    assert encode(name, full_call, route_to(name)) == encode(name, again, route_to(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_properties_is_the_authors_and_is_in_the_key(name: str, route_to: RouteTo, ask: Ask) -> None:
    def key(*names: str) -> str:
        properties = {each: {"type": "string"} for each in names}
        schema = {"type": "object", "properties": properties, "required": ["a", "b"], "additionalProperties": False}
        return encode(name, ask(schema=schema), route_to(name)).key

    assert key("a", "b") != key("b", "a")


def asking(*media: Medium) -> Call:
    return Call(model="m", messages=(Message("user", "What is this?", media),))


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_what_a_file_holds_and_how_it_is_looked_at_is_in_the_key_and_where_it_lies_is_not(
    name: str, route_to: RouteTo
) -> None:
    def key(*media: Medium) -> str:
        return encode(name, asking(*media), route_to(name)).key

    base = key(*SHOWN[name])
    for number, medium in enumerate(SHOWN[name]):
        rest = list(SHOWN[name])

        def with_one(changed: Medium, number: int = number, rest: list[Medium] = rest) -> str:
            return key(*rest[:number], changed, *rest[number + 1 :])

        assert with_one(replace(medium, sha256="ff" * 32)) != base
        assert with_one(replace(medium, path="/elsewhere", shown="other", size=medium.size + 1)) == base
        if DIALECTS[name].media.resolutions and medium.kind == "image":
            assert with_one(replace(medium, resolution="high")) != base
        if medium.clip is not None:
            assert with_one(replace(medium, clip=Clip(0.5, 21, 2))) != base
    assert key(*reversed(SHOWN[name])) != base
    assert key(*SHOWN[name][1:]) != base


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_a_file_has_one_key_whichever_way_it_travels(name: str, route_to: RouteTo) -> None:
    route = route_to(name)
    told = replace(route, provider=replace(route.provider, settings={**route.provider.settings, "upload_over": "1"}))
    within, by_upload = (encode(name, asking(*SHOWN[name]), each) for each in (route, told))
    assert not any(one.by_upload for one in within.attachments)
    assert any(one.by_upload for one in by_upload.attachments) is bool(DIALECTS[name].media.uploads)
    assert within.key == by_upload.key


def golden_requests(route_to: RouteTo, ask: Ask, full_call: Call) -> dict[str, Request]:
    own = Provider("box", "openai-chat", "http://127.0.0.1:8080/v1", identity="box-qwen3")
    requests = {
        "openai-chat own server": encode(
            "openai-chat", full_call, route_to("openai-chat", provider=own, model="qwen3")
        ),
    }
    for name, media in SHOWN.items():
        requests[f"{name} files"] = encode(name, asking(*media), route_to(name))
    for server in ("llama.cpp", "vllm", "ollama"):
        known = replace(own, settings={"server": server})
        route = route_to("openai-chat", provider=known, model="qwen3")
        requests[f"openai-chat {server}"] = encode("openai-chat", full_call, route)
    for name in NAMES:
        requests[f"{name} bare"] = encode(name, ask("hi"), route_to(name))
        requests[f"{name} full"] = encode(name, replace(full_call, options=OPTIONS[name]), route_to(name))
        requests[f"{name} sample 1, salted"] = encode(name, ask("hi", sample=1, salt="again"), route_to(name))
    return requests


def test_the_golden_keys_hold(route_to: RouteTo, ask: Ask, full_call: Call) -> None:
    """A difference is a change of keys: every stored answer of the dialect would be asked again. Raise `key_version`."""
    found = {name: request.key for name, request in golden_requests(route_to, ask, full_call).items()}
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))
