"""The official clients and our dialects ask the same local server the same questions: the bodies must mean the same.

So the server, and with it our idea of the protocols, is held against clients that the vendors wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from openai import OpenAI

from runner.core.call import Call
from runner.core.model import Route
from runner.core.response import Finish
from runner.dialects import DIALECTS

RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
SCHEMA = {
    "type": "object",
    "properties": {"radius": {"type": "integer", "minimum": 1}, "sure": {"type": "boolean"}},
    "required": ["radius", "sure"],
    "additionalProperties": False,
}
SAID = '{"radius": 1737, "sure": true}'


@pytest.fixture
def server(counting_server: Any) -> Any:
    return counting_server(lambda _d, _b, _n: counting_server.Answer(SAID), key="k")


@pytest.fixture
def openai_client(server: Any) -> Iterator[OpenAI]:
    with OpenAI(api_key="k", base_url=server.chat_url, max_retries=0) as client:
        yield client


@pytest.fixture
def google_client(server: Any) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=server.base_url, api_version="v1beta")
    with genai.Client(api_key="k", vertexai=False, http_options=options) as client:
        yield client


def asked(server: Any) -> tuple[str, Any]:
    assert (server.refused, server.count) == ([], 1)
    return server.requests[0].path, meaning(server.requests[0].body)


def ours(dialect: str, call: Call, route: Route, prefix: str = "") -> tuple[str, Any]:
    request = DIALECTS[dialect].encode(call, route)
    return prefix + request.endpoint, meaning(json.loads(request.body))


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


def test_vertex_is_asked_what_googles_client_asks(counting_server: Any, route_to: RouteTo, full_call: Call) -> None:
    server = counting_server(lambda _d, _b, _n: counting_server.Answer(SAID), key="")
    options = types.HttpOptions(base_url=server.base_url, api_version="v1")
    ready: Any = Credentials
    client = genai.Client(
        vertexai=True, project="shop", location="us", credentials=ready(token="t"), http_options=options
    )
    with client:
        client.models.generate_content(
            model="gemini-3.1-flash-lite",
            contents=CONVERSATION,
            config=google_config(
                thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW), labels={"team": "blue"}
            ),
        )
    path, theirs = asked(server)
    endpoint, mine = ours("vertex", replace(full_call, options={"labels": {"team": "blue"}}), route_to("vertex"))
    assert path == endpoint.replace("/publishers/", "/projects/shop/locations/us/publishers/")
    compare((path, theirs), (path, mine))
