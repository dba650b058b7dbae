"""Sends a request over HTTP: deadlines, size limits and credentials here; every failure becomes one of our kinds.

The client behind it is a `Wire`, made when the first call is: `wire_direct.py` for the network (`wire_aiohttp.py` behind a proxy),
`wire_httpx.py` for a transport that is brought along. They are the only modules (with those that upload or fetch tokens) that know their library.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from runner.core import beside
from runner.core.frozen import dataclass, replace
from runner.core.long_text import Body
from runner.core.media import Medium
from runner.core.model import Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed, Hear, Streaming
from runner.core.request import Request
from runner.transport.hearing import Hearing
from runner.transport.secrets import Secret, Secrets, check_address, host_of, is_loopback, redact
from runner.transport.sending import Streamed, body_of
from runner.transport.uploads import MARGIN_S, Ask, Headers, Uploads
from runner.transport.vertex import place, takes_tokens
from runner.transport.wire import CONNECT_S, WRITE_S, Bounds, Delivery, Reply, Take, Wire, WireFailed

if TYPE_CHECKING:
    import httpx

    from runner.transport.tokens import Tokens
    from runner.transport.wire_httpx import HttpxWire

__all__ = [
    "CONNECT_S",
    "IDLE_S",
    "MAX_BYTES",
    "MAX_ERROR_BYTES",
    "STREAM_IDLE_S",
    "WRITE_S",
    "FailureOf",
    "HttpTransport",
]

IDLE_S: Final = 60.0
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BYTES: Final = 1024 * 1024
UPLOAD_S: Final = 600.0
# A stream begins at once, and then says nothing while the model thinks.
STREAM_IDLE_S: Final = 300.0
_BOUNDS: Final = Bounds(MAX_BYTES, MAX_ERROR_BYTES, IDLE_S)

# How providers say that they do not know an uploaded file (any more).
FORGOTTEN: Final = frozenset({400, 403, 404})

# Where a key goes that is no bearer's token.
_KEY_HEADERS: Final = {
    **dict.fromkeys(("gemini", "gemini-embed", "vertex", "vertex-embed"), "x-goog-api-key"),
    "anthropic": "x-api-key",
}

_HEADERS: Final = (
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip"),
    ("user-agent", "runner"),
)
_STREAM_HEADERS: Final = tuple((name, "text/event-stream" if name == "accept" else value) for name, value in _HEADERS)
# The only headers of an answer that are looked at beyond this file; a date is needed to read the others.
_LIMIT_HEADERS: Final = ("x-ratelimit-", "anthropic-ratelimit-", "retry-after")
_UNWRITABLE: Final = re.compile(r"[\x00-\x20\x7f]")

FailureOf = Callable[[Request, int, Mapping[str, str], bytes], Failure]
StreamingOf = Callable[[Request], "Streaming | None"]
WireOf = Callable[[bool], Wire]
"""Makes a client for this machine (True) or for others."""
Listen = Callable[[], Hearing]
"""Begins to hear an answer; anew for each that is tried."""


@dataclass(frozen=True, slots=True)
class _Access:
    """Who asks a provider, and whether it is on this machine, looked up once."""

    provider: Provider
    secret: Secret | None
    headers: list[tuple[str, str]]
    is_local: bool


class HttpTransport:
    """Fills `Transport` for every provider that is reached over HTTP; one connection pool for all of them.

    `failure_of` is the dialect's reading of a status other than 200, `streaming_of` how it streams. `inner` replaces the network (tests, and
    users who bring their own httpx transport), `wire_of` the client, `tokens` makes what gives access tokens to the
    providers that take them, `uploads` remembers the files that were uploaded. The bound on requests at once is not here but in `execute`.
    """

    def __init__(
        self,
        secrets: Secrets,
        failure_of: FailureOf,
        *,
        streaming_of: StreamingOf = lambda _request: None,
        inner: httpx.AsyncBaseTransport | None = None,
        wire_of: WireOf | None = None,
        tokens: Callable[[], Tokens] | None = None,
        uploads: Uploads | None = None,
    ) -> None:
        self._secrets = secrets
        self._make_tokens = tokens
        self._tokens: Tokens | None = None
        self._uploads = uploads or Uploads()
        self._failure_of = failure_of
        self._streaming_of = streaming_of
        self._file_wire_of = _brought(inner)
        self._file_wires: dict[bool, HttpxWire] = {}
        self._wire_of = wire_of or (_direct if inner is None else _brought(inner))
        self._wires: dict[bool, Wire] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._known: dict[str, _Access] = {}

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        return await self._deliver(route, request, timeout_s, None)

    async def stream(self, route: Route, request: Request, *, timeout_s: float, hear: Hear) -> bytes:
        """What does not stream is sent, and tells nothing before it is there."""
        streaming = self._streaming_of(request)
        if streaming is None:
            return await self._deliver(route, request, timeout_s, None)
        return await self._deliver(route, streaming.open(request), timeout_s, lambda: Hearing(streaming.fold(), hear))

    async def ask(self, route: Route, method: str, request: Request, *, timeout_s: float) -> bytes:
        """Something else than a question, under the same rules: the payload of a 200 answer. Raises CallFailed."""
        if method == "POST":
            return await self.send(route, request, timeout_s=timeout_s)
        return await self._send(route, request, b"", timeout_s, None, method)

    async def _deliver(self, route: Route, request: Request, timeout_s: float, listen: Listen | None) -> bytes:
        """A request that names a file which the provider has forgotten is sent once more, with the file sent anew."""
        if not request.attachments:
            return await self._send(route, request, request.body, timeout_s, listen)
        names, reused = await self._names(route, request)
        try:
            return await self._send(route, request, await body_of(request, names), timeout_s, listen)
        except CallFailed as error:
            if not reused or error.failure.status not in FORGOTTEN:
                raise
        for medium in reused:
            self.forget(route, medium)
        names, _ = await self._names(route, request)
        return await self._send(route, request, await body_of(request, names), timeout_s, listen)

    async def _names(self, route: Route, request: Request) -> tuple[dict[int, str], list[Medium]]:
        return await self.upload(route, request, [n for n, one in enumerate(request.attachments) if one.by_upload])

    async def upload(
        self, route: Route, request: Request, numbers: Iterable[int], *, lasts_s: float = MARGIN_S
    ) -> tuple[dict[int, str], list[Medium]]:
        """What the provider calls files of a request, and those of them that it was sent before. Raises CallFailed."""
        names: dict[int, str] = {}
        reused: list[Medium] = []
        for number in numbers:
            medium = request.attachments[number].medium
            ask, read = self._ask_for(route, request), partial(self._upload_failed, route.provider, request)
            names[number], is_new = await self._uploads.reference(route, medium, ask, read, lasts_s=lasts_s)
            reused += [] if is_new else [medium]
        return names, reused

    def forget(self, route: Route, medium: Medium) -> None:
        """The provider no longer knows a file that was uploaded."""
        self._uploads.forget(route, medium)

    def _ask_for(self, route: Route, request: Request) -> Ask:
        """How an upload speaks to a provider: with its key and under the same rules as a question."""
        provider = route.provider
        access = self._access(provider)
        _address(provider, request)
        trusted = [*_credentials(request, access.secret), *access.headers]

        async def ask(
            method: str, url: str, headers: Headers, content: bytes | AsyncIterator[bytes], *, is_trusted: bool = True
        ) -> Reply:
            sent = [("user-agent", "runner"), *headers, *(trusted if is_trusted else [])]
            wire = self._file_wire_for(access.is_local)
            try:
                async with asyncio.timeout(UPLOAD_S):
                    return await wire.ask(method, url, sent, content, Delivery(provider.name, UPLOAD_S), _BOUNDS)
            except (TimeoutError, WireFailed):
                text = f"a file could not be uploaded to '{provider.name}': the connection failed"
                raise CallFailed(Failure(FailureKind.TRANSIENT, text), requests=0) from None

        return ask

    def _upload_failed(self, provider: Provider, request: Request, reply: Reply) -> Failure:
        """What a status other than 200 means, without a key in its words."""
        failure = _moved(provider, reply) or self._failure_of(request, reply.status, reply.headers, reply.body)
        message = redact(failure.message, self._secrets.known(provider))
        return replace(failure, message=message, status=failure.status or reply.status)

    async def _send(
        self,
        route: Route,
        request: Request,
        body: Body | Streamed,
        timeout_s: float,
        listen: Listen | None,
        method: str = "POST",
    ) -> bytes:
        provider = route.provider
        access = self._access(provider)
        url = _address(provider, request)
        secret = access.secret
        delivery = Delivery(provider.name, timeout_s)
        heard = listen() if listen is not None else None
        take = heard.take if heard is not None else None
        try:
            if takes_tokens(provider):
                async with asyncio.timeout(timeout_s):
                    reply, secret = await self._post_with_token(url, request, body, access, delivery, take, method)
            else:
                credentials = _credentials(request, secret)
                reply = await self._post(url, request, body, credentials, access, delivery, take, method)
        except TimeoutError:
            raise CallFailed(delivery.late()) from None
        except WireFailed as error:
            # `from None`: a chained exception could show a header, and with it the key.
            raise CallFailed(error.failure) from None
        except CallFailed as error:  # in the middle of a stream
            raise CallFailed(self._masked(error.failure, provider, secret), requests=error.requests) from None
        if reply.status == 200:
            _tell_limits(reply)
            payload = reply.body if heard is None else heard.payload(reply, delivery)
            return _without_key(payload, secret, provider)
        failure = _moved(provider, reply) or self._failure_of(request, reply.status, reply.headers, reply.body)
        if failure.kind is FailureKind.NOT_FOUND:
            failure = replace(failure, message=f"{failure.message} ({_asked(route, url)})")
        failure = self._masked(failure, provider, secret)
        raise CallFailed(replace(failure, status=failure.status or reply.status))

    def _masked(self, failure: Failure, provider: Provider, secret: Secret | None) -> Failure:
        """A failure without a key in its words."""
        secrets = [*self._secrets.known(provider), *([secret] if secret else [])]
        return replace(failure, message=redact(failure.message, secrets))

    async def aclose(self) -> None:
        wires = [*self._wires.values(), *self._file_wires.values()]
        self._wires, self._file_wires = {}, {}
        if self._loop is asyncio.get_running_loop():
            for wire in wires:
                await wire.aclose()

    async def _post_with_token(
        self,
        url: str,
        request: Request,
        body: Body | Streamed,
        access: _Access,
        delivery: Delivery,
        take: Take | None,
        method: str,
    ) -> tuple[Reply, Secret]:
        """A token may run out before its time: once, another one is fetched. What is refused so was never answered."""
        assert self._make_tokens is not None, "a provider that takes tokens needs a source of them"
        tokens = self._tokens = self._tokens or self._make_tokens()
        bearer = await tokens.bearer()
        reply = await self._post(url, request, body, bearer.headers(), access, delivery, take, method)
        if reply.status == 401:
            tokens.forget(bearer)
            bearer = await tokens.bearer()
            reply = await self._post(url, request, body, bearer.headers(), access, delivery, take, method)
        return reply, bearer.secret

    async def _post(
        self,
        url: str,
        request: Request,
        body: Body | Streamed,
        credentials: list[tuple[str, str]],
        access: _Access,
        delivery: Delivery,
        take: Take | None,
        method: str,
    ) -> Reply:
        ours = _HEADERS if take is None else _STREAM_HEADERS
        headers = [*ours, *request.headers, *credentials, *access.headers]
        bounds = Bounds(MAX_BYTES, MAX_ERROR_BYTES, IDLE_S if take is None else STREAM_IDLE_S)
        if not isinstance(body, Streamed) and method == "POST":
            wire = self._wire_for(access.is_local)
            if wire.keeps_time:
                return await wire.post(url, headers, body, delivery, bounds, take)
            async with asyncio.timeout(delivery.timeout_s):
                return await wire.post(url, headers, body, delivery, bounds, take)
        for_files = self._file_wire_for(access.is_local)
        if isinstance(body, Streamed):
            headers.append(("content-length", str(body.length)))
        content = body.read() if isinstance(body, Streamed) else bytes(body)
        async with asyncio.timeout(delivery.timeout_s):
            return await for_files.ask(method, url, headers, content, delivery, bounds, take)

    def _file_wire_for(self, is_local: bool) -> HttpxWire:
        """The client for bodies that are read from the disk while they are sent; it is made when the first one is."""
        self._wire_for(is_local)  # which forgets the clients of another loop
        if is_local not in self._file_wires:
            self._file_wires[is_local] = self._file_wire_of(is_local)
        return self._file_wires[is_local]

    def _wire_for(self, is_local: bool) -> Wire:
        """The client of the running loop (a pool cannot outlive its loop) for this machine or for others."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._wires, self._file_wires, self._loop = {}, {}, loop
        if is_local not in self._wires:
            self._wires[is_local] = self._wire_of(is_local)
        return self._wires[is_local]

    def _access(self, provider: Provider) -> _Access:
        """The address is checked again here, because a key is about to go to it. Raises CallFailed."""
        known = self._known.get(provider.name)
        if known is None or (known.provider is not provider and known.provider != provider):
            problem = check_address(provider)
            if problem is not None:
                raise CallFailed(Failure(FailureKind.BAD_REQUEST, problem.message), requests=0)
            is_local = is_loopback(host_of(provider.base_url))
            known = _Access(provider, self._key(provider), self._secrets.headers_for(provider), is_local)
            self._known[provider.name] = known
        return known

    def _key(self, provider: Provider) -> Secret | None:
        problem = self._secrets.check(provider)
        if problem is not None:
            text = f"{problem.message} ({problem.fix})" if problem.fix else problem.message
            raise CallFailed(Failure(FailureKind.AUTH, text), requests=0)
        return self._secrets.key_for(provider)


