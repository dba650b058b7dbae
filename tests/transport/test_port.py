"""Requests over HTTP: what is sent, what may come back, and how each failure is called."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

import httpx
import pytest

from runner.core.beside import Headers, listen
from runner.core.model import ModelFacts, Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport import port
from runner.transport.port import HttpTransport
from runner.transport.secrets import Secrets, Trust

MakeRoute = Callable[..., Route]
MakeRequest = Callable[..., Request]
Reply = Callable[[httpx.Request], httpx.Response]

CANARY = "sk-canary-1234567890"
ENVIRON = {"HOME": "/home/me", "BOX_KEY": CANARY, "GEMINI_API_KEY": CANARY}


def failure_of(_request: Request, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """A dialect that shows all it is given."""
    return Failure(FailureKind.TRANSIENT, f"{status} {headers.get('retry-after', '-')} {body.decode()}")


def transport(reply: Reply | None = None, environ: Mapping[str, str] = ENVIRON) -> HttpTransport:
    inner = httpx.MockTransport(reply) if reply else None
    return HttpTransport(Secrets(environ, Trust()), failure_of, inner=inner)


async def send_once(http: HttpTransport, route: Route, request: Request, timeout_s: float) -> bytes:
    try:
        return await http.send(route, request, timeout_s=timeout_s)
    finally:
        await http.aclose()


def send(http: HttpTransport, route: Route, request: Request, timeout_s: float = 5.0) -> bytes:
    return asyncio.run(send_once(http, route, request, timeout_s))


def fail(http: HttpTransport, route: Route, request: Request, timeout_s: float = 5.0) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        send(http, route, request, timeout_s)
    assert CANARY not in repr(caught.value.failure)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_chat_request_carries_its_body_and_a_bearer_key(make_route: MakeRoute, make_request: MakeRequest) -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b'{"fine": 1}')

    request = make_request(headers=(("x-version", "2"),))
    assert send(transport(reply), make_route(base_url="http://127.0.0.1:9/v1/"), request) == b'{"fine": 1}'
    assert (seen[0].method, str(seen[0].url), seen[0].content) == (
        "POST",
        "http://127.0.0.1:9/v1/chat/completions",
        request.body,
    )
    names = ("authorization", "content-type", "accept-encoding", "x-version", "x-goog-api-key", "cookie")
    assert [seen[0].headers.get(name) for name in names] == [
        f"Bearer {CANARY}",
        "application/json",
        "gzip",
        "2",
        None,
        None,
    ]


def test_a_gemini_request_carries_its_key_in_its_own_header(make_route: MakeRoute, make_request: MakeRequest) -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"{}")

    base = "https://generativelanguage.googleapis.com"
    route = make_route(dialect="gemini", base_url=base, key_env="GEMINI_API_KEY")
    send(transport(reply), route, make_request(dialect="gemini", endpoint="/v1beta/models/g:generateContent"))
    assert (seen[0].headers["x-goog-api-key"], "authorization" in seen[0].headers) == (CANARY, False)
    assert CANARY not in str(seen[0].url)


@pytest.mark.parametrize(
    ("dialect", "header", "said"),
    [
        ("anthropic", "x-api-key", CANARY),
        ("vertex", "x-goog-api-key", CANARY),
        ("openai-responses", "authorization", f"Bearer {CANARY}"),
    ],
)
def test_every_dialect_carries_its_key_in_one_header(
    make_route: MakeRoute, make_request: MakeRequest, dialect: str, header: str, said: str
) -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"{}")

    send(transport(reply), make_route(dialect=dialect), make_request(dialect=dialect))
    assert [name for name, value in seen[0].headers.items() if CANARY in value] == [header]
    assert seen[0].headers[header] == said


def test_the_environment_names_the_organisation_and_the_project(
    make_route: MakeRoute, make_request: MakeRequest
) -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"{}")

    route = make_route(header_env=(("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")))
    send(transport(reply, {**ENVIRON, "OPENAI_ORG_ID": "org-1"}), route, make_request())
    send(transport(reply, ENVIRON), make_route(), make_request())
    assert [request.headers.get("openai-organization") for request in seen] == ["org-1", None]
    assert "openai-project" not in seen[0].headers


def test_a_provider_without_a_key_gets_none(make_route: MakeRoute, make_request: MakeRequest) -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"no key" if "authorization" not in request.headers else b"key")

    assert send(transport(reply, {}), make_route(key_env=""), make_request()) == b"no key"


def test_a_status_other_than_200_is_the_dialects_to_read(make_route: MakeRoute, make_request: MakeRequest) -> None:
    def reply(_: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "7"}, content=f"slow down, {CANARY}".encode())

    assert fail(transport(reply), make_route(), make_request()).failure == Failure(
        FailureKind.TRANSIENT, "429 7 slow down, ***", status=429
    )


def test_an_answer_that_repeats_the_key_is_not_kept(make_route: MakeRoute, make_request: MakeRequest) -> None:
    failed = fail(
        transport(lambda _: httpx.Response(200, content=f"you said {CANARY}".encode())), make_route(), make_request()
    )
    assert failed.failure == Failure(
        FailureKind.BAD_ANSWER, "the answer of 'box' repeats the API key, so it is not kept", status=200
    )


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://evil.example/x?token=1#y", "evil.example"),
        ("/login", "another path"),
        ("", "another path"),
    ],
)
def test_a_redirect_is_not_followed(
    make_route: MakeRoute, make_request: MakeRequest, location: str, target: str
) -> None:
    seen: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(307, headers={"location": location})

    failed = fail(transport(reply), make_route(), make_request())
    assert failed.failure == Failure(
        FailureKind.BAD_ANSWER, f"'box' redirects to {target}, which is not followed; check base_url", status=307
    )
    assert len(seen) == 1


def test_cookies_are_not_kept(make_route: MakeRoute, make_request: MakeRequest) -> None:
    cookies: list[str | None] = []

    def reply(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "who=me; Path=/"}, content=b"{}")

    async def run() -> None:
        http = transport(reply)
        for _ in range(2):
            await http.send(make_route(), make_request(), timeout_s=5)
        await http.aclose()

    asyncio.run(run())
    assert cookies == [None, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"base_url": "http://box.example/v1", "key_env": ""},
            "provider 'box' would send prompts to box.example without encryption",
        ),
        ({"base_url": "box.example"}, "provider 'box' has no usable base_url"),
    ],
)
def test_nothing_is_sent_to_an_unsafe_address(
    make_route: MakeRoute, make_request: MakeRequest, changes: dict[str, str], message: str
) -> None:
    failed = fail(transport(_never), make_route(**changes), make_request())
    assert (failed.failure, failed.requests) == (Failure(FailureKind.BAD_REQUEST, message), 0)


@pytest.mark.parametrize("endpoint", ["@evil.example/x", ".evil.example/x", "chat", ":80/x", "/\x00"])
def test_an_endpoint_cannot_change_the_host(make_route: MakeRoute, make_request: MakeRequest, endpoint: str) -> None:
    route = make_route(base_url="https://box.example", key_env="")
    failed = fail(transport(_never), route, make_request(endpoint=endpoint))
    assert failed.failure.message == "the model's name and the base_url of 'box' do not make a valid address"
    assert failed.requests == 0


def test_a_key_that_is_not_allowed_stops_the_call(make_route: MakeRoute, make_request: MakeRequest) -> None:
    failed = fail(transport(_never, {}), make_route(), make_request())
    assert (failed.failure, failed.requests) == (
        Failure(
            FailureKind.AUTH,
            "provider 'box' needs a key in the environment variable BOX_KEY, which is not set "
            "(export BOX_KEY=YOUR_KEY)",
        ),
        0,
    )


def test_a_compressed_answer_is_inflated(make_route: MakeRoute, make_request: MakeRequest) -> None:
    packed = gzip.compress(b'{"text": "long"}' * 1000)
    reply = _streaming(packed, {"content-encoding": "gzip"})
    assert send(transport(reply), make_route(), make_request()) == b'{"text": "long"}' * 1000


@pytest.mark.parametrize(("status", "kind"), [(200, FailureKind.BAD_ANSWER), (500, FailureKind.TRANSIENT)])
@pytest.mark.parametrize(
    ("encoding", "body"), [("br", b"whatever"), ("gzip", b"this is no gzip"), ("gzip, gzip", b"twice")]
)
def test_an_answer_that_cannot_be_inflated_is_said_unless_the_status_says_more(
    make_route: MakeRoute, make_request: MakeRequest, status: int, kind: FailureKind, encoding: str, body: bytes
) -> None:
    reply = _streaming(body, {"content-encoding": encoding}, status)
    failure = fail(transport(reply), make_route(), make_request()).failure
    said = "the answer of 'box' is compressed in a way that cannot be read" if status == 200 else "500 - "
    assert (failure.kind, failure.message) == (kind, said)


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_over_the_limit_is_refused_while_it_is_read(
    make_route: MakeRoute, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    monkeypatch.setattr(port, "MAX_BYTES", 1000)
    body = gzip.compress(b"0" * 10_000_000) if is_packed else b"0" * 1001
    reply = _streaming(body, {"content-encoding": "gzip"} if is_packed else {})
    failure = fail(transport(reply), make_route(), make_request()).failure
    assert failure == Failure(FailureKind.BAD_ANSWER, "the answer of 'box' is larger than any answer should be")


def test_a_body_at_the_limit_is_taken(
    make_route: MakeRoute, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "MAX_BYTES", 1000)
    packed = gzip.compress(b"0" * 1000)
    assert len(send(transport(_streaming(packed, {"content-encoding": "gzip"})), make_route(), make_request())) == 1000
    assert len(send(transport(_streaming(b"0" * 1000, {})), make_route(), make_request())) == 1000


def test_a_long_error_is_cut(make_route: MakeRoute, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "MAX_ERROR_BYTES", 10)
    failed = fail(transport(_streaming(b"x" * 100, {}, 500)), make_route(), make_request())
    assert failed.failure.message == f"500 - {'x' * 10}"


def test_silence_ends_with_the_deadline_and_may_have_been_paid(
    make_route: MakeRoute, make_request: MakeRequest
) -> None:
    async def silent(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    http = HttpTransport(Secrets(ENVIRON, Trust()), failure_of, inner=httpx.MockTransport(silent))
    assert fail(http, make_route(), make_request(), timeout_s=0.01).failure == Failure(
        FailureKind.UNKNOWN_DELIVERY, "'box' did not answer in full within 0.01 s; it may have been paid"
    )


def test_an_answer_that_stops_in_the_middle_is_given_up(
    make_route: MakeRoute, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "IDLE_S", 0.01)

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    failed = fail(transport(lambda _: httpx.Response(200, content=body())), make_route(), make_request())
    assert failed.failure == Failure(
        FailureKind.UNKNOWN_DELIVERY, "'box' stopped in the middle of its answer; it may have been paid"
    )


def test_a_client_is_made_anew_for_another_loop(make_route: MakeRoute, make_request: MakeRequest) -> None:
    http = transport(lambda _: httpx.Response(200, content=b"{}"))
    for _ in range(2):
        assert asyncio.run(http.send(make_route(), make_request(), timeout_s=30))
    asyncio.run(http.aclose())
    asyncio.run(http.aclose())


def _never(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nothing should have been sent to {request.url}")


def _streaming(body: bytes, headers: Mapping[str, str], status: int = 200) -> Reply:
    """The body in pieces, as it comes from a wire."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 50):
            yield body[start : start + 50]

    return lambda _: httpx.Response(status, headers=dict(headers), content=pieces())


