"""The calls of batch interfaces over HTTP: addresses and keys as for any other call, files in and out as streams.

These calls are few, so that each may have a deadline of its own; none is tried again here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import IO, Any, Final

import httpx
import orjson

from runner.core.canonical import Json
from runner.core.model import Provider
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.transport.secrets import Secret, Secrets, check_address, is_loopback, redact
from runner.transport.wire import Bounds, Delivery, Reply, TooLarge, UnknownEncoding
from runner.transport.wire_httpx import LARGE, once, open_client, read_reply, translate

CALL_S: Final = 120.0
UPLOAD_S: Final = 3600.0
BOUNDS: Final = Bounds(max_bytes=64 * 1024 * 1024, max_error_bytes=1024 * 1024, idle_s=60.0)
MOST_LINE_BYTES: Final = 64 * 1024 * 1024
_KEY_HEADERS: Final = dict.fromkeys(("gemini", "gemini-embed"), "x-goog-api-key")

FailureOf = Callable[[str, int, Mapping[str, str], bytes], Failure]
"""Dialect, status, headers and body of an answer that is no success → what it means."""


class BatchHttp:
    """Sends one call of a batch interface. `inner` replaces the network."""

    def __init__(
        self, secrets: Secrets, failure_of: FailureOf, *, inner: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._secrets = secrets
        self._failure_of = failure_of
        self._inner = inner
        self._clients: dict[bool, httpx.AsyncClient] = {}

    async def call(
        self,
        provider: Provider,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Json = None,
        content: bytes | None = None,
        form: tuple[Mapping[str, str], tuple[str, IO[bytes], str]] | None = None,
        timeout_s: float = CALL_S,
    ) -> Reply:
        """One call, with a JSON body, bytes, or a form with a file. Raises CallFailed for all but a 200."""
        sent: dict[str, Any] = {"content": content, "params": params or None}
        if body is not None:
            sent["content"] = orjson.dumps(body)
            headers = {"content-type": "application/json", **(headers or {})}
        elif form is not None:
            sent = {"data": form[0], "files": {"file": form[1]}}
        elif content is not None and len(content) > LARGE:
            sent["content"] = once(content)
            headers = {"content-length": str(len(content)), **(headers or {})}
        delivery = Delivery(provider.name, timeout_s)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._answer(provider, method, path, headers or {}, sent, delivery) as response,
            ):
                return self._good(await read_reply(response, BOUNDS), provider)
        except TimeoutError:
            raise CallFailed(delivery.late()) from None

    async def lines(
        self, provider: Provider, path: str, params: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """The lines of a file of any size. Raises CallFailed, also in the middle: reading it again costs nothing."""
        delivery = Delivery(provider.name, UPLOAD_S)
        secret = self._key(provider)
        try:
            async with self._answer(provider, "GET", path, {}, {"params": params or None}, delivery) as response:
                if response.status_code != 200:
                    self._good(await read_reply(response, BOUNDS), provider)
                async for line in _lines(response):
                    if secret is not None and secret.reveal().encode() in line:
                        text = f"an answer of '{provider.name}' repeats the API key, so it is not kept"
                        raise CallFailed(Failure(FailureKind.BAD_ANSWER, text, status=200))
                    yield line
        except CallFailed as error:
            if error.failure.kind is not FailureKind.UNKNOWN_DELIVERY:
                raise
            text = f"the connection to '{provider.name}' broke in a file of answers"
            raise CallFailed(Failure(FailureKind.TRANSIENT, text)) from None

    async def aclose(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    @asynccontextmanager
    async def _answer(
        self,
        provider: Provider,
        method: str,
        path: str,
        headers: Mapping[str, str],
        sent: Mapping[str, Any],
        delivery: Delivery,
    ) -> AsyncIterator[httpx.Response]:
        """The head of an answer; what goes wrong, also while its body is read, is a CallFailed."""
        url, secret = self._address(provider, path), self._key(provider)

        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            """Once the head is on its way, the server may have acted on it."""
            delivery.is_sent = delivery.is_sent or event.endswith("send_request_headers.started")

        try:
            client = self._client_for(url)
            given = self._headers(provider, secret, headers)
            message = client.build_request(method, url, headers=given, extensions={"trace": trace}, **sent)
            response = await client.send(message, stream=True)
            delivery.is_sent = True
            try:
                yield response
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TooLarge, UnknownEncoding) as error:
            # `from None`: a chained exception could show a header, and with it the key.
            raise CallFailed(translate(error, delivery)) from None

    def _good(self, reply: Reply, provider: Provider) -> Reply:
        if reply.status == 200:
            return reply
        failure = self._failure_of(provider.dialect, reply.status, reply.headers, reply.body)
        message = redact(failure.message, self._secrets.known(provider))
        raise CallFailed(replace(failure, message=message, status=failure.status or reply.status))

    def _headers(self, provider: Provider, secret: Secret | None, more: Mapping[str, str]) -> list[tuple[str, str]]:
        key = []
        if secret is not None:
            header = _KEY_HEADERS.get(provider.dialect)
            key = [(header, secret.reveal())] if header else [("authorization", f"Bearer {secret.reveal()}")]
        return [
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            ("user-agent", "runner"),
            *more.items(),
            *key,
            *self._secrets.headers_for(provider),
        ]

    def _address(self, provider: Provider, path: str) -> httpx.URL:
        """Checked again here because a key is about to go to it; an upload goes where the provider says."""
        problem = check_address(provider)
        if problem is not None:
            raise CallFailed(Failure(FailureKind.BAD_REQUEST, problem.message), requests=0)
        base = httpx.URL(provider.base_url)
        try:
            url = httpx.URL(path if path.startswith(("http://", "https://")) else provider.base_url.rstrip("/") + path)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if (url.scheme, url.netloc) != (base.scheme, base.netloc):
            text = f"'{provider.name}' names an address of another host, to which the key is not sent"
            raise CallFailed(Failure(FailureKind.BAD_ANSWER, text), requests=0)
        return url

    def _key(self, provider: Provider) -> Secret | None:
        problem = self._secrets.check(provider)
        if problem is not None:
            raise CallFailed(Failure(FailureKind.AUTH, problem.message), requests=0)
        return self._secrets.key_for(provider)

    def _client_for(self, url: httpx.URL) -> httpx.AsyncClient:
        is_local = is_loopback(url.host)
        if is_local not in self._clients:
            self._clients[is_local] = open_client(self._inner, is_local)
        return self._clients[is_local]


def value_of(reply: Reply) -> Json:
    """The body as JSON. Raises CallFailed."""
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        text = "the batch interface answered with something that is not JSON"
        raise CallFailed(Failure(FailureKind.BAD_ANSWER, text, status=200)) from None


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(rest) > MOST_LINE_BYTES:
            raise TooLarge
    if rest.strip():
        yield rest
