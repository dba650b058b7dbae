"""Sends a request over HTTP: deadlines, size limits and credentials here; every failure becomes one of our kinds.

This module and `wire.py` are the only ones that know httpx, and nothing imports them before a call is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from runner.core.model import Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport.secrets import Secret, Secrets, check_address, host_of, is_loopback, redact
from runner.transport.tokens import Tokens
from runner.transport.vertex import place, takes_tokens
from runner.transport.wire import Delivery, TooLarge, UnknownEncoding, read_body, read_error, translate

CONNECT_S: Final = 10.0
WRITE_S: Final = 30.0
IDLE_S: Final = 60.0
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BYTES: Final = 1024 * 1024

# Where a key goes that is no bearer's token.
_KEY_HEADERS: Final = {"gemini": "x-goog-api-key", "vertex": "x-goog-api-key", "anthropic": "x-api-key"}

FailureOf = Callable[[Request, int, Mapping[str, str], bytes], Failure]


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A request, where it goes, and the headers that say who asks."""

    url: httpx.URL
    request: Request
    credentials: list[tuple[str, str]]


class HttpTransport:
    """Fills `Transport` for every provider that is reached over HTTP; one connection pool for all of them.

    `failure_of` is the dialect's reading of a status other than 200. `inner` replaces the network (tests, and
    users who bring their own httpx transport), `tokens` gives access tokens to the providers that
    take them. The bound on requests at once is not here but in `execute`.
    """

    def __init__(
        self,
        secrets: Secrets,
        failure_of: FailureOf,
        *,
        inner: httpx.AsyncBaseTransport | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._secrets = secrets
        self._tokens = tokens
        self._failure_of = failure_of
        self._inner = inner
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, route: Route, request: Request, *, timeout_s: float) -> bytes:
        provider = route.provider
        url = _address(provider, request)
        secret = self._key(provider)
        delivery = Delivery(provider.name, timeout_s, is_sent=self._inner is not None)
        outgoing = _Outgoing(url, request, [*_credentials(request, secret), *self._secrets.headers_for(provider)])
        try:
            async with asyncio.timeout(timeout_s):
                if takes_tokens(provider):
                    status, headers, body, secret = await self._exchange_with_token(outgoing, delivery)
                else:
                    status, headers, body = await self._exchange(outgoing, delivery)
        except TimeoutError:
            raise CallFailed(delivery.late()) from None
        except (httpx.HTTPError, httpx.InvalidURL, TooLarge, UnknownEncoding) as error:
            # `from None`: a chained exception could show a header, and with it the key.
            raise CallFailed(translate(error, delivery)) from None
        if status == 200:
            return _without_key(body, secret, provider)
        failure = _moved(provider, status, headers) or self._failure_of(request, status, headers, body)
        if failure.kind is FailureKind.NOT_FOUND:
            failure = replace(failure, message=f"{failure.message} ({_asked(route, url)})")
        message = redact(failure.message, [*self._secrets.known(provider), *([secret] if secret else [])])
        raise CallFailed(replace(failure, message=message, status=failure.status or status))

    async def aclose(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        if self._loop is asyncio.get_running_loop():
            for client in clients:
                await client.aclose()

    async def _exchange_with_token(
        self, outgoing: _Outgoing, delivery: Delivery
    ) -> tuple[int, dict[str, str], bytes, Secret]:
        """A token may run out before its time: once, another one is fetched. What is refused so was never answered."""
        tokens = self._tokens
        assert tokens is not None, "a provider that takes tokens needs a source of them"
        bearer = await tokens.bearer()
        answer = await self._exchange(replace(outgoing, credentials=bearer.headers()), delivery)
        if answer[0] == 401:
            tokens.forget(bearer)
            bearer = await tokens.bearer()
            answer = await self._exchange(replace(outgoing, credentials=bearer.headers()), delivery)
        return *answer, bearer.secret

    async def _exchange(self, outgoing: _Outgoing, delivery: Delivery) -> tuple[int, dict[str, str], bytes]:
        client = self._client_for(outgoing.url)
        message = client.build_request(
            "POST",
            outgoing.url,
            content=outgoing.request.body,
            headers=[*_headers(outgoing.request), *outgoing.credentials],
            extensions={"trace": delivery.trace},
        )
        response = await client.send(message, stream=True)
        delivery.is_sent = True
        async with aclosing(response):
            headers = {name.lower(): value for name, value in response.headers.items()}
            if response.status_code == 200:
                body = await read_body(response, limit=MAX_BYTES, idle_s=IDLE_S)
            else:
                body = await read_error(response, limit=MAX_ERROR_BYTES, idle_s=IDLE_S)
        return response.status_code, headers, body

    def _client_for(self, url: httpx.URL) -> httpx.AsyncClient:
        """The client of the running loop (a pool cannot outlive its loop) for this machine or for others."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._clients, self._loop = {}, loop
        is_local = is_loopback(url.host)
        if is_local not in self._clients:
            self._clients[is_local] = _open_client(self._inner, is_local)
        return self._clients[is_local]

    def _key(self, provider: Provider) -> Secret | None:
        problem = self._secrets.check(provider)
        if problem is not None:
            text = f"{problem.message} ({problem.fix})" if problem.fix else problem.message
            raise CallFailed(Failure(FailureKind.AUTH, text), requests=0)
        return self._secrets.key_for(provider)


def _open_client(inner: httpx.AsyncBaseTransport | None, is_local: bool) -> httpx.AsyncClient:
    """No limit on connections (httpx's own are 100, then it fails), no cookies, no redirects.

    Proxy and certificate variables of the environment are honoured, but no proxy is for this machine: a key for a
    local server must not travel through one in clear text. Reading has no limit here because a model may think for
    long before its first byte; the whole-answer deadline and the idle limit of `read_body` bound it.
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


def _address(provider: Provider, request: Request) -> httpx.URL:
    """The full URL, checked again here because a key is about to go to it."""
    problem = check_address(provider)
    if problem is not None:
        raise CallFailed(Failure(FailureKind.BAD_REQUEST, problem.message), requests=0)
    try:
        url = httpx.URL(provider.base_url.rstrip("/") + place(provider, request.endpoint))
    except httpx.InvalidURL:
        raise CallFailed(_bad_url(provider), requests=0) from None
    if not request.endpoint.startswith("/") or url.host != host_of(provider.base_url):
        raise CallFailed(_bad_url(provider), requests=0)
    return url


def _asked(route: Route, url: httpx.URL) -> str:
    """What was not found: the model and, where the project gave the address, the place."""
    model = f"model '{route.model}'"
    return model if route.provider.is_builtin else f"{model} at {url.netloc.decode()}{url.path}"


def _bad_url(provider: Provider) -> Failure:
    return Failure(
        FailureKind.BAD_REQUEST, f"the model's name and the base_url of '{provider.name}' do not make a valid address"
    )


def _headers(request: Request) -> list[tuple[str, str]]:
    return [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("user-agent", "runner"),
        *request.headers,
    ]


def _credentials(request: Request, secret: Secret | None) -> list[tuple[str, str]]:
    """A key travels in a header, never in the URL."""
    if secret is None:
        return []
    header = _KEY_HEADERS.get(request.dialect)
    return [(header, secret.reveal())] if header else [("authorization", f"Bearer {secret.reveal()}")]


def _moved(provider: Provider, status: int, headers: Mapping[str, str]) -> Failure | None:
    """A redirect is not followed: the key and the prompt were meant for the configured host."""
    if not 300 <= status < 400:
        return None
    location = headers.get("location", "").partition("?")[0].partition("#")[0]
    text = (
        f"'{provider.name}' redirects to {host_of(location) or 'another path'}, which is not followed; check base_url"
    )
    return Failure(FailureKind.BAD_ANSWER, text)


def _without_key(body: bytes, secret: Secret | None, provider: Provider) -> bytes:
    if secret is not None and secret.reveal().encode() in body:
        text = f"the answer of '{provider.name}' repeats the API key, so it is not kept"
        raise CallFailed(Failure(FailureKind.BAD_ANSWER, text, status=200))
    return body