def test_the_limits_are_those_that_are_documented() -> None:
    assert (port.CONNECT_S, port.WRITE_S, port.IDLE_S, port.MAX_BYTES) == (10, 30, 60, 64 * 2**20)


def test_what_was_not_found_is_named_with_its_model_and_an_own_address() -> None:
    def not_found(_request: Request, status: int, _headers: Mapping[str, str], _body: bytes) -> Failure:
        return Failure(FailureKind.NOT_FOUND, f"the provider answered {status}: not found")

    inner = httpx.MockTransport(lambda _: httpx.Response(404))
    own = Provider("box", "openai-chat", "http://127.0.0.1:8931/v1", identity="box")
    for provider, asked in (
        (own, "model 'm' at 127.0.0.1:8931/v1/chat/completions"),
        (replace(own, is_builtin=True), "model 'm'"),
    ):
        route = Route("box/m", provider, "m", ModelFacts("box", "m"))
        request = Request("openai-chat", 1, "box", "/chat/completions", b"{}")
        failure = fail(HttpTransport(Secrets({}, Trust()), not_found, inner=inner), route, request).failure
        assert failure.message == f"the provider answered 404: not found ({asked})"


def test_what_a_provider_says_of_its_limits_beside_a_good_answer_is_told_to_who_asked(
    make_route: MakeRoute, make_request: MakeRequest
) -> None:
    answers = iter(
        [
            httpx.Response(200, content=b"{}", headers={"anthropic-ratelimit-tokens-limit": "9"}),
            httpx.Response(200, content=b"{}", headers={"X-RateLimit-Limit-Requests": "5", "Date": "now", "X-Id": "7"}),
            httpx.Response(200, content=b"{}", headers={"retry-after": "1", "server": "box"}),
            httpx.Response(200, content=b"{}", headers={"date": "now", "set-cookie": "a=b"}),
            httpx.Response(429, content=b"{}", headers={"x-ratelimit-limit-requests": "5"}),
        ]
    )

    async def ask() -> list[Headers]:
        http = transport(lambda _: next(answers))
        await http.send(make_route(), make_request(), timeout_s=5)  # nobody listens yet
        heard = listen()
        for _ in range(3):
            await http.send(make_route(), make_request(), timeout_s=5)
        with pytest.raises(CallFailed):
            await http.send(make_route(), make_request(), timeout_s=5)
        await http.aclose()
        return heard

    assert asyncio.run(ask()) == [
        {"x-ratelimit-limit-requests": "5", "date": "now"},
        {"retry-after": "1", "date": ""},
    ]