def _direct(is_local: bool) -> Wire:
    from runner.transport.wire_direct import DirectWire

    return DirectWire(is_local=is_local)


def _brought(inner: httpx.AsyncBaseTransport | None) -> Callable[[bool], HttpxWire]:
    def make(is_local: bool) -> HttpxWire:
        from runner.transport.wire_httpx import HttpxWire

        return HttpxWire(inner, is_local=is_local)

    return make


def _address(provider: Provider, request: Request) -> str:
    """The full URL, checked here because a key is about to go to it."""
    url = _join(provider.base_url, place(provider, request.endpoint) if request.endpoint.startswith("/") else "")
    if not url:
        raise CallFailed(_bad_url(provider), requests=0)
    return url


@lru_cache(maxsize=1024)
def _join(base_url: str, endpoint: str) -> str:
    """The address of an endpoint, percent-encoded; "" when the two make none of the host that the base names."""
    if not endpoint.startswith("/") or _UNWRITABLE.search(endpoint):
        return ""
    url = base_url.rstrip("/") + quote(endpoint, safe="/:?#[]@!$&'()*+,;=%-._~")
    return url if (urlsplit(url).hostname or "").rstrip(".") == host_of(base_url) else ""


def _asked(route: Route, url: str) -> str:
    """What was not found: the model and, where the project gave the address, the place."""
    model = f"model '{route.model}'"
    parts = urlsplit(url)
    return model if route.provider.is_builtin else f"{model} at {parts.netloc}{parts.path}"


