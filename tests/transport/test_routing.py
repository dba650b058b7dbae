"""One transport for all dialects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runner.core.model import Route
from runner.core.ports import CallFailed, Transport
from runner.core.request import Request
from runner.transport.routing import RoutingTransport
from runner.transport.scripted import ScriptedTransport

MakeRoute = Callable[..., Route]
MakeRequest = Callable[..., Request]


class Stubborn(ScriptedTransport):
    """Says when it is closed, and may fail to."""

    def __init__(self, closed: list[str], name: str, error: Exception | None = None) -> None:
        super().__init__(lambda request: name.encode())
        self._closed, self._name, self._error = closed, name, error

    async def aclose(self) -> None:
        self._closed.append(self._name)
        if self._error:
            raise self._error


def test_a_transport_is_made_once_and_only_when_needed(make_route: MakeRoute, make_request: MakeRequest) -> None:
    made: list[str] = []

    def make(name: str) -> Callable[[], Transport]:
        def make_now() -> Transport:
            made.append(name)
            return ScriptedTransport(lambda request: name.encode())

        return make_now

    async def run() -> list[bytes]:
        routing = RoutingTransport({name: make(name) for name in ("gemini", "openai-chat")})
        answers = [await routing.send(make_route(), make_request(), timeout_s=1) for _ in range(2)]
        await routing.aclose()
        return answers

    assert asyncio.run(run()) == [b"openai-chat"] * 2
    assert made == ["openai-chat"]


def test_a_dialect_that_nothing_can_send_is_said(make_route: MakeRoute, make_request: MakeRequest) -> None:
    routing = RoutingTransport({})
    with pytest.raises(CallFailed) as caught:
        asyncio.run(routing.send(make_route(dialect="telepathy"), make_request(), timeout_s=1))
    assert str(caught.value) == "provider 'box' speaks 'telepathy', which nothing here can send"
    assert caught.value.requests == 0


def test_all_are_closed_even_when_one_fails_to(make_route: MakeRoute, make_request: MakeRequest) -> None:
    closed: list[str] = []

    async def run() -> None:
        error = OSError("stuck")
        routing = RoutingTransport(
            {"a": lambda: Stubborn(closed, "a", error), "b": lambda: Stubborn(closed, "b")},
        )
        for dialect in ("a", "b"):
            await routing.send(make_route(dialect=dialect), make_request(), timeout_s=1)
        with pytest.raises(OSError, match="stuck"):
            await routing.aclose()
        await routing.aclose()

    asyncio.run(run())
    assert closed == ["a", "b"]
