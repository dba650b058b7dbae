"""What may go wrong on the wire: bodies that never end or blow up, and httpx's exceptions in our kinds."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx

from runner.core.frozen import dataclass
from runner.core.outcome import Failure, FailureKind

_GZIP_OR_ZLIB = 47  # zlib's own number for "look at the header"


class TooLarge(Exception):
    """A body over the limit, on the wire or inflated."""


class UnknownEncoding(Exception):
    """A body in a coding that was not asked for, or damaged in the one that was."""


@dataclass(slots=True)
class Delivery:
    """How far one request came; decides whether it may have been answered, and paid."""

    provider: str
    timeout_s: float
    is_sent: bool = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """The progress that httpcore tells: once the head is on its way, the server may have acted on it."""
        if event.endswith("send_request_headers.started"):
            self.is_sent = True

    def late(self) -> Failure:
        """The whole-answer deadline has passed."""
        if not self.is_sent:
            return self.unsent(f"no connection to '{self.provider}' within {self.timeout_s:g} s")
        return self.unknown(f"'{self.provider}' did not answer in full within {self.timeout_s:g} s")

    def unsent(self, message: str) -> Failure:
        return Failure(FailureKind.TRANSIENT, message)

    def unknown(self, message: str) -> Failure:
        return Failure(FailureKind.UNKNOWN_DELIVERY, f"{message}; it may have been paid")


async def read_body(response: httpx.Response, *, limit: int, idle_s: float) -> bytes:
    """The inflated body, at most `limit` bytes of it on the wire and in memory.

    Raises TooLarge beyond that, UnknownEncoding for what cannot be inflated, and httpx.ReadTimeout when nothing
    arrives for `idle_s`.
    """
    parts: list[bytes] = []
    await _read(response, limit, idle_s, parts.append)
    return b"".join(parts)


async def read_error(response: httpx.Response, *, limit: int, idle_s: float) -> bytes:
    """What can be read of an error's body: its status says enough, so neither length nor coding is a failure."""
    parts: list[bytes] = []
    with suppress(TooLarge, UnknownEncoding):
        await _read(response, limit, idle_s, parts.append)
    return b"".join(parts)


async def _read(response: httpx.Response, limit: int, idle_s: float, keep: Callable[[bytes], None]) -> None:
    if response.is_stream_consumed:  # a double that was given its content at once
        keep(response.content)
        return
    inflate = _inflater(response.headers.get("content-encoding", ""))
    received, room = 0, limit
    async for chunk in _chunks(response, idle_s):
        received += len(chunk)
        data = inflate(chunk, room + 1)
        keep(data[:room])
        if received > limit or len(data) > room:
            raise TooLarge
        room -= len(data)


async def _chunks(response: httpx.Response, idle_s: float) -> AsyncIterator[bytes]:
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


def _inflater(encoding: str) -> Callable[[bytes, int], bytes]:
    """A function (bytes, at most so many) → bytes."""
    if encoding.lower() in {"", "identity"}:
        return lambda chunk, _most: chunk
    if encoding.lower() not in {"gzip", "x-gzip", "deflate"}:
        raise UnknownEncoding
    stream = zlib.decompressobj(_GZIP_OR_ZLIB)

    def inflate(chunk: bytes, most: int) -> bytes:
        try:
            return stream.decompress(chunk, most)
        except zlib.error:
            raise UnknownEncoding from None

    return inflate


def translate(error: Exception, delivery: Delivery) -> Failure:
    """An exception as a failure in the author's words; its own text is never shown, it may hold a header."""
    name = delivery.provider
    match error:
        case TooLarge():
            return Failure(FailureKind.BAD_ANSWER, f"the answer of '{name}' is larger than any answer should be")
        case UnknownEncoding():
            return Failure(FailureKind.BAD_ANSWER, f"the answer of '{name}' is compressed in a way that cannot be read")
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return Failure(FailureKind.BAD_REQUEST, f"the request to '{name}' cannot be written as HTTP")
        case httpx.ConnectTimeout():
            return delivery.unsent(f"no connection to '{name}' within 10 s")
        case httpx.ConnectError():
            return _no_connection(error, delivery)
        case httpx.ProxyError():
            return delivery.unsent(f"the proxy on the way to '{name}' refused the connection")
        case httpx.ReadTimeout():
            return delivery.unknown(f"'{name}' stopped in the middle of its answer")
        case httpx.WriteTimeout() | httpx.WriteError():
            return delivery.unknown(f"'{name}' stopped reading the request")
        case httpx.RemoteProtocolError():
            return delivery.unknown(f"'{name}' closed the connection before the answer was complete")
        case _:
            return delivery.unknown(f"the connection to '{name}' broke")


def _no_connection(error: Exception, delivery: Delivery) -> Failure:
    name = delivery.provider
    for cause in _causes(error):
        match cause:
            case ssl.SSLError():
                # Waiting does not mend a certificate, and an attacker must not get a second try.
                return Failure(FailureKind.BAD_ANSWER, f"no safe connection to '{name}': {_tls_reason(cause)}")
            case socket.gaierror():
                return delivery.unsent(f"the host of '{name}' cannot be found; is the network up?")
            case ConnectionRefusedError():
                return delivery.unsent(f"'{name}' refuses connections; is it running?")
    return delivery.unsent(f"no connection to '{name}'")


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message.rstrip('.')})"
    return "the TLS handshake failed; does it speak https?"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
