"""What every HTTP client behind the port has in common: how far a request came, and bodies that never end or blow up."""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final, Protocol

from runner.core.frozen import dataclass
from runner.core.long_text import Body as RequestBody
from runner.core.outcome import Failure, FailureKind

_GZIP_OR_ZLIB = 47  # zlib's own number for "look at the header"
CONNECT_S: Final = 10.0
WRITE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a body may be, and for how long nothing of it may come."""

    max_bytes: int
    max_error_bytes: int
    idle_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status; header names are in lower case, the body is inflated and no larger than allowed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Take = Callable[[bytes], bool]
"""Takes a piece of a streamed answer, inflated; whether more is wanted. What it raises ends the answer."""


class Wire(Protocol):
    """One HTTP client with its pool of connections.

    With `keeps_time` it gives up by itself when the time of a delivery is over.
    """

    keeps_time: ClassVar[bool]

    async def post(
        self,
        url: str,
        headers: list[tuple[str, str]],
        body: RequestBody,
        delivery: Delivery,
        bounds: Bounds,
        take: Take | None = None,
    ) -> Reply:
        """Raises WireFailed. Follows no redirect, keeps no cookie, never sends twice.

        A stream of events is handed to `take` as it comes, until it wants no more; then the reply has no body.
        """
        ...

    async def aclose(self) -> None: ...


class WireFailed(Exception):
    """There is no answer; raised without a cause, which could show a header, and with it the key."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


@dataclass(slots=True)
class Delivery:
    """How far one request came; decides whether it may have been answered, and paid.

    The failures that every client knows are worded here, so that they sound alike.
    """

    provider: str
    timeout_s: float
    is_sent: bool = False

    def late(self) -> Failure:
        """The whole-answer deadline has passed."""
        if not self.is_sent:
            # Not `unsent`, which says that nobody is there: a short deadline may pass while this machine is busy.
            return Failure(FailureKind.TRANSIENT, f"no connection to '{self.provider}' within {self.timeout_s:g} s")
        return self.unknown(f"'{self.provider}' did not answer in full within {self.timeout_s:g} s")

    def unsent(self, message: str) -> Failure:
        return Failure(FailureKind.TRANSIENT, message, is_unsent=True)

    def unknown(self, message: str) -> Failure:
        return Failure(FailureKind.UNKNOWN_DELIVERY, f"{message}; it may have been paid")

    def unwritable(self) -> Failure:
        return Failure(FailureKind.BAD_REQUEST, f"the request to '{self.provider}' cannot be written as HTTP")

    def too_large(self) -> Failure:
        return Failure(FailureKind.BAD_ANSWER, f"the answer of '{self.provider}' is larger than any answer should be")

    def unreadable(self) -> Failure:
        text = f"the answer of '{self.provider}' is compressed in a way that cannot be read"
        return Failure(FailureKind.BAD_ANSWER, text)

    def no_proxy(self) -> Failure:
        return self.unsent(f"the proxy on the way to '{self.provider}' refused the connection")

    def slow_connection(self) -> Failure:
        return self.unsent(f"no connection to '{self.provider}' within {CONNECT_S:g} s")

    def stopped_answering(self) -> Failure:
        return self.unknown(f"'{self.provider}' stopped in the middle of its answer")

    def stopped_reading(self) -> Failure:
        return self.unknown(f"'{self.provider}' stopped reading the request")

    def closed_early(self) -> Failure:
        return self.unknown(f"'{self.provider}' closed the connection before the answer was complete")

    def broken(self) -> Failure:
        return self.unknown(f"the connection to '{self.provider}' broke")

    def no_connection(self, error: BaseException) -> Failure:
        """By what kept a connection from being made, which may be behind a client's own exception."""
        for cause in _causes(error):
            match cause:
                case ssl.SSLError():
                    # Waiting does not mend a certificate, and an attacker must not get a second try.
                    text = f"no safe connection to '{self.provider}': {_tls_reason(cause)}"
                    return Failure(FailureKind.BAD_ANSWER, text)
                case socket.gaierror():
                    return self.unsent(f"the host of '{self.provider}' cannot be found; is the network up?")
                case ConnectionRefusedError():
                    return self.unsent(f"'{self.provider}' refuses connections; is it running?")
        return self.unsent(f"no connection to '{self.provider}'")


class TooLarge(Exception):
    """A body over the limit, on the wire or inflated."""


class UnknownEncoding(Exception):
    """A body in a coding that was not asked for, or damaged in the one that was."""


def is_stream(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a stream of events."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"


class Body:
    """Takes a body piece by piece and inflates it, at most `limit` bytes of it on the wire and in memory.

    With `hand_on` nothing is kept: what comes is handed on.
    """

    def __init__(self, encoding: str, limit: int, hand_on: Take | None = None) -> None:
        """Raises UnknownEncoding."""
        self._hand_on = hand_on
        self._inflate = _inflater(encoding)
        self._limit = self._room = limit
        self._received = 0
        self._parts: list[bytes] = []

    def take(self, chunk: bytes) -> bool:
        """Whether more is wanted. Raises TooLarge beyond the limit, UnknownEncoding for what cannot be inflated."""
        self._received += len(chunk)
        data = self._inflate(chunk, self._room + 1)
        if self._hand_on is None:
            self._parts.append(data[: self._room])
        if self._received > self._limit or len(data) > self._room:
            raise TooLarge
        self._room -= len(data)
        return self._hand_on is None or self._hand_on(data)

    def read(self) -> bytes:
        """What has been taken so far."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


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


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message.rstrip('.')})"
    return "the TLS handshake failed; does it speak https?"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
