"""httpx behind the port: for a transport that is brought along (tests, doubles), and for what is not hot.

Its own pool looks at every connection for every request, which is why the hot path takes another client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, ClassVar, Final

import httpx

from runner.core.long_text import Body as RequestBody
from runner.core.long_text import LongBody
from runner.core.outcome import Failure
from runner.transport.wire import (
    CONNECT_S,
    WRITE_S,
    Body,
    Bounds,
    Delivery,
    Reply,
    Take,
    TooLarge,
    UnknownEncoding,
    WireFailed,
    is_stream,
)

LARGE: Final = 1 << 20


class HttpxWire:
    """Fills `Wire`. `inner` replaces the network."""

    keeps_time: ClassVar[bool] = False

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None, *, is_local: bool = False) -> None:
        self._is_double = inner is not None
        self._client = open_client(inner, is_local)

    async def post(
        self,
        url: str,
        headers: list[tuple[str, str]],
        body: RequestBody,
        delivery: Delivery,
        bounds: Bounds,
        take: Take | None = None,
    ) -> Reply:
        if isinstance(body, bytes):
            return await self.ask("POST", url, headers, body, delivery, bounds, take)
        sized = [*headers, ("content-length", str(len(body)))]
        return await self.ask("POST", url, sized, _chunks_of(body), delivery, bounds, take)

    async def ask(
        self,
        method: str,
        url: str,
        headers: list[tuple[str, str]],
        content: bytes | AsyncIterator[bytes],
        delivery: Delivery,
        bounds: Bounds,
        take: Take | None = None,
    ) -> Reply:
        """A request of any method, whose body may be made while it is sent. Raises WireFailed, and what the body does."""
        delivery.is_sent = self._is_double  # a double tells no progress
        if isinstance(content, bytes) and len(content) > LARGE:
            headers, content = [*headers, ("content-length", str(len(content)))], once(content)

        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            """Once the head is on its way, the server may have acted on it."""
            if event.endswith("send_request_headers.started"):
                delivery.is_sent = True

        try:
            message = self._client.build_request(
                method, url, content=content, headers=headers, extensions={"trace": trace}
            )
            response = await self._client.send(message, stream=True)
            delivery.is_sent = True
            async with aclosing(response):
                return await read_reply(response, bounds, take)
        except (httpx.HTTPError, httpx.InvalidURL, TooLarge, UnknownEncoding) as error:
            raise WireFailed(translate(error, delivery)) from None

    async def aclose(self) -> None:
        await self._client.aclose()


async def once(content: bytes) -> AsyncIterator[bytes]:
    """Bytes that are gone when they are sent: the library keeps requests, with all they hold, until garbage is collected."""
    yield content


async def _chunks_of(body: LongBody) -> AsyncIterator[bytes]:
    for chunk in body.chunks():
        yield chunk


def open_client(inner: httpx.AsyncBaseTransport | None, is_local: bool) -> httpx.AsyncClient:
    """No limit on connections (httpx's own are 100, then it fails), no cookies, no redirects.

    Proxy and certificate variables of the environment are honoured, but no proxy is for this machine: a key for a
    local server must not travel through one in clear text. Reading has no limit here because a model may think for
    long before its first byte; the whole-answer deadline and the idle limit bound it.
    """
    direct = dict.fromkeys(("all://", "http://", "https://")) if is_local and inner is None else None
    return httpx.AsyncClient(
        transport=inner,
        mounts=direct,
        trust_env=True,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30.0),
        timeout=httpx.Timeout(connect=CONNECT_S, read=None, write=WRITE_S, pool=None),
    )


async def read_reply(response: httpx.Response, bounds: Bounds, take: Take | None = None) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    is_good = response.status_code == 200
    if response.is_stream_consumed:  # a double that was given its content at once
        hand_on = take if is_good and is_stream(headers) else None
        body = Body("", bounds.max_bytes if is_good else bounds.max_error_bytes, hand_on)
        body.take(response.content)
        return Reply(response.status_code, headers, body.read())
    encoding = headers.get("content-encoding", "")
    if is_good:
        body = Body(encoding, bounds.max_bytes, take if is_stream(headers) else None)
        await _fill(body, response, bounds.idle_s)
        return Reply(200, headers, body.read())
    # The status of an error says enough, so neither length nor coding is a failure.
    try:
        body = Body(encoding, bounds.max_error_bytes)
    except UnknownEncoding:
        return Reply(response.status_code, headers, b"")
    with suppress(TooLarge, UnknownEncoding):
        await _fill(body, response, bounds.idle_s)
    return Reply(response.status_code, headers, body.read())


async def _fill(body: Body, response: httpx.Response, idle_s: float) -> None:
    async with aclosing(_chunks(response, idle_s)) as chunks:
        async for chunk in chunks:
            if not body.take(chunk):
                return


async def _chunks(response: httpx.Response, idle_s: float) -> AsyncGenerator[bytes, None]:
    stream = response.aiter_raw()
    while True:
        try:
            async with asyncio.timeout(idle_s):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise httpx.ReadTimeout("idle") from None
        if chunk is None:
            return
        yield chunk


def translate(error: Exception, delivery: Delivery) -> Failure:
    """An exception as a failure in the author's words; its own text is never shown, it may hold a header."""
    match error:
        case TooLarge():
            return delivery.too_large()
        case UnknownEncoding():
            return delivery.unreadable()
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return delivery.unwritable()
        case httpx.ConnectTimeout():
            return delivery.slow_connection()
        case httpx.ConnectError():
            return delivery.no_connection(error)
        case httpx.ProxyError():
            return delivery.no_proxy()
        case httpx.ReadTimeout():
            return delivery.stopped_answering()
        case httpx.WriteTimeout() | httpx.WriteError():
            return delivery.stopped_reading()
        case httpx.RemoteProtocolError():
            return delivery.closed_early()
        case _:
            return delivery.broken()
