"""Routes and calls for the dialects' tests."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from runner.core.call import Call, Message
from runner.core.model import ModelFacts, Provider, Route
from runner.core.request import Request
from runner.dialects import DIALECTS

if TYPE_CHECKING:
    from google import genai
    from openai import OpenAI

BUILTIN = {
    "gemini": Provider(
        "gemini", "gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", is_builtin=True
    ),
    "vertex": Provider("vertex", "vertex", "https://aiplatform.googleapis.com", "GOOGLE_API_KEY", is_builtin=True),
    "openai-responses": Provider(
        "openai", "openai-responses", "https://api.openai.com/v1", "OPENAI_API_KEY", is_builtin=True
    ),
    "anthropic": Provider("anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", is_builtin=True),
    "openai-chat": Provider(
        "openai-chat", "openai-chat", "https://api.openai.com/v1", "OPENAI_API_KEY", is_builtin=True
    ),
    "llama": Provider("local", "llama", is_builtin=True, is_free=True, settings={"weights_sha256": "ab" * 32}),
    "scripted": Provider("scripted", "scripted", is_builtin=True, is_free=True, settings={"script_sha256": "cd" * 32}),
}
MODELS = {
    "gemini": "gemini-3.1-flash-lite",
    "vertex": "gemini-3.1-flash-lite",
    "openai-chat": "gpt-5.4-mini",
    "openai-responses": "gpt-5.4-mini",
    "anthropic": "claude-sonnet-4-6",
    "llama": "smollm2-135m",
    "scripted": "answers.json",
}


@pytest.fixture(autouse=True)
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every body that any test here encodes is held against the vendors' descriptions."""
    problems_of = importlib.import_module("descriptions").problems_of

    def held(real: Callable[..., Request]) -> Callable[..., Request]:
        @wraps(real)
        def encode(dialect: Any, call: Call, route: Route) -> Request:
            request = real(dialect, call, route)
            is_own = not route.provider.is_builtin or "server" in route.provider.settings
            for body in bodies_of(request):
                found = problems_of(dialect.name, orjson.loads(body), is_own_server=is_own)
                assert not found, f"{dialect.name}: the description does not allow {found}"
            return request

        return encode

    for kind in {type(dialect) for dialect in DIALECTS.values()}:
        if "encode" in vars(kind):
            monkeypatch.setattr(kind, "encode", held(kind.encode))


def bodies_of(request: Request) -> list[bytes]:
    """A request's body with its files within it, and with those uploaded that can be."""
    within = by_upload = bytes(request.body)
    for one in request.attachments:
        before, after = one.inline
        named = one.uploaded or one.inline
        within = within.replace(one.mark, before + b"AAAA" + after, 1)
        by_upload = by_upload.replace(one.mark, named[0] + b"AAAA" + named[1], 1)
    return [within] if within == by_upload else [within, by_upload]


@pytest.fixture
def route_to() -> Callable[..., Route]:
    """`route_to("gemini")` is the built-in provider; `provider=` and `model=` replace the parts."""

    def make(
        dialect: str, *, provider: Provider | None = None, model: str = "", refuses: tuple[str, ...] = ()
    ) -> Route:
        provider, model = provider or BUILTIN[dialect], model or MODELS[dialect]
        return Route(f"{provider.name}/{model}", provider, model, ModelFacts(provider.name, model, refuses=refuses))

    return make


@pytest.fixture
def ask() -> Callable[..., Call]:
    """A call with one user message; keyword arguments are the call's other fields."""

    def make(text: str = "How big is the moon?", **fields: Any) -> Call:
        return Call(model="m", messages=(Message("user", text),), **fields)

    return make


@pytest.fixture
def full_call() -> Call:
    """A call with every field set that all dialects take."""
    return Call(
        model="m",
        messages=(
            Message("user", "How big is the moon?"),
            Message("assistant", "Quite big."),
            Message("user", "In kilometres, please."),
        ),
        system="Answer like an astronomer.",
        schema={
            "type": "object",
            "properties": {"radius": {"type": "integer", "minimum": 1}, "sure": {"type": "boolean"}},
            "required": ["radius", "sure"],
            "additionalProperties": False,
        },
        schema_name="moon",
        thinking="low",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=64,
        seed=7,
        stop=("END", "STOP"),
    )


# The official clients, pointed at a local server. They are slow to import: only who asks for one does.


@pytest.fixture
def respond(counting_server: Any) -> Callable[..., Any]:
    """What the server says to every question; modules that need more have their own."""
    return lambda _dialect, _body, _number: counting_server.Answer('{"radius": 1737, "sure": true}')


@pytest.fixture
def server(counting_server: Any, respond: Callable[..., Any]) -> Any:
    return counting_server(respond, key="k")


@pytest.fixture
def openai_client(server: Any) -> Iterator[OpenAI]:
    from openai import OpenAI

    with OpenAI(api_key="k", base_url=server.chat_url, max_retries=0) as client:
        yield client


@pytest.fixture
def google_client(server: Any) -> Iterator[genai.Client]:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=server.base_url, api_version="v1beta")
    with genai.Client(api_key="k", vertexai=False, http_options=options) as client:
        yield client


@pytest.fixture
def vertex_client(counting_server: Any, respond: Callable[..., Any]) -> Iterator[tuple[genai.Client, Any]]:
    """Of a project and a location, with the server that it asks."""
    from google import genai
    from google.genai import types
    from google.oauth2.credentials import Credentials

    asked = counting_server(respond, key="")
    ready: Any = Credentials
    options = types.HttpOptions(base_url=asked.base_url, api_version="v1")
    with genai.Client(
        vertexai=True, project="shop", location="us", credentials=ready(token="t"), http_options=options
    ) as client:
        yield client, asked


@pytest.fixture
def express_client(server: Any) -> Iterator[genai.Client]:
    """Of Vertex AI with nothing but a key."""
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=server.base_url, api_version="v1")
    with genai.Client(vertexai=True, api_key="k", http_options=options) as client:
        yield client
