"""The official clients and our dialects ask for vectors: what goes out must mean the same, and give the same vector."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from google import genai
from google.genai import types
from openai import OpenAI

from runner.core.call import Call
from runner.core.model import Route
from runner.dialects import ASKED

RouteTo = Callable[..., Route]
Ask = Callable[..., Call]
VECTOR = [0.25, -0.5, 1.0]
OPTIONS = {"taskType": "CLUSTERING", "title": "Moons", "outputDimensionality": 3}
CONFIG = types.EmbedContentConfig(task_type="CLUSTERING", title="Moons", output_dimensionality=3)


@pytest.fixture
def respond(counting_server: Any) -> Callable[..., Any]:
    return lambda _dialect, _body, _number: counting_server.Answer(json.dumps(VECTOR))


def asked(server: Any) -> tuple[str, Any]:
    assert (server.refused, server.count) == ([], 1)
    return server.requests[0].path, server.requests[0].body


def ours(dialect: str, call: Call, route: Route) -> tuple[str, Any]:
    request = ASKED[dialect].encode(call, route)
    return request.endpoint, json.loads(bytes(request.body))


def vector_of(dialect: str, said: Any) -> Any:
    return json.loads(ASKED[dialect].decode(said.model_dump_json(by_alias=True, exclude_none=True).encode()).text)


@pytest.mark.parametrize("options", [{}, {"dimensions": 3}])
def test_a_vector_is_what_openais_client_asks_for(
    server: Any, openai_client: OpenAI, route_to: RouteTo, ask: Ask, options: dict[str, int]
) -> None:
    """It asks for base64 by itself unless told otherwise, which spares bytes and changes no vector."""
    more: Any = options
    said = openai_client.embeddings.create(model="gpt-5.4-mini", input="hi", encoding_format="float", **more)
    path, theirs = asked(server)
    assert theirs.pop("encoding_format") == "float"
    endpoint, mine = ours("openai-embed", ask("hi", options=options), route_to("openai-chat"))
    assert ("/v1" + endpoint, mine) == (path, theirs)
    assert vector_of("openai-embed", said) == said.data[0].embedding == VECTOR


@pytest.mark.parametrize("is_full", [False, True])
def test_a_vector_is_what_googles_client_asks_for(
    server: Any, google_client: genai.Client, route_to: RouteTo, ask: Ask, *, is_full: bool
) -> None:
    """It puts even one text into a list of requests, each with the name of the model; here it is the request itself."""
    said = google_client.models.embed_content(
        model="gemini-3.1-flash-lite", contents="hi", config=CONFIG if is_full else None
    )
    path, theirs = asked(server)
    (theirs,) = theirs["requests"]
    endpoint, mine = ours("gemini-embed", ask("hi", options=OPTIONS if is_full else {}), route_to("gemini"))
    assert path == endpoint.replace(":embedContent", ":batchEmbedContents")
    assert theirs.pop("model") == "models/gemini-3.1-flash-lite"
    assert mine == theirs
    assert said.embeddings
    assert said.embeddings[0].values == VECTOR


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("is_express", [False, True])
def test_a_vector_of_vertex_is_what_googles_client_asks_for(
    request: pytest.FixtureRequest, route_to: RouteTo, ask: Ask, *, is_express: bool, is_full: bool
) -> None:
    if is_express:
        client, server = request.getfixturevalue("express_client"), request.getfixturevalue("server")
    else:
        client, server = request.getfixturevalue("vertex_client")
    more = {"auto_truncate": False} if is_full else {}
    said = client.models.embed_content(
        model="gemini-3.1-flash-lite",
        contents="hi",
        config=CONFIG.model_copy(update=more) if is_full else None,
    )
    path, theirs = asked(server)
    options = {**OPTIONS, "autoTruncate": False} if is_full else {}
    endpoint, mine = ours("vertex-embed", ask("hi", options=options), route_to("vertex"))
    place = "" if is_express else "projects/shop/locations/us/"
    assert path == endpoint.replace("/publishers/", f"/{place}publishers/")
    assert mine == theirs
    assert said.embeddings[0].values == VECTOR