def _bad_url(provider: Provider) -> Failure:
    return Failure(
        FailureKind.BAD_REQUEST, f"the model's name and the base_url of '{provider.name}' do not make a valid address"
    )


def _credentials(request: Request, secret: Secret | None) -> list[tuple[str, str]]:
    """A key travels in a header, never in the URL."""
    if secret is None:
        return []
    header = _KEY_HEADERS.get(request.dialect)
    return [(header, secret.reveal())] if header else [("authorization", f"Bearer {secret.reveal()}")]


def _tell_limits(reply: Reply) -> None:
    """What a provider says of its limits beside a good answer; a failure carries what it asks for."""
    found = {name: value for name, value in reply.headers.items() if name.startswith(_LIMIT_HEADERS)}
    if found:
        beside.tell({**found, "date": reply.headers.get("date", "")})


def _moved(provider: Provider, reply: Reply) -> Failure | None:
    """A redirect is not followed: the key and the prompt were meant for the configured host."""
    if not 300 <= reply.status < 400:
        return None
    location = reply.headers.get("location", "").partition("?")[0].partition("#")[0]
    text = (
        f"'{provider.name}' redirects to {host_of(location) or 'another path'}, which is not followed; check base_url"
    )
    return Failure(FailureKind.BAD_ANSWER, text)


def _without_key(body: bytes, secret: Secret | None, provider: Provider) -> bytes:
    if secret is not None and secret.reveal().encode() in body:
        text = f"the answer of '{provider.name}' repeats the API key, so it is not kept"
        raise CallFailed(Failure(FailureKind.BAD_ANSWER, text, status=200))
    return body
