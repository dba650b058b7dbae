"""The calls of batch interfaces over HTTP: addresses and keys as for any other call, files in and out as streams.

These calls are few, so that each may have a deadline of its own; none is tried again here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import IO, Any, Final

import httpx
import orjson

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.model import Provider
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.transport.secrets import Secret, Secrets, check_address, is_loopback, redact
from runner.transport.wire import Delivery, TooLarge, UnknownEncoding, read_body, read_error, translate

CONNECT_S: Final = 10.0
IDLE_S: Final = 60.0
CALL_S: Final = 120.0
UPLOAD_S: Final = 3600.0
MOST_BYTES: Final = 64 * 1024 * 1024
MOST_LINE_BYTES: Final = 64 * 1024 * 1024
_KEY_HEADERS: Final = {"gemini": "x-goog-api-key"}

FailureOf = Callable[[str, int, Mapping[str, str], bytes], Failure]
"""Dialect, status, headers and body of an answer that is no success → what it means."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete 200 answer; header names are in lower case."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Json:
        """The body as JSON. Raises CallFailed."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            text = "the batch interface answered with something that is not JSON"
            raise CallFailed(Failure(FailureKind.BAD_ANSWER, text, status=200)) from None


class BatchHttp:
    """Sends one call of a batch interface. `inner` replaces the network."""

    def __init__(self, secrets: Secrets, failure_of: FailureOf, *, inner: httpx.AsyncBaseTransport | None = None):
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
        delivery = Delivery(provider.name, timeout_s, is_sent=self._inner is not None)
        url, secret = self._address(provider, path), self._key(provider)
        sent: dict[str, Any] = {"content": content}
        if body is not None:
            sent = {"content": orjson.dumps(body)}
            headers = {"content-type": "application/json", **(headers or {})}
        elif form is not None:
            sent = {"data": form[0], "files": {"file": form[1]}}
        try:
            async with asyncio.timeout(timeout_s):
                client = self._client_for(url)
                message = client.build_request(
                    method,
                    url,
                    params=params or None,
                    headers=self._headers(provider, secret, headers or {}),
                    extensions={"trace": delivery.trace},
                    **sent,
                )
                response = await client.send(message, stream=True)
                delivery.is_sent = True
                try:
                    found = await self._read(response, provider)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise CallFailed(delivery.late()) from None
        except (httpx.HTTPError, httpx.InvalidURL, TooLarge, UnknownEncoding) as error:
            # `from None`: a chained exception could show a header, and with it the key.
            raise CallFailed(translate(error, delivery)) from None
        return found

    async def lines(
        self, provider: Provider, path: str, params: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """The lines of a file of any size. Raises CallFailed, also in the middle."""
        delivery = Delivery(provider.name, UPLOAD_S, is_sent=self._inner is not None)
        url, secret = self._address(provider, path), self._key(provider)
        client = self._client_for(url)
        message = client.build_request(
            "GET",
            url,
            params=params or None,
            headers=self._headers(provider, secret, {}),
            extensions={"trace": delivery.trace},
        )
        try:
            response = await client.send(message, stream=True)
            try:
                if response.status_code != 200:
                    await self._read(response, provider)
                async for line in _lines(response):
                    if secret is not None and secret.reveal().encode() in line:
                        text = f"an answer of '{provider.name}' repeats the API key, so it is not kept"
                        raise CallFailed(Failure(FailureKind.BAD_ANSWER, text, status=200))
                    yield line
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TooLarge, UnknownEncoding) as error:
            failure = translate(error, delivery)
            if failure.kind is FailureKind.UNKNOWN_DELIVERY:  # reading a file again costs nothing
                failure = Failure(
                    FailureKind.TRANSIENT, f"the connection to '{provider.name}' broke in a file of answers"
                )
            raise CallFailed(failure) from None

    async def aclose(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    async def _read(self, response: httpx.Response, provider: Provider) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if response.status_code == 200:
            return Reply(headers, await read_body(response, limit=MOST_BYTES, idle_s=IDLE_S))
        body = await read_error(response, limit=1024 * 1024, idle_s=IDLE_S)
        failure = self._failure_of(provider.dialect, response.status_code, headers, body)
        message = redact(failure.message, self._secrets.known(provider))
        raise CallFailed(replace(failure, message=message, status=failure.status or response.status_code))

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
        problem = check_address(provider)
        if problem is not None:
            raise CallFailed(Failure(FailureKind.BAD_REQUEST, problem.message), requests=0)
        base = httpx.URL(provider.base_url)
        url = httpx.URL(path if path.startswith(("http://", "https://")) else provider.base_url.rstrip("/") + path)
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
        """No proxy is for this machine, and no redirect is followed: the key is meant for the configured host."""
        is_local = is_loopback(url.host)
        if is_local not in self._clients:
            direct = dict.fromkeys(("all://", "http://", "https://")) if is_local and self._inner is None else None
            self._clients[is_local] = httpx.AsyncClient(
                transport=self._inner,
                mounts=direct,
                follow_redirects=False,
                timeout=httpx.Timeout(connect=CONNECT_S, read=IDLE_S, write=IDLE_S, pool=None),
            )
        return self._clients[is_local]


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
