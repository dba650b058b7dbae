"""Google's own client and ours keep the same part of a question at the same local server: the requests must mean the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from runner.core.call import Call, Message, SharedPart, ToolSpec
from runner.core.context import Kept
from runner.core.model import Provider, Route
from runner.dialects import ASKED, DIALECTS
from runner.dialects.contexts import divide
from runner.transport.contexts import Contexts
from runner.transport.port import HttpTransport
from runner.transport.secrets import Secrets, Trust
from runner.transport.tokens import Tokens

RouteTo = Callable[..., Route]
KEY = "a-key-of-the-shop"
MODEL = "gemini-3.1-flash-lite"
RULES = "A rule that holds for all. " * 400
LOOK = {"type": "object", "properties": {"q": {"type": "string"}}}
CALL = Call(
    MODEL,
    (Message("user", "Read this."), Message("assistant", "I have."), Message("user", "What is it?")),
    system=RULES,
    tools=(ToolSpec("look", "Looks.", LOOK),),
    max_output_tokens=64,
    shared=SharedPart(2),
)
THEIRS = types.CreateCachedContentConfig(
    system_instruction=RULES,
    contents=[
        types.Content(role="user", parts=[types.Part(text="Read this.")]),
        types.Content(role="model", parts=[types.Part(text="I have.")]),
    ],
    tools=[
        types.Tool(
            function_declarations=[
                types.FunctionDeclaration(name="look", description="Looks.", parameters_json_schema=LOOK)
            ]
        )
    ],
    ttl="1800s",
)


def client_of(dialect: str, base_url: str) -> genai.Client:
    if dialect == "gemini":
        options = types.HttpOptions(base_url=base_url, api_version="v1beta")
        return genai.Client(api_key=KEY, vertexai=False, http_options=options)
    ready: Any = Credentials
    options = types.HttpOptions(base_url=base_url, api_version="v1")
    return genai.Client(
        vertexai=True, project="shop", location="us", credentials=ready(token=KEY), http_options=options
    )


def provider_of(dialect: str, base_url: str) -> Provider:
    if dialect == "gemini":
        return Provider("box", "gemini", base_url, "BOX_KEY", "box")
    settings = {"project": "shop", "location": "us"}
    return Provider("vertex", "vertex", base_url, "", "vertex", settings=settings)


async def kept_by_us(route: Route, memory: Path, then: Callable[[Contexts, Kept, HttpTransport], Any]) -> Any:
    @asynccontextmanager
    async def alone() -> AsyncIterator[None]:
        yield

    transport = HttpTransport(
        Secrets({"BOX_KEY": KEY}, Trust()),
        lambda request, *answer: ASKED[request.dialect].failure(*answer),
        tokens=lambda: Tokens({"GOOGLE_OAUTH_ACCESS_TOKEN": KEY}),
    )

    async def ask(route: Route, method: str, request: Any) -> bytes:
        return await transport.ask(route, method, request, timeout_s=10)

    contexts = Contexts(memory, ask, alone)
    divided = divide(CALL, route, DIALECTS[route.provider.dialect].encode(CALL, route))
    try:
        kept = await contexts.keep(route, divided, 1800.0, lambda: None, lambda _: None)
        await transport.send(route, divided.naming(kept.name), timeout_s=10)
        return await then(contexts, kept, transport)
    finally:
        await transport.aclose()


@pytest.mark.parametrize("dialect", ["gemini", "vertex"])
def test_a_context_is_made_used_looked_at_and_deleted_as_by_googles_client(
    dialect: str, counting_server: Any, route_to: RouteTo, tmp_path: Path
) -> None:
    server = counting_server(key=KEY)
    with client_of(dialect, server.base_url) as client:
        list(client.caches.list(config=types.ListCachedContentsConfig(page_size=1000)))
        made = client.caches.create(model=MODEL, config=THEIRS)
        assert made.name is not None
        config = types.GenerateContentConfig(cached_content=made.name, max_output_tokens=64)
        said = client.models.generate_content(model=MODEL, contents="What is it?", config=config)
        client.caches.get(name=made.name)
        client.caches.delete(name=made.name)
    asked, (theirs,), (question,) = list(server.contexts.asked), server.contexts.made, server.bodies
    path = server.requests[0].path
    server.contexts.asked.clear()
    server.contexts.made.clear()
    server.forget()

    route = replace(route_to(dialect, provider=provider_of(dialect, server.base_url)), model=MODEL)
    divided = divide(CALL, route, DIALECTS[dialect].encode(CALL, route))

    async def then(contexts: Contexts, kept: Kept, _transport: HttpTransport) -> None:
        assert not await contexts.is_gone(route, divided, kept)
        await contexts.drop(route, divided, kept)

    asyncio.run(kept_by_us(route, tmp_path / "contexts.json", then))
    assert (server.refused, server.contexts.asked) == ([], asked)
    (mine,) = server.contexts.made
    assert mine.pop("displayName").startswith("runner-")
    theirs["systemInstruction"] = {"parts": theirs["systemInstruction"]["parts"]}
    assert mine == theirs
    assert (server.requests[0].path, server.bodies) == (path, [question])
    usage = DIALECTS[dialect].decode(said.model_dump_json(by_alias=True, exclude_none=True).encode()).usage
    assert usage.cached_tokens
    assert usage.input_tokens == usage.cached_tokens + 10


@pytest.mark.parametrize("dialect", ["gemini", "vertex"])
def test_the_local_server_is_as_strict_as_it_says(dialect: str, counting_server: Any) -> None:
    """What the real services refuse, so that a test which passes here says something."""
    server = counting_server(key=KEY)
    with client_of(dialect, server.base_url) as client:
        with pytest.raises(genai.errors.ClientError, match=r"too small|minimum token count"):
            client.caches.create(model=MODEL, config=types.CreateCachedContentConfig(system_instruction="Short."))
        made = client.caches.create(model=MODEL, config=THEIRS)
        for refused, config in (
            ("can not be used", types.GenerateContentConfig(cached_content=made.name, system_instruction="x")),
            ("not found", types.GenerateContentConfig(cached_content=f"{made.name}0")),
        ):
            with pytest.raises(genai.errors.ClientError, match=refused):
                client.models.generate_content(model=MODEL, contents="hi", config=config)
        config = types.GenerateContentConfig(cached_content=made.name)
        with pytest.raises(genai.errors.ClientError, match="have to be the same"):
            client.models.generate_content(model="gemini-2.5-pro", contents="hi", config=config)
