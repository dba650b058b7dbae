"""Sends a request over HTTP: deadlines, size limits and credentials here; every failure becomes one of our kinds.

The client behind it is a `Wire`, made when the first call is: `wire_aiohttp.py` for the network, `wire_httpx.py` for a
transport that is brought along. They are the only modules (with those that upload or fetch tokens) that know their library.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from runner.core.frozen import dataclass, replace
from runner.core.model import Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport.secrets import Secret, Secrets, check_address, host_of, is_loopback, redact
from runner.transport.tokens import Tokens
from runner.transport.vertex import place, takes_tokens
from runner.transport.wire import CONNECT_S, WRITE_S, Bounds, Delivery, Reply, Wire, WireFailed

if TYPE_CHECKING:
    import httpx

__all__ = ["CONNECT_S", "IDLE_S", "MAX_BYTES", "MAX_ERROR_BYTES", "WRITE_S", "FailureOf", "HttpTransport"]

IDLE_S: Final = 60.0
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BYTES: Final = 1024 * 1024

# Where a key goes that is no bearer's token.
_KEY_HEADERS: Final = {"gemini": "x-goog-api-key", "vertex": "x-goog-api-key", "anthropic": "x-api-key"}

_HEADERS: Final = (
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip"),
    ("user-agent", "runner"),
)
_UNWRITABLE: Final = re.compile(r"[\x00-\x20\x7f]")

FailureOf = Callable[[Request, int, Mapping[str, str], bytes], Failure]
WireOf = Callable[[bool], Wire]
"""Makes a client for this machine (True) or for others."""


@dataclass(frozen=True, slots=True)
class _Access:
    """Who asks a provider, and whether it is on this machine, looked up once."""

    provider: Provider
    secret: Secret | None
    headers: list[tuple[str, str]]
    is_local: bool


class HttpTransport:
    """Fills `Transport` for every provider that is reached over HTTP; one connection pool for all of them.

    `failure_of` is the dialect's reading of a status other than 200. `inner` replaces the network (tests, and
    users who bring their own httpx transport), `wire_of` the client, `tokens` gives access tokens to the providers that
    take them. The bound on requests at once is not here but in `execute`.
    """

    def __init__(
        self,
        secrets: Secrets,
        failure_of: FailureOf,
        *,
        inner: httpx.AsyncBaseTransport | None = None,
        wire_of: WireOf | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._secrets = secrets
        self._tokens = tokens
        self._failure_of = failure_of
        self._wire_of = wire_of or (_aiohttp if inner is None else _brought(inner))
        self._wires: dict[bool, Wire] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._known: dict[str, _Access] = {}

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        provider = route.provider
        access = self._access(provider)
        url = _address(provider, request)
        secret = access.secret
        delivery = Delivery(provider.name, timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                if takes_tokens(provider):
                    reply, secret = await self._post_with_token(url, request, access, delivery)
                else:
                    reply = await self._post(url, request, _credentials(request, secret), access, delivery)
        except TimeoutError:
            raise CallFailed(delivery.late()) from None
        except WireFailed as error:
            # `from None`: a chained exception could show a header, and with it the key.
            raise CallFailed(error.failure) from None
        if reply.status == 200:
            return _without_key(reply.body, secret, provider)
        failure = _moved(provider, reply) or self._failure_of(request, reply.status, reply.headers, reply.body)
        if failure.kind is FailureKind.NOT_FOUND:
            failure = replace(failure, message=f"{failure.message} ({_asked(route, url)})")
        message = redact(failure.message, [*self._secrets.known(provider), *([secret] if secret else [])])
        raise CallFailed(replace(failure, message=message, status=failure.status or reply.status))

    async def aclose(self) -> None:
        wires, self._wires = list(self._wires.values()), {}
        if self._loop is asyncio.get_running_loop():
            for wire in wires:
                await wire.aclose()

    async def _post_with_token(
        self, url: str, request: Request, access: _Access, delivery: Delivery
    ) -> tuple[Reply, Secret]:
        """A token may run out before its time: once, another one is fetched. What is refused so was never answered."""
        tokens = self._tokens
        assert tokens is not None, "a provider that takes tokens needs a source of them"
        bearer = await tokens.bearer()
        reply = await self._post(url, request, bearer.headers(), access, delivery)
        if reply.status == 401:
            tokens.forget(bearer)
            bearer = await tokens.bearer()
            reply = await self._post(url, request, bearer.headers(), access, delivery)
        return reply, bearer.secret

    async def _post(
        self, url: str, request: Request, credentials: list[tuple[str, str]], access: _Access, delivery: Delivery
    ) -> Reply:
        headers = [*_HEADERS, *request.headers, *credentials, *access.headers]
        bounds = Bounds(MAX_BYTES, MAX_ERROR_BYTES, IDLE_S)
        return await self._wire_for(access.is_local).post(url, headers, request.body, delivery, bounds)

    def _wire_for(self, is_local: bool) -> Wire:
        """The client of the running loop (a pool cannot outlive its loop) for this machine or for others."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._wires, self._loop = {}, loop
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


def _aiohttp(is_local: bool) -> Wire:
    from runner.transport.wire_aiohttp import AiohttpWire

    return AiohttpWire(is_local=is_local)


def _brought(inner: httpx.AsyncBaseTransport) -> WireOf:
    from runner.transport.wire_httpx import HttpxWire

    return lambda is_local: HttpxWire(inner, is_local=is_local)


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
