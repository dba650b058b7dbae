"""What the transport's tests share: a route to a provider, a request for it, and an empty home."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.media import Medium, MediumKind
from runner.core.model import ModelFacts, Provider, Route
from runner.core.request import Request

MakeProvider = Callable[..., Provider]
MakeRoute = Callable[..., Route]
MakeRequest = Callable[..., Request]
MakeMedium = Callable[..., Medium]


@pytest.fixture
def make_provider() -> MakeProvider:
    """A provider 'box' on this machine unless told otherwise."""

    def make(**changes: Any) -> Provider:
        values = {"name": "box", "dialect": "openai-chat", "base_url": "http://127.0.0.1:9/v1", "key_env": "BOX_KEY"}
        return Provider(**{**values, **changes})

    return make


@pytest.fixture
def make_route(make_provider: MakeProvider) -> MakeRoute:
    def make(*, model: str = "m", **changes: Any) -> Route:
        provider = make_provider(**changes)
        return Route(f"{provider.name}/{model}", provider, model, ModelFacts(provider.name, model))

    return make


@pytest.fixture
def make_request() -> MakeRequest:
    """A chat request with one user message; `body` replaces it."""

    def make(text: str = "hello", *, dialect: str = "openai-chat", body: Any = None, **changes: Any) -> Request:
        value = {"model": "m", "messages": [{"role": "user", "content": text}]} if body is None else body
        values = {"key_version": 1, "provider": "box", "endpoint": "/chat/completions", **changes}
        return Request(dialect=dialect, body=json.dumps(value).encode(), **values)

    return make


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty home folder and nothing else."""
    return {"HOME": str(tmp_path)}


@pytest.fixture
def make_medium(tmp_path: Path) -> MakeMedium:
    """A file on the disk that holds `content`, as a request shows it."""

    def make(
        content: bytes = b"holds", *, name: str = "a.png", mime: str = "image/png", kind: MediumKind = "image"
    ) -> Medium:
        path = tmp_path / name
        path.write_bytes(content)
        sha = hashlib.sha256(content).hexdigest()
        return Medium(kind, mime, sha, len(content), path=str(path), shown=f"media/{name}")

    return make
