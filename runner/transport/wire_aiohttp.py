"""aiohttp behind the port: the client of the hot path. Chosen by measurement (docs/performance.md)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import ClassVar, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload, Payload
from yarl import URL

from runner.core.long_text import Body as RequestBody
from runner.core.long_text import chunks_of
from runner.core.outcome import Failure, FailureKind
from runner.transport.network import allow_many_connections, certificates, proxy_of
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

_SMALL: Final = 0x10000
"""A body that is surely taken at once by the operating system, or kept by the loop."""


class AiohttpWire:
    """Fills `Wire` for hosts of the network, or (`is_local`) for this machine, which no proxy is for.

    No limit on connections (the bound on requests at once is in `execute`), no cookies, no redirects, no second
    sending. The library's own reading of the environment is not used: it would look for a proxy at every request,
    and take credentials from `.netrc`.
    """

    keeps_time: ClassVar[bool] = False

    def __init__(self, *, is_local: bool = False) -> None:
        allow_many_connections()
        self._is_local = is_local
        self._places: dict[str, tuple[URL, URL | None, ssl.SSLContext | bool]] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, resolver=aiohttp.ThreadedResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=None),
            auto_decompress=False,
            trust_env=False,
        )

    async def post(
        self,
        url: str,
        headers: list[tuple[str, str]],
        body: RequestBody,
        delivery: Delivery,
        bounds: Bounds,
        take: Take | None = None,
    ) -> Reply:
        try:
            place, proxy, context = self._places.get(url) or self._place(url, delivery)
            request = self._session.post(
                place, data=_Sent(body, delivery), headers=headers, allow_redirects=False, proxy=proxy, ssl=context
            )
            async with request as response:
                return await _read(response, bounds, take)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, TooLarge, UnknownEncoding) as error:
            raise WireFailed(translate(error, delivery)) from None

    async def aclose(self) -> None:
        await self._session.close()

    def _place(self, url: str, delivery: Delivery) -> tuple[URL, URL | None, ssl.SSLContext | bool]:
        """Where an address leads to: through which proxy, with which certificates. Raises WireFailed."""
        found = URL(url, encoded=True)
        named = "" if self._is_local else proxy_of(url)
        proxy = URL(named) if named else None
        if proxy is not None and proxy.scheme not in {"http", "https"}:
            text = f"the proxy on the way to '{delivery.provider}' must be an http one, not '{proxy.scheme}'"
            raise WireFailed(Failure(FailureKind.BAD_REQUEST, text))
        place = found, proxy, certificates() if found.scheme == "https" else True
        self._places[url] = place
        return place


class _Sent(BytesPayload):
    """A body of any size that notes when it is written; the library writes the head together with it."""

    def __init__(self, body: RequestBody, delivery: Delivery) -> None:
        # Not that of the class between, which warns of large bodies: they are written with a deadline here.
        Payload.__init__(self, body, content_type="application/json")
        self._size = len(body)
        self._delivery = delivery

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._delivery.is_sent = True
        if len(self._value) <= _SMALL:
            await writer.write(bytes(self._value))
            return
        # Piece by piece: the library and the connection would each make a copy of all that they are given at once.
        async with asyncio.timeout(WRITE_S):
            for chunk in chunks_of(self._value):
                await writer.write(chunk)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        del content_length  # it is our own
        await self.write(writer)


async def _read(response: aiohttp.ClientResponse, bounds: Bounds, take: Take | None) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    encoding = headers.get("content-encoding", "")
    if response.status == 200:
        body = Body(encoding, bounds.max_bytes, take if is_stream(headers) else None)
        await _fill(body, response.content, bounds.idle_s)
        return Reply(200, headers, body.read())
    # The status of an error says enough, so neither length nor coding is a failure.
    try:
        body = Body(encoding, bounds.max_error_bytes)
    except UnknownEncoding:
        return Reply(response.status, headers, b"")
    with contextlib.suppress(TooLarge, UnknownEncoding):
        await _fill(body, response.content, bounds.idle_s)
    return Reply(response.status, headers, body.read())


async def _fill(body: Body, content: aiohttp.StreamReader, idle_s: float) -> None:
    if content.is_eof() and content.exception() is None:  # all of it came with the head
        body.take(content.read_nowait())
        return
    while True:
        try:
            async with asyncio.timeout(idle_s):
                chunk = await content.readany()
        except TimeoutError:
            raise _Idle from None
        if not chunk or not body.take(chunk):
            return


class _Idle(OSError):
    """Nothing more of a body came."""


def translate(error: Exception, delivery: Delivery) -> Failure:
    """An exception as a failure in the author's words; its own text is never shown, it may hold a header."""
    match error:
        case TooLarge():
            return delivery.too_large()
        case UnknownEncoding():
            return delivery.unreadable()
        case _Idle():
            return delivery.stopped_answering()
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return delivery.no_proxy()
        case aiohttp.ClientConnectorError():
            return delivery.no_connection(error.__cause__ or error.os_error)
        case aiohttp.ConnectionTimeoutError():
            return delivery.slow_connection()
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return delivery.unwritable()
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return delivery.closed_early()
        case TimeoutError():
            return delivery.stopped_reading()
        case ValueError() if not delivery.is_sent:
            return delivery.unwritable()
        case _:
            return delivery.broken()
