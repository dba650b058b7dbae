from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from runner.core.answer import StoredAnswer
from runner.core.outcome import FailureKind
from runner.core.request import Request
from runner.store.local import LocalStore


class MakeAnswer(Protocol):
    def __call__(
        self,
        question: str = ...,
        *,
        body: bytes | None = ...,
        payload: bytes = ...,
        failure: FailureKind | None = ...,
        ingredients: dict[str, Any] | None = ...,
        sample: int = ...,
        salt: str = ...,
        key_version: int = ...,
    ) -> StoredAnswer: ...


@pytest.fixture
def make_answer() -> MakeAnswer:
    """A stored answer whose key is that of its request."""

    def make(
        question: str = "What is the capital of France?",
        *,
        body: bytes | None = None,
        payload: bytes = b'{"text":"Paris"}',
        failure: FailureKind | None = None,
        ingredients: dict[str, Any] | None = None,
        sample: int = 0,
        salt: str = "",
        key_version: int = 1,
    ) -> StoredAnswer:
        ingredients = ingredients or {}
        request = Request(
            dialect="scripted",
            key_version=key_version,
            provider="scripted",
            endpoint="/answers/parrot",
            body=b'{"question":"' + question.encode() + b'"}' if body is None else body,
            headers=tuple((name, value) for name, value in ingredients.get("headers", ())),
            sample=sample,
            salt=salt,
        )
        return StoredAnswer(
            key=request.key,
            dialect=request.dialect,
            provider=request.provider,
            endpoint=request.endpoint,
            body=request.body,
            payload=payload,
            failure=failure,
            ingredients=ingredients,
            sample=sample,
            salt=salt,
            received_at=1_700_000_000.5,
            seconds=0.25,
        )

    return make


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], LocalStore]]:
    """Opens the local store of the test's folder, which waits for nobody; closed at the end."""
    opened: list[LocalStore] = []

    def open_one() -> LocalStore:
        opened.append(LocalStore(tmp_path / "cache" / "local", wait_s=0))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
