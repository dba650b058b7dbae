"""Access tokens from a local stand-in of Google's token endpoint and metadata server, and calls that carry them."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport.port import HttpTransport
from runner.transport.secrets import Secrets, Trust
from runner.transport.tokens import Bearer, Tokens
from runner.transport.vertex import locate

if TYPE_CHECKING:
    from token_server import TokenServer

MakeRoute = Callable[..., Route]
MakeRequest = Callable[..., Request]
ENDPOINT = "/v1/publishers/google/models/g:generateContent"
USER = {
    "type": "authorized_user",
    "client_id": "client",
    "client_secret": "secret-of-client",
    "refresh_token": "refresh-me",
    "quota_project_id": "who-pays",
}


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    server: TokenServer = importlib.import_module("token_server").TokenServer().start()
    yield server
    server.stop()


class Rerouted(httpx.BaseTransport):
    """Google's token endpoint has a fixed address for user credentials: what goes there comes to this machine."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://oauth2.googleapis.com/token"
        return self._inner.handle_request(
            httpx.Request(request.method, f"http://{self._host}/token", headers=request.headers, content=request.read())
        )

    def close(self) -> None:
        self._inner.close()


def write(path: Path, value: Any) -> dict[str, str]:
    path.write_text(json.dumps(value), encoding="utf-8")
    return {"HOME": str(path.parent), "GOOGLE_APPLICATION_CREDENTIALS": str(path)}


def fetch(tokens: Tokens) -> Bearer:
    return asyncio.run(tokens.bearer())


def fail(tokens: Tokens) -> Failure:
    with pytest.raises(CallFailed) as caught:
        fetch(tokens)
    assert caught.value.requests == 0
    assert "secret-of-client" not in repr(caught.value.failure)
    return caught.value.failure


def test_a_service_account_signs_for_its_token(token_server: TokenServer, tmp_path: Path) -> None:
    bearer = fetch(Tokens(write(tmp_path / "c.json", token_server.service_account())))
    assert bearer.headers() == [("authorization", "Bearer token-1"), ("x-goog-user-project", "who-pays")]
    assert (token_server.asked, token_server.refused) == (["service account"], [])
    assert "token-1" not in repr(bearer)


def test_a_users_credentials_are_refreshed(token_server: TokenServer, tmp_path: Path) -> None:
    tokens = Tokens(write(tmp_path / "c.json", USER), inner=Rerouted(token_server.host))
    assert fetch(tokens).headers() == [("authorization", "Bearer token-1"), ("x-goog-user-project", "who-pays")]
    assert token_server.asked == ["user"]


def test_a_machine_of_google_cloud_asks_its_metadata_server(token_server: TokenServer, tmp_path: Path) -> None:
    tokens = Tokens({"HOME": str(tmp_path), "GCE_METADATA_HOST": token_server.host}, now=lambda: 1000.0)
    bearer = fetch(tokens)
    assert (bearer.headers(), bearer.until) == ([("authorization", "Bearer token-1")], 4600.0)
    assert token_server.asked == ["metadata"]


def test_a_ready_token_asks_nobody() -> None:
    assert fetch(Tokens({"GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.x"})).headers() == [("authorization", "Bearer ya29.x")]


def test_a_token_is_kept_until_shortly_before_its_end(token_server: TokenServer, tmp_path: Path) -> None:
    now = [1000.0]
    tokens = Tokens({"HOME": str(tmp_path), "GCE_METADATA_HOST": token_server.host}, now=lambda: now[0])
    first = fetch(tokens)
    now[0] = 4374.0
    assert fetch(tokens) is first
    now[0] = 4375.0
    assert fetch(tokens).secret.reveal() == "token-2"
    tokens.forget(first)
    assert fetch(tokens).secret.reveal() == "token-2"


def test_calls_at_once_fetch_one_token(token_server: TokenServer, tmp_path: Path) -> None:
    tokens = Tokens({"HOME": str(tmp_path), "GCE_METADATA_HOST": token_server.host})

    async def many() -> set[str]:
        return {bearer.secret.reveal() for bearer in await asyncio.gather(*(tokens.bearer() for _ in range(20)))}

    assert asyncio.run(many()) == {"token-1"}
    assert token_server.asked == ["metadata"]


def test_credentials_that_are_refused_are_told_without_a_secret(token_server: TokenServer, tmp_path: Path) -> None:
    tokens = Tokens(write(tmp_path / "c.json", {**USER, "refresh_token": "stale"}), inner=Rerouted(token_server.host))
    assert fail(tokens) == Failure(FailureKind.AUTH, "the credentials of Google Cloud were not taken (invalid_grant)")


