"""Streamed answers over real sockets, with every client: what is told, what is given, and what is no answer."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport import port
from runner.transport.port import HttpTransport
from runner.transport.secrets import Secrets, Trust
from runner.transport.wire import Wire
from runner.transport.wire_aiohttp import AiohttpWire
from runner.transport.wire_direct import DirectWire
from runner.transport.wire_httpx import HttpxWire

MakeRoute = Callable[..., Route]
MakeRequest = Callable[..., Request]
MakeTransport = Callable[..., HttpTransport]

CANARY = "sk-canary-1234567890"
ENVIRON = {"HOME": "/home/me", "BOX_KEY": CANARY}
EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


class Letters:
    """A protocol of letters: a full stop ends it, an exclamation mark is an error."""

    def __init__(self) -> None:
        self.is_over = False
        self._told = b""

    def take(self, data: bytes) -> str:
        self._told += data
        self.is_over = b"." in self._told
        if b"!" in data:
            raise CallFailed(Failure(FailureKind.TRANSIENT, f"error with {data.decode()}"))
        return data.decode()

    def payload(self) -> bytes | None:
        return self._told if self.is_over else None


class Spoken:
    def open(self, request: Request) -> Request:
        return replace(request, body=b'{"stream":true,' + bytes(request.body)[1:])

    def fold(self) -> Letters:
        return Letters()


def failure_of(_request: Request, status: int, _headers: Mapping[str, str], body: bytes) -> Failure:
    return Failure(FailureKind.TRANSIENT, f"{status} {body.decode()}")


@pytest.fixture(params=[DirectWire, AiohttpWire, HttpxWire])
def make(request: pytest.FixtureRequest) -> MakeTransport:
    def make_wire(is_local: bool) -> Wire:
        made: Wire = request.param(is_local=is_local)
        return made

    return lambda: HttpTransport(
        Secrets(ENVIRON, Trust()), failure_of, streaming_of=lambda _: Spoken(), wire_of=make_wire
    )


def stream(http: HttpTransport, route: Route, request: Request, timeout_s: float = 5.0) -> tuple[bytes, list[str]]:
    told: list[str] = []

    async def run() -> bytes:
        try:
            return await http.stream(route, request, timeout_s=timeout_s, hear=told.append)
        finally:
            await http.aclose()

    return asyncio.run(run()), told


def fail(http: HttpTransport, route: Route, request: Request, timeout_s: float = 5.0) -> Failure:
    with pytest.raises(CallFailed) as caught:
        stream(http, route, request, timeout_s)
    assert CANARY not in repr(caught.value.failure)
    assert caught.value.__cause__ is None
    return caught.value.failure


@pytest.fixture
def say(counting_server: Any, make_route: MakeRoute) -> Callable[..., tuple[Any, Route]]:
    """A server that streams these pieces, and the route to it."""

    def start(*pieces: bytes, **answer: Any) -> tuple[Any, Route]:
        given = {"events": pieces, **answer}
        server = counting_server(lambda _d, _b, _n: counting_server.Answer(**given))
        return server, make_route(base_url=server.chat_url)

    return start


def test_text_is_told_in_its_order_and_the_payload_is_whole(
    make: MakeTransport, say: Any, make_request: MakeRequest
) -> None:
    server, route = say(b"a", b"bc", b"d.", b"never read")
    payload, told = stream(make(), route, make_request())
    assert (payload.startswith(b"abcd."), "".join(told).startswith("abcd.")) == (True, True)
    assert server.requests[0].headers["accept"] == "text/event-stream"
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


def test_a_stream_that_ends_too_early_may_have_been_paid(
    make: MakeTransport, say: Any, make_request: MakeRequest
) -> None:
    _, route = say(b"a", b"b")
    failure = fail(make(), route, make_request())
    text = "'box' closed the connection before the answer was complete; it may have been paid"
    assert (failure.kind, failure.message) == (FailureKind.UNKNOWN_DELIVERY, text)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


@pytest.mark.parametrize(
    "wire",
    [HEAD + b"content-length: 9\r\n\r\nabc", HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"],
    ids=["of a known length", "in chunks"],
)
def test_a_connection_that_breaks_in_the_middle_is_no_answer(
    make: MakeTransport, say: Any, make_request: MakeRequest, wire: bytes
) -> None:
    _, route = say(wire=wire)
    assert fail(make(), route, make_request()).kind is FailureKind.UNKNOWN_DELIVERY


def test_an_error_in_the_middle_ends_the_answer_and_hides_the_key(
    make: MakeTransport, say: Any, make_request: MakeRequest
) -> None:
    _, route = say(b"a", f"!{CANARY}".encode(), b".")
    failure = fail(make(), route, make_request())
    assert failure.kind is FailureKind.TRANSIENT
    assert "!***" in failure.message


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"content-type": "application/json"}, "with application/json"),
        ({"content-type": "text/html; charset=utf-8"}, "with text/html"),
        ({"content-type": "\x1b[31m"}, "otherwise"),
    ],
    ids=["json", "a web page", "nonsense"],
)
def test_what_is_no_stream_is_no_answer(
    make: MakeTransport,
    say: Any,
    make_request: MakeRequest,
    headers: dict[str, str],
    said: str,
) -> None:
    _, route = say(b"a.", headers=headers)
    failure = fail(make(), route, make_request())
    text = f"'box' was asked for a stream of events and answered {said}; run it without --stream"
    assert (failure.kind, failure.message) == (FailureKind.BAD_ANSWER, text)


def test_an_error_status_is_read_as_without_a_stream(make: MakeTransport, say: Any, make_request: MakeRequest) -> None:
    _, route = say(status=503, raw=b"busy")
    assert fail(make(), route, make_request()).message == "503 busy"


def test_a_stream_that_repeats_the_key_is_not_kept(make: MakeTransport, say: Any, make_request: MakeRequest) -> None:
    _, route = say(CANARY.encode(), b".")
    assert fail(make(), route, make_request()).message == "the answer of 'box' repeats the API key, so it is not kept"


def test_a_stream_without_end_is_stopped_by_its_size(
    make: MakeTransport, say: Any, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "MAX_BYTES", 1000)
    _, route = say(*[b"x" * 100] * 20)
    failure = fail(make(), route, make_request())
    assert (failure.kind, failure.message) == (
        FailureKind.BAD_ANSWER,
        "the answer of 'box' is larger than any answer should be",
    )


def test_a_stream_that_stops_is_not_waited_for(
    make: MakeTransport,
    make_route: MakeRoute,
    make_request: MakeRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port, "STREAM_IDLE_S", 0.3)
    told: list[str] = []

    async def run() -> Failure:
        release = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
            await release.wait()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            route = make_route(base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
            http = make()
            with pytest.raises(CallFailed) as caught:
                await http.stream(route, make_request(), timeout_s=60, hear=told.append)
            await http.aclose()
            release.set()
        return caught.value.failure

    failure = asyncio.run(run())
    assert (failure.kind, told) == (FailureKind.UNKNOWN_DELIVERY, ["ab"])
    assert failure.message == "'box' stopped in the middle of its answer; it may have been paid"


@pytest.mark.parametrize("is_streamed", [True, False])
def test_an_answer_that_never_ends_is_given_up_at_its_deadline(
    make: MakeTransport, make_route: MakeRoute, make_request: MakeRequest, *, is_streamed: bool
) -> None:
    """Something comes all the time, so that no silence ends it."""
    told: list[str] = []

    async def run() -> Failure:
        given_up, ended = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = HEAD if is_streamed else HEAD.replace(b"text/event-stream", b"application/json")
            writer.write(head + b"transfer-encoding: chunked\r\n\r\n")
            with suppress(ConnectionError):
                while not given_up.is_set():
                    writer.write(b"1\r\na\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.005)
            writer.close()
            ended.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            route = make_route(base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
            http = make()
            send = partial(http.stream, hear=told.append) if is_streamed else http.send
            with pytest.raises(CallFailed) as caught:
                await send(route, make_request(), timeout_s=0.3)
            await http.aclose()
            given_up.set()
            await ended.wait()
        return caught.value.failure

    failure = asyncio.run(run())
    assert (failure.kind, set(told)) == (FailureKind.UNKNOWN_DELIVERY, {"a"} if is_streamed else set())
    assert failure.message == "'box' did not answer in full within 0.3 s; it may have been paid"


def test_text_is_told_before_the_rest_is_sent(
    make: MakeTransport, make_route: MakeRoute, make_request: MakeRequest
) -> None:
    async def run() -> bytes:
        heard = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
            await heard.wait()
            writer.write(b"1\r\n.\r\n0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            route = make_route(base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
            http = make()
            payload = await http.stream(route, make_request(), timeout_s=30, hear=lambda _: heard.set())
            await http.aclose()
        return payload

    assert asyncio.run(run()) == b"ab."


def test_a_compressed_stream_is_inflated_as_it_comes(make: MakeTransport, say: Any, make_request: MakeRequest) -> None:
    packed = gzip.compress(b"hello.")
    _, route = say(packed[:9], packed[9:], headers={"content-encoding": "gzip"})
    assert stream(make(), route, make_request())[0] == b"hello."


def test_what_cannot_stream_is_sent(make_route: MakeRoute, make_request: MakeRequest) -> None:
    inner = httpx.MockTransport(lambda _: httpx.Response(200, content=b"whole"))
    http = HttpTransport(Secrets(ENVIRON, Trust()), failure_of, inner=inner)
    assert stream(http, make_route(), make_request()) == (b"whole", [])


def test_a_double_that_was_given_all_at_once_is_heard_too(make_route: MakeRoute, make_request: MakeRequest) -> None:
    seen: list[bytes] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, content=b"all.", headers=EVENTS)

    http = HttpTransport(
        Secrets(ENVIRON, Trust()), failure_of, streaming_of=lambda _: Spoken(), inner=httpx.MockTransport(reply)
    )
    assert stream(http, make_route(), make_request()) == (b"all.", ["all."])
    assert json.loads(seen[0])["stream"] is True
