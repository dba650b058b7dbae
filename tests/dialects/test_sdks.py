"""The official clients and our dialects ask the same local server the same questions: the bodies must mean the same.

So the server, and with it our idea of the protocols, is held against clients that the vendors wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from openai import OpenAI

from runner.core.call import Call
from runner.core.model import Route
from runner.core.response import Finish
from runner.dialects import DIALECTS
from runner.transport.vertex import locate, place

RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
SCHEMA = {
    "type": "object",
    "properties": {"radius": {"type": "integer", "minimum": 1}, "sure": {"type": "boolean"}},
    "required": ["radius", "sure"],
    "additionalProperties": False,
}
SAID = '{"radius": 1737, "sure": true}'


def asked(server: Any) -> tuple[str, Any]:
    assert (server.refused, server.count) == ([], 1)
    return server.requests[0].path, meaning(server.requests[0].body)


def ours(dialect: str, call: Call, route: Route, prefix: str = "") -> tuple[str, Any]:
    request = DIALECTS[dialect].encode(call, route)
    return prefix + request.endpoint, meaning(json.loads(bytes(request.body)))


def meaning(body: Any) -> Any:
    """What both sides may spell differently and the service reads alike: the role of a system text, whole numbers."""
    if isinstance(body.get("systemInstruction"), dict):
        body = {**body, "systemInstruction": {"parts": body["systemInstruction"]["parts"]}}
    return body


def compare(theirs: tuple[str, Any], mine: tuple[str, Any]) -> None:
    assert mine[0] == theirs[0]
    assert set(mine[1]) == set(theirs[1])
    for field, value in theirs[1].items():
        assert mine[1][field] == value, field


def test_a_plain_chat_is_what_openais_client_asks(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask
) -> None:
    said = openai_client.chat.completions.create(
        model="gpt-5.4-mini",
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        reasoning_effort="low",
        max_completion_tokens=64,
    )
    call = ask("hi", system="Be brief.", thinking="low", max_output_tokens=64)
    compare(asked(server), ours("openai-chat", call, route_to("openai-chat"), "/v1"))
    response = DIALECTS["openai-chat"].decode(said.model_dump_json().encode())
    assert (response.text, response.finish) == (said.choices[0].message.content, Finish.COMPLETE)


def test_a_plain_response_is_what_openais_client_asks(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask
) -> None:
    said = openai_client.responses.create(
        model="gpt-5.4-mini",
        instructions="Be brief.",
        input=[{"role": "user", "content": "hi"}],
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=64,
        store=False,
    )
    call = ask("hi", system="Be brief.", thinking="low", max_output_tokens=64, options={"summary": "auto"})
    compare(asked(server), ours("openai-responses", call, route_to("openai-responses"), "/v1"))
    response = DIALECTS["openai-responses"].decode(said.model_dump_json().encode())
    assert (response.text, response.finish) == (said.output_text, Finish.COMPLETE)


def test_a_structured_response_is_what_openais_client_asks(
    server: Any, openai_client: OpenAI, route_to: RouteTo, full_call: Call
) -> None:
    openai_client.responses.create(
        model="gpt-5.4-mini",
        instructions="Answer like an astronomer.",
        input=[
            {"role": "user", "content": "How big is the moon?"},
            {"role": "assistant", "content": "Quite big."},
            {"role": "user", "content": "In kilometres, please."},
        ],
        reasoning={"effort": "low"},
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=64,
        text={
            "format": {"type": "json_schema", "name": "moon", "strict": True, "schema": SCHEMA},
            "verbosity": "low",
        },
        store=False,
    )
    call = replace(full_call, options={"verbosity": "low"})
    compare(asked(server), ours("openai-responses", call, route_to("openai-responses"), "/v1"))


def test_a_parsed_response_has_the_strict_schema_that_openais_client_makes(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask
) -> None:
    from pydantic import BaseModel

    class Moon(BaseModel):
        radius: int
        sure: bool | None

    openai_client.responses.parse(model="gpt-5.4-mini", input="hi", text_format=Moon)
    _, theirs = asked(server)
    _, mine = ours("openai-responses", ask("hi", schema=Moon.model_json_schema()), route_to("openai-responses"))
    assert mine["text"]["format"]["schema"] == theirs["text"]["format"]["schema"]
    assert mine["text"]["format"]["strict"] is theirs["text"]["format"]["strict"] is True


def google_config(**more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction="Answer like an astronomer.",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=64,
        seed=7,
        stop_sequences=["END", "STOP"],
        response_mime_type="application/json",
        response_json_schema=SCHEMA,
        **more,
    )


CONVERSATION = [
    types.Content(role=role, parts=[types.Part(text=text)])
    for role, text in (
        ("user", "How big is the moon?"),
        ("model", "Quite big."),
        ("user", "In kilometres, please."),
    )
]


def test_a_plain_question_is_what_googles_client_asks(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask
) -> None:
    said = google_client.models.generate_content(model="gemini-3.1-flash-lite", contents="hi")
    compare(asked(server), ours("gemini", ask("hi"), route_to("gemini")))
    assert said.text == SAID


def test_a_structured_question_is_what_googles_client_asks(
    server: Any, google_client: genai.Client, route_to: RouteTo, full_call: Call
) -> None:
    thinking = types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW, include_thoughts=True)
    options = {
        "includeThoughts": True,
        "topK": 3,
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    }
    safety = types.SafetySetting(
        category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.OFF
    )
    google_client.models.generate_content(
        model="gemini-3.1-flash-lite",
        contents=CONVERSATION,
        config=google_config(thinking_config=thinking, top_k=3, safety_settings=[safety]),
    )
    compare(asked(server), ours("gemini", replace(full_call, options=options), route_to("gemini")))


def test_a_budget_is_what_googles_client_asks(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask
) -> None:
    google_client.models.generate_content(
        model="gemini-2.5-flash",
        contents="hi",
        config=types.GenerateContentConfig(thinking_config=types.ThinkingConfig(thinking_budget=1024)),
    )
    route = route_to("gemini", model="gemini-2.5-flash")
    route = replace(route, facts=replace(route.facts, thinking_words={"low": 1024}))
    compare(asked(server), ours("gemini", ask("hi", thinking="low"), route))


@pytest.mark.parametrize("is_express", [False, True])
def test_vertex_is_asked_what_googles_client_asks(
    request: pytest.FixtureRequest, route_to: RouteTo, full_call: Call, *, is_express: bool
) -> None:
    """A project and a location are the transport's to add; in express mode the address is the endpoint itself."""
    names = ("express_client", "server") if is_express else ("vertex_client",)
    client, server = (*map(request.getfixturevalue, names),) if is_express else request.getfixturevalue(*names)
    client.models.generate_content(
        model="gemini-3.1-flash-lite",
        contents=CONVERSATION,
        config=google_config(
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW), labels={"team": "blue"}
        ),
    )
    path, theirs = asked(server)
    endpoint, mine = ours("vertex", replace(full_call, options={"labels": {"team": "blue"}}), route_to("vertex"))
    place = "" if is_express else "projects/shop/locations/us/"
    assert path == endpoint.replace("/publishers/", f"/{place}publishers/")
    compare((path, theirs), (path, mine))


@pytest.mark.parametrize("location", ["", "global", "us", "eu", "europe-west4"])
def test_vertex_is_asked_where_googles_client_asks(
    monkeypatch: pytest.MonkeyPatch, route_to: RouteTo, ask: Ask, location: str
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_LOCATION", raising=False)
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"candidates": []})

    options = types.HttpOptions(api_version="v1", client_args={"transport": httpx.MockTransport(answer)})
    ready: Any = Credentials
    with genai.Client(
        vertexai=True, project="shop", location=location or None, credentials=ready(token="t"), http_options=options
    ) as client:
        client.models.generate_content(model="gemini-3.1-flash-lite", contents="hi")
    route = route_to("vertex")
    provider = locate(route.provider, {"GOOGLE_CLOUD_PROJECT": "shop", "GOOGLE_CLOUD_LOCATION": location})
    endpoint = DIALECTS["vertex"].encode(ask("hi"), route).endpoint
    assert [str(request.url) for request in seen] == [provider.base_url + place(provider, endpoint)]
    assert seen[0].headers["authorization"] == "Bearer t"