def test_a_token_service_out_of_reach_is_tried_again_later(tmp_path: Path) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    tokens = Tokens(write(tmp_path / "c.json", USER), inner=httpx.MockTransport(refuse))
    assert fail(tokens) == Failure(FailureKind.TRANSIENT, "the service that gives access tokens cannot be reached")


@pytest.mark.parametrize("file", [{"type": "service_account"}, {"type": "authorized_user"}])
def test_a_damaged_file_is_told(tmp_path: Path, file: dict[str, str]) -> None:
    failure = fail(Tokens(write(tmp_path / "c.json", file)))
    assert failure == Failure(FailureKind.AUTH, "the credentials file of Google Cloud is damaged")


def test_a_file_that_went_away_during_the_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone.json"
    failure = fail(Tokens({"GOOGLE_APPLICATION_CREDENTIALS": str(path)}))
    assert failure == Failure(FailureKind.AUTH, f"the credentials file {path} does not exist")


@pytest.mark.parametrize("status", [200, 404])
def test_no_credentials_anywhere_says_what_to_do(tmp_path: Path, status: int) -> None:
    tokens = Tokens({"HOME": str(tmp_path)}, inner=httpx.MockTransport(lambda _: httpx.Response(status, content=b"{}")))
    assert fail(tokens) == Failure(
        FailureKind.AUTH,
        "no credentials of Google Cloud were found (gcloud auth application-default login, or export "
        "GOOGLE_APPLICATION_CREDENTIALS=PATH, or express mode: unset GOOGLE_CLOUD_PROJECT, export GOOGLE_API_KEY)",
    )


def failure_of(_request: Request, status: int, _headers: Mapping[str, str], body: bytes) -> Failure:
    return Failure(FailureKind.AUTH, f"{status} {body.decode()}")


def in_project(route: Route) -> Route:
    return replace(route, provider=locate(route.provider, {"GOOGLE_CLOUD_PROJECT": "shop"}))


def send(reply: Callable[[httpx.Request], httpx.Response], tokens: Tokens, route: Route, request: Request) -> bytes:
    async def once() -> bytes:
        http = HttpTransport(Secrets({}, Trust()), failure_of, inner=httpx.MockTransport(reply), tokens=lambda: tokens)
        try:
            return await http.send(route, request, timeout_s=5.0)
        finally:
            await http.aclose()

    return asyncio.run(once())


@pytest.fixture
def route(make_route: MakeRoute) -> Route:
    base = "https://aiplatform.googleapis.com"
    return in_project(make_route(name="vertex", dialect="vertex", base_url=base, is_builtin=True))


@pytest.fixture
def request_to_vertex(make_request: MakeRequest) -> Request:
    return make_request(dialect="vertex", endpoint=ENDPOINT, provider="vertex")


def test_a_call_carries_the_token_to_its_project(
    token_server: TokenServer, tmp_path: Path, route: Route, request_to_vertex: Request
) -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"{}")

    tokens = Tokens(write(tmp_path / "c.json", token_server.service_account()))
    assert send(reply, tokens, route, request_to_vertex) == b"{}"
    assert str(seen[0].url) == (
        "https://aiplatform.googleapis.com/v1/projects/shop/locations/global/publishers/google/models/g:generateContent"
    )
    assert seen[0].headers["authorization"] == "Bearer token-1"
    assert seen[0].headers["x-goog-user-project"] == "who-pays"
    assert "x-goog-api-key" not in seen[0].headers


def test_a_token_that_is_refused_is_fetched_anew_once(
    token_server: TokenServer, tmp_path: Path, route: Route, request_to_vertex: Request
) -> None:
    tokens = Tokens({"HOME": str(tmp_path), "GCE_METADATA_HOST": token_server.host})
    seen: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200 if "token-2" in seen[-1] else 401, content=b"{}")

    assert send(reply, tokens, route, request_to_vertex) == b"{}"
    assert seen == ["Bearer token-1", "Bearer token-2"]


def test_a_token_never_shows_in_a_failure(
    token_server: TokenServer, tmp_path: Path, route: Route, request_to_vertex: Request
) -> None:
    tokens = Tokens({"HOME": str(tmp_path), "GCE_METADATA_HOST": token_server.host})

    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, content=f"bad {request.headers['authorization']}".encode())

    with pytest.raises(CallFailed) as caught:
        send(reply, tokens, route, request_to_vertex)
    assert caught.value.failure.message == "401 bad Bearer ***"
    assert token_server.asked == ["metadata", "metadata"]


def test_the_credentials_library_is_imported_for_a_credentials_file_only() -> None:
    code = (
        "import sys, asyncio, runner.transport.port as port, runner.transport.tokens as tokens;"
        "asyncio.run(tokens.Tokens({'GOOGLE_OAUTH_ACCESS_TOKEN': 'x'}).bearer());"
        "print([name for name in sys.modules if name.startswith('google')])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
