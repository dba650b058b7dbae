"""Our own HTTP/1.1 client behind the port, for the hot path: no more than the port needs. Chosen by measurement.

What goes through a proxy is handed to aiohttp.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from runner.core.frozen import dataclass
from runner.core.long_text import Body
from runner.core.outcome import Failure
from runner.transport.connection import Connection, Late, Silent, StoppedReading
from runner.transport.network import allow_many_connections, certificates, proxy_of
from runner.transport.reply_reader import BadReply
from runner.transport.wire import (
    CONNECT_S,
    Bounds,
    Delivery,
    Reply,
    Take,
    TooLarge,
    UnknownEncoding,
    WireFailed,
)

if TYPE_CHECKING:
    from runner.transport.wire_aiohttp import AiohttpWire

KEPT_S: Final = 30.0
"""A connection that was not used for so long is not used again."""
_ADDRESSES_KEPT_S: Final = 10.0
_NEXT_ADDRESS_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an address leads to: the host, and the first lines of every request there."""

    host: str
    port: int
    is_safe: bool
    lines: str


class DirectWire:
    """Fills `Wire` for hosts of the network, or (`is_local`) for this machine, which no proxy is for.

    No limit on connections (the bound on requests at once is in `execute`), no cookies, no redirects, no second
    sending, and nothing of `.netrc`.
    """

    keeps_time: ClassVar[bool] = True

    def __init__(self, *, is_local: bool = False) -> None:
        allow_many_connections()
        self._is_local = is_local
        self._loop = asyncio.get_running_loop()
        self._places: dict[str, _Place | None] = {}
        self._free: dict[tuple[str, int, bool], list[Connection]] = {}
        self._all: set[Connection] = set()
        self._addresses: dict[tuple[str, int], tuple[float, asyncio.Task[list[Any]]]] = {}
        self._proxied: AiohttpWire | None = None

    async def post(
        self,
        url: str,
        headers: list[tuple[str, str]],
        body: Body,
        delivery: Delivery,
        bounds: Bounds,
        take: Take | None = None,
    ) -> Reply:
        try:
            place = self._places[url] if url in self._places else self._place(url)
            if place is None:
                return await self._ask_proxy(url, headers, body, delivery, bounds, take)
            head = _head(place, headers, len(body))
            until = self._loop.time() + delivery.timeout_s
            connection = self._take_free(place) or await self._connect(place, delivery)
            reply = await connection.exchange(head, body, until, delivery, bounds, take)
            self._give_back(place, connection)
            return reply
        except (Late, OSError, ValueError, BadReply, TooLarge, UnknownEncoding) as error:
            raise WireFailed(translate(error, delivery)) from None

    async def aclose(self) -> None:
        for connection in self._all:
            connection.abort()
        self._all.clear()
        self._free.clear()
        for _, looking in self._addresses.values():
            looking.cancel()
        if self._proxied is not None:
            await self._proxied.aclose()
        await asyncio.sleep(0)  # in which the loop closes the sockets

    async def _ask_proxy(
        self,
        url: str,
        headers: list[tuple[str, str]],
        body: Body,
        delivery: Delivery,
        bounds: Bounds,
        take: Take | None,
    ) -> Reply:
        from runner.transport.wire_aiohttp import AiohttpWire

        self._proxied = self._proxied or AiohttpWire()
        try:
            async with asyncio.timeout(delivery.timeout_s):
                return await self._proxied.post(url, headers, body, delivery, bounds, take)
        except TimeoutError:
            raise Late from None

    def _place(self, url: str) -> _Place | None:
        """None for what a proxy is named for. Raises ValueError."""
        is_proxied = not self._is_local and proxy_of(url)
        place = self._places[url] = None if is_proxied else _place_of(url)
        return place

    # Connections

    def _take_free(self, place: _Place) -> Connection | None:
        """The connection that was used last: those that are not needed any more grow old."""
        free = self._free.get((place.host, place.port, place.is_safe))
        oldest = self._loop.time() - KEPT_S
        while free:
            connection = free.pop()
            if connection.is_open and connection.free_since > oldest:
                return connection
            connection.abort()
            self._all.discard(connection)
        return None

    def _give_back(self, place: _Place, connection: Connection) -> None:
        if connection.is_open:
            connection.free_since = self._loop.time()
            self._free.setdefault((place.host, place.port, place.is_safe), []).append(connection)
        else:
            self._all.discard(connection)

    async def _connect(self, place: _Place, delivery: Delivery) -> Connection:
        """Raises WireFailed, and Late."""
        try:
            async with asyncio.timeout(min(CONNECT_S, delivery.timeout_s)) as deadline:
                return await self._open(place)
        except TimeoutError as error:
            if not deadline.expired():  # the system's own
                raise WireFailed(delivery.no_connection(error)) from None
            if delivery.timeout_s <= CONNECT_S:
                raise Late from None
            raise WireFailed(delivery.slow_connection()) from None
        except OSError as error:  # among them those of TLS, which are told apart
            raise WireFailed(delivery.no_connection(error)) from None

    async def _open(self, place: _Place) -> Connection:
        found = await connect(await self._find(place.host, place.port), self._loop)
        context = certificates() if place.is_safe else None
        name = place.host.rstrip(".") if place.is_safe else None
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._loop), sock=found, ssl=context, server_hostname=name
            )
        except BaseException:
            found.close()
            raise
        self._all.add(connection)
        return connection

    async def _find(self, host: str, port: int) -> list[Any]:
        """The addresses of a host, looked up once for all who want them at a time."""
        known = self._addresses.get((host, port))
        now = self._loop.time()
        if known is None or now - known[0] > _ADDRESSES_KEPT_S:
            looking = asyncio.ensure_future(self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            known = self._addresses[host, port] = now, looking
        try:
            return await asyncio.shield(known[1])
        except OSError:
            self._addresses.pop((host, port), None)
            raise


async def connect(addresses: list[Any], loop: asyncio.AbstractEventLoop) -> socket.socket:
    """The first connection that is made; another address is tried when one fails, or takes long. Raises OSError."""
    waiting = _in_turn(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or trying:
            if waiting:
                trying.add(loop.create_task(_connect_to(waiting.pop(0), loop)))
            done, trying = await asyncio.wait(
                trying, timeout=_NEXT_ADDRESS_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                error = one.exception()
                if error is None:
                    return one.result()
                if not isinstance(error, OSError):
                    raise error
                errors.append(error)
        raise errors[0] if errors else OSError("a host without an address")
    finally:
        for late in trying:
            late.add_done_callback(_close_late)
            late.cancel()


def _close_late(one: asyncio.Task[socket.socket]) -> None:
    if not one.cancelled() and one.exception() is None:
        one.result().close()


async def _connect_to(address: Any, loop: asyncio.AbstractEventLoop) -> socket.socket:
    family, kind, protocol, _, where = address
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await loop.sock_connect(made, where)
    except BaseException:
        made.close()
        raise
    return made


def _in_turn(addresses: list[Any]) -> list[Any]:
    """The families in turn, for one of them may lead nowhere; otherwise in the order of the system."""
    first = [one for one in addresses if one[0] == addresses[0][0]]
    others = [one for one in addresses if one[0] != addresses[0][0]]
    mixed = [one for pair in zip(first, others, strict=False) for one in pair]
    return mixed + first[len(others) :] + others[len(first) :]


# The request


def _place_of(url: str) -> _Place:
    """Raises ValueError."""
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("ascii" if (parts.hostname or "").isascii() else "idna").decode()
    is_safe = parts.scheme == "https"
    port = parts.port or (443 if is_safe else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    named = f"[{host}]" if ":" in host else host
    shown = named if port == (443 if is_safe else 80) else f"{named}:{port}"
    if not host or parts.scheme not in {"http", "https"}:
        raise ValueError("no address of HTTP")
    return _Place(host, port, is_safe, f"POST {target} HTTP/1.1\r\nhost: {shown}")


def _head(place: _Place, headers: list[tuple[str, str]], length: int) -> bytes:
    """Raises ValueError for what no header can carry."""
    fields = "\r\n".join([f"{name}: {value}" for name, value in headers])
    between = len(headers) - 1
    if fields.count("\r") != between or fields.count("\n") != between or "\0" in fields:
        raise ValueError("a header with an end of line in it")
    return f"{place.lines}\r\n{fields}\r\ncontent-length: {length}\r\n\r\n".encode()


def translate(error: Exception, delivery: Delivery) -> Failure:
    """An exception as a failure in the author's words; its own text is never shown, it may hold a header."""
    match error:
        case TooLarge():
            return delivery.too_large()
        case UnknownEncoding():
            return delivery.unreadable()
        case Late():
            return delivery.late()
        case Silent():
            return delivery.stopped_answering()
        case StoppedReading():
            return delivery.stopped_reading()
        case BadReply():
            return delivery.closed_early()
        case ValueError() if not delivery.is_sent:
            return delivery.unwritable()
        case _:
            return delivery.broken()
