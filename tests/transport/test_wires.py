"""The contract of the HTTP clients behind the port, over real sockets: every one must keep it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import httpx
import pytest
import uvloop

from runner.core.long_text import LongText, Stretch, spell
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport import connection, network, port, wire_aiohttp, wire_httpx
from runner.transport.port import HttpTransport
from runner.transport.secrets import Secrets, Trust
from runner.transport.wire import Delivery, TooLarge, UnknownEncoding, Wire
from runner.transport.wire_aiohttp import AiohttpWire
from runner.transport.wire_direct import DirectWire
from runner.transport.wire_httpx import HttpxWire

MakeRoute = Callable[..., Route]
MakeRequest = Callable[..., Request]
MakeTransport = Callable[[], HttpTransport]
StartServer = Callable[[bytes], int]

CANARY = "sk-canary-1234567890"
ENVIRON = {"HOME": "/home/me", "BOX_KEY": CANARY}
OK = b"HTTP/1.1 200 OK\r\n"


def failure_of(_request: Request, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """A dialect that shows all it is given."""
    return Failure(FailureKind.TRANSIENT, f"{status} {headers.get('retry-after', '-')} {body.decode()}")


WIRES: dict[str, Any] = {
    "direct": DirectWire,
    "direct in uvloop": DirectWire,
    "aiohttp": AiohttpWire,
    "httpx": HttpxWire,
}


@pytest.fixture(params=WIRES)
def transport(request: pytest.FixtureRequest) -> Iterator[MakeTransport]:
    def make_wire(is_local: bool) -> Wire:
        made: Wire = WIRES[request.param](is_local=is_local)
        return made

    if request.param.endswith("uvloop"):
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield lambda: HttpTransport(Secrets(ENVIRON, Trust()), failure_of, wire_of=make_wire)
    asyncio.set_event_loop_policy(None)


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
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


def read_request(sock: socket.socket) -> None:
    """All of it: closing on unread bytes would reset the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part or part.startswith(b"\x16"):  # the other side left, or speaks TLS
            return
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += sock.recv(65536)


@pytest.fixture
def raw_server() -> Iterator[Callable[[bytes], int]]:
    """A server that reads a request, writes these bytes and hangs up; gives its port."""
    listeners: list[socket.socket] = []

    def start(reply: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(5)
                with contextlib.suppress(OSError):
                    read_request(sock)
                    sock.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def test_over_a_real_socket_connections_are_reused_and_many_run_at_once(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, counting_server: Any
) -> None:
    server = counting_server()
    route = make_route(base_url=server.chat_url)

    async def run() -> list[bytes]:
        http = transport()
        for _ in range(3):
            await http.send(route, make_request(), timeout_s=30)
        reused = server.connections
        answers = await asyncio.gather(*(http.send(route, make_request(str(n)), timeout_s=30) for n in range(64)))
        await http.aclose()
        assert reused == 1
        return answers

    answers = asyncio.run(run())
    assert (len(answers), server.count, server.requests[0].headers["authorization"]) == (64, 67, f"Bearer {CANARY}")


def test_a_body_in_pieces_arrives_as_the_one_that_it_is(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, counting_server: Any
) -> None:
    server = counting_server()
    text = "Die Straße führte zum Meer.\n" * 50_000
    body = spell({"model": "m", "messages": [{"role": "user", "content": LongText((Stretch(text, 0, len(text)),))}]})
    request = replace(make_request(), body=body)
    assert send(transport(), make_route(base_url=server.chat_url), request)
    assert server.requests[0].prompt == text
    assert server.requests[0].headers["content-length"] == str(len(bytes(body)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_a_local_server_is_reached_past_a_proxy(
    make_route: MakeRoute,
    make_request: MakeRequest,
    transport: MakeTransport,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    ports: list[int] = []

    def connect(_sock: socket.socket, address: Any) -> None:
        ports.append(address[1])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    fail(transport(), make_route(base_url=f"http://{host}:7/v1"), make_request())
    assert set(ports) == {7}
    fail(transport(), make_route(base_url="https://box.example:7/v1", key_env=""), make_request())
    assert ports[-1] == 1


def test_a_refused_connection_was_not_sent(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        failure = fail(transport(), make_route(base_url=url), make_request()).failure
    assert failure == Failure(FailureKind.TRANSIENT, "'box' refuses connections; is it running?")


def test_an_unknown_host_was_not_sent(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    async def look_up_in_loop(*_: Any, **__: Any) -> Any:
        look_up()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", look_up_in_loop)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    route = make_route(base_url="https://no-such-host.example", key_env="")
    assert fail(transport(), route, make_request()).failure == Failure(
        FailureKind.TRANSIENT, "the host of 'box' cannot be found; is the network up?"
    )


def test_https_to_a_plain_server_is_said(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, raw_server: Callable[[bytes], int]
) -> None:
    url = f"https://127.0.0.1:{raw_server(b'HTTP/1.1 400 no' + bytes(100))}/v1"
    assert fail(transport(), make_route(base_url=url), make_request()).failure == Failure(
        FailureKind.BAD_ANSWER, "no safe connection to 'box': the TLS handshake failed; does it speak https?"
    )


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", b"HTTP/1.1 200", b"220 smtp ready\r\n\r\n"]
)
def test_a_connection_closed_too_early_may_have_been_paid(
    make_route: MakeRoute,
    make_request: MakeRequest,
    transport: MakeTransport,
    raw_server: Callable[[bytes], int],
    reply: bytes,
) -> None:
    url = f"http://127.0.0.1:{raw_server(reply)}/v1"
    assert fail(transport(), make_route(base_url=url), make_request()).failure == Failure(
        FailureKind.UNKNOWN_DELIVERY,
        "'box' closed the connection before the answer was complete; it may have been paid",
    )


def test_an_answer_cut_at_any_byte_is_whole_or_a_failure(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, raw_server: Callable[[bytes], int]
) -> None:
    whole = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok": true'

    async def run() -> list[object]:
        http = transport()
        results: list[object] = []
        for end in range(len(whole) + 1):
            route = make_route(base_url=f"http://127.0.0.1:{raw_server(whole[:end])}/v1")
            try:
                results.append(await http.send(route, make_request(), timeout_s=5))
            except CallFailed as failed:
                results.append(failed.failure.kind)
        await http.aclose()
        return results

    assert asyncio.run(run()) == [*[FailureKind.UNKNOWN_DELIVERY] * len(whole), b'{"ok": true']


def test_a_deadline_while_connecting_means_that_nothing_was_sent(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport
) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # nobody accepts: the queue is full, and further connections are not answered
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(full.getsockname())
        route = make_route(base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1")
        failure = fail(transport(), route, make_request(), timeout_s=0.1).failure
    assert failure == Failure(FailureKind.TRANSIENT, "no connection to 'box' within 0.1 s")


def test_silence_after_sending_may_have_been_paid(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        route = make_route(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        failure = fail(transport(), route, make_request(), timeout_s=1.5).failure
    assert failure == Failure(
        FailureKind.UNKNOWN_DELIVERY, "'box' did not answer in full within 1.5 s; it may have been paid"
    )


# httpx leaves the socket of a failed write to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_large_request_that_nobody_reads_is_given_up(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (connection, wire_aiohttp, wire_httpx):
        monkeypatch.setattr(module, "WRITE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        route = make_route(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        failure = fail(transport(), route, make_request("x" * 20_000_000), timeout_s=20).failure
    assert failure == Failure(FailureKind.UNKNOWN_DELIVERY, "'box' stopped reading the request; it may have been paid")
    gc.collect()


def test_a_large_request_arrives_whole(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, counting_server: Any
) -> None:
    server = counting_server()
    request = make_request("x" * 3_000_000)
    send(transport(), make_route(base_url=server.chat_url), request, timeout_s=30)
    assert server.requests[0].body == json.loads(bytes(request.body))


def test_the_head_says_who_asks_and_what_may_come_back_and_no_more(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, counting_server: Any
) -> None:
    server = counting_server()
    send(transport(), make_route(base_url=server.chat_url), make_request(headers=(("x-version", "2"),)), 30)
    headers = {name.lower(): value for name, value in server.requests[0].headers.items() if name}
    assert headers.pop("host").startswith("127.0.0.1:")
    assert headers.pop("connection", "keep-alive") == "keep-alive"
    assert headers == {
        "content-type": "application/json",
        "content-length": str(len(make_request().body)),
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": "runner",
        "x-version": "2",
        "authorization": f"Bearer {CANARY}",
    }


def test_no_credentials_are_taken_from_the_users_netrc(
    make_route: MakeRoute,
    make_request: MakeRequest,
    transport: MakeTransport,
    counting_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = counting_server()
    send(transport(), make_route(base_url=server.chat_url), make_request(), 30)
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (OK + b"content-length: 2\r\n\r\n{}", b"{}"),
        (OK + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"{}"),
        (OK + b"connection: close\r\n\r\n{}", b"{}"),
        (OK + b"content-length: 0\r\n\r\n", b""),
        (OK + b"content-type: text/html\r\ncontent-length: 6\r\n\r\n<html>", b"<html>"),
    ],
)
def test_an_answer_is_read_however_its_end_is_told(
    make_route: MakeRoute,
    make_request: MakeRequest,
    transport: MakeTransport,
    raw_server: StartServer,
    reply: bytes,
    answer: bytes,
) -> None:
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(reply)}/v1")
    assert send(transport(), route, make_request()) == answer


def _packed(body: bytes, encoding: bytes = b"gzip", status: bytes = OK) -> bytes:
    head = b"content-encoding: " + encoding + b"\r\ncontent-length: %d\r\n\r\n" % len(body)
    return status + head + body


def test_a_compressed_answer_is_inflated(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, raw_server: StartServer
) -> None:
    text = b'{"text": "long"}' * 100_000
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(_packed(gzip.compress(text)))}/v1")
    assert send(transport(), route, make_request()) == text


@pytest.mark.parametrize(("encoding", "body"), [(b"br", b"whatever"), (b"gzip", b"this is no gzip")])
def test_an_answer_that_cannot_be_inflated_is_said(
    make_route: MakeRoute,
    make_request: MakeRequest,
    transport: MakeTransport,
    raw_server: StartServer,
    encoding: bytes,
    body: bytes,
) -> None:
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(_packed(body, encoding))}/v1")
    assert fail(transport(), route, make_request()).failure == Failure(
        FailureKind.BAD_ANSWER, "the answer of 'box' is compressed in a way that cannot be read"
    )
    error = _packed(body, encoding, b"HTTP/1.1 500 Oh\r\nretry-after: 7\r\n")
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(error)}/v1")
    assert fail(transport(), route, make_request()).failure.message == "500 7 "


@pytest.mark.parametrize("reply", [b"0" * 1001, gzip.compress(b"0" * 10_000_000)])
def test_a_body_over_the_limit_is_refused(
    make_route: MakeRoute,
    make_request: MakeRequest,
    transport: MakeTransport,
    raw_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    reply: bytes,
) -> None:
    monkeypatch.setattr(port, "MAX_BYTES", 1000)
    packed = _packed(reply, b"gzip" if reply.startswith(b"\x1f") else b"identity")
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(packed)}/v1")
    assert fail(transport(), route, make_request()).failure == Failure(
        FailureKind.BAD_ANSWER, "the answer of 'box' is larger than any answer should be"
    )


def test_a_long_error_is_cut(
    make_route: MakeRoute,
    make_request: MakeRequest,
    transport: MakeTransport,
    raw_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port, "MAX_ERROR_BYTES", 10)
    reply = b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\n" + b"x" * 100
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(reply)}/v1")
    assert fail(transport(), route, make_request()).failure.message == f"500 - {'x' * 10}"


def test_a_redirect_is_not_followed(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, raw_server: StartServer
) -> None:
    reply = b"HTTP/1.1 307 Gone\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(reply)}/v1")
    assert fail(transport(), route, make_request()).failure.message == (
        "'box' redirects to 127.0.0.1, which is not followed; check base_url"
    )


def test_an_answer_that_stops_in_the_middle_is_given_up(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "IDLE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def begin() -> None:
            with listener.accept()[0] as sock:
                read_request(sock)
                sock.sendall(OK + b"content-length: 10\r\n\r\n{")
                sock.recv(1)  # until the other side gives up

        thread = threading.Thread(target=begin, daemon=True)
        thread.start()
        route = make_route(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        failure = fail(transport(), route, make_request()).failure
        thread.join(5)
    assert failure == Failure(
        FailureKind.UNKNOWN_DELIVERY, "'box' stopped in the middle of its answer; it may have been paid"
    )


def test_a_key_that_no_header_can_carry_is_said_without_showing_it(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, raw_server: StartServer
) -> None:
    route = make_route(base_url=f"http://127.0.0.1:{raw_server(OK)}/v1")
    failure = fail(transport(), route, make_request(headers=(("x-note", f"a\r\nb: {CANARY}"),))).failure
    assert failure == Failure(FailureKind.BAD_REQUEST, "the request to 'box' cannot be written as HTTP")


def test_a_proxy_that_refuses_is_said(
    make_route: MakeRoute, make_request: MakeRequest, transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port_number = unused.getsockname()[1]
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"127.0.0.1:{port_number}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        failure = fail(transport(), make_route(base_url="https://box.example", key_env=""), make_request()).failure
    assert failure.kind is FailureKind.TRANSIENT
    assert failure.message in {
        "the proxy on the way to 'box' refused the connection",
        "'box' refuses connections; is it running?",
    }


@pytest.fixture
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.usefixtures("no_proxy_variables")
def test_the_environment_names_a_proxy_for_other_hosts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    find = network.proxy_of
    assert find("https://box.example/v1") == ""
    monkeypatch.setenv("ALL_PROXY", "http://all.example:1")
    assert find("https://box.example/v1") == "http://all.example:1"
    monkeypatch.setenv("HTTPS_PROXY", "secure.example:2")
    assert find("https://box.example/v1") == "http://secure.example:2"
    monkeypatch.setenv("NO_PROXY", "box.example")
    assert find("https://box.example/v1") == ""


@pytest.mark.usefixtures("no_proxy_variables")
def test_a_proxy_of_another_kind_is_said(
    make_route: MakeRoute, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    http = HttpTransport(Secrets(ENVIRON, Trust()), failure_of)
    assert fail(http, make_route(base_url="https://box.example", key_env=""), make_request()).failure == Failure(
        FailureKind.BAD_REQUEST, "the proxy on the way to 'box' must be an http one, not 'socks5'"
    )


def test_certificates_are_those_of_the_environment_or_of_the_usual_list(monkeypatch: pytest.MonkeyPatch) -> None:
    import certifi

    made: list[tuple[object, object]] = []

    def make(*, cafile: object, capath: object) -> None:
        made.append((cafile, capath))

    monkeypatch.setattr(ssl, "create_default_context", make)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    network.certificates.__wrapped__()
    monkeypatch.setenv("SSL_CERT_FILE", "mine.pem")
    network.certificates.__wrapped__()
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", "certificates")
    network.certificates.__wrapped__()
    assert made == [(certifi.where(), None), ("mine.pem", None), (None, "certificates")]


UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "asked_for"),
    [
        (256, 4096, [(4096, 4096)]),
        (1024, 1_000_000, [(10_240, 1_000_000)]),
        (256, UNLIMITED, [(10_240, UNLIMITED)]),
        (20_000, 20_000, []),
        (UNLIMITED, UNLIMITED, []),
    ],
)
def test_more_open_files_are_asked_for_than_systems_allow_at_first(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, asked_for: list[tuple[int, int]]
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    network.allow_many_connections()
    assert asked == asked_for


def _caused_by(cause: BaseException) -> httpx.ConnectError:
    error = httpx.ConnectError("all attempts failed")
    error.__context__ = cause
    return error


CERTIFICATE = ssl.SSLCertVerificationError()
CERTIFICATE.verify_message = "self-signed certificate."
KEY = aiohttp.client_reqrep.ConnectionKey("box", 443, True, True, None, None, None)
UNACCEPTED = Failure(
    FailureKind.BAD_ANSWER,
    "no safe connection to 'box': its certificate is not accepted (self-signed certificate)",
)
SLOW = Failure(FailureKind.TRANSIENT, "no connection to 'box' within 10 s")
NO_WAY = Failure(FailureKind.TRANSIENT, "no connection to 'box'")
PROXY = Failure(FailureKind.TRANSIENT, "the proxy on the way to 'box' refused the connection")
UNWRITABLE = Failure(FailureKind.BAD_REQUEST, "the request to 'box' cannot be written as HTTP")
UNREAD = Failure(FailureKind.UNKNOWN_DELIVERY, "'box' stopped reading the request; it may have been paid")
BROKEN = Failure(FailureKind.UNKNOWN_DELIVERY, "the connection to 'box' broke; it may have been paid")
TOO_LARGE = Failure(FailureKind.BAD_ANSWER, "the answer of 'box' is larger than any answer should be")
UNREADABLE = Failure(FailureKind.BAD_ANSWER, "the answer of 'box' is compressed in a way that cannot be read")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (httpx.ConnectTimeout("x"), SLOW),
        (_caused_by(OSError("no route")), NO_WAY),
        (_caused_by(CERTIFICATE), UNACCEPTED),
        (httpx.ProxyError(CANARY), PROXY),
        (httpx.LocalProtocolError(f"Illegal header value {CANARY}"), UNWRITABLE),
        (httpx.WriteTimeout("x"), UNREAD),
        (httpx.ReadError("reset"), BROKEN),
        (TooLarge(), TOO_LARGE),
        (UnknownEncoding(), UNREADABLE),
    ],
)
def test_every_exception_of_httpx_has_its_kind_and_its_words(error: Exception, failure: Failure) -> None:
    assert wire_httpx.translate(error, Delivery("box", 60)) == failure


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (aiohttp.ConnectionTimeoutError("x"), SLOW),
        (aiohttp.ClientConnectorError(KEY, OSError("no route")), NO_WAY),
        (aiohttp.ClientConnectorCertificateError(KEY, CERTIFICATE), UNACCEPTED),
        (aiohttp.ClientProxyConnectionError(KEY, OSError(CANARY)), PROXY),
        (aiohttp.ClientHttpProxyError(None, (), status=407, message=CANARY), PROXY),  # type: ignore[arg-type]
        (aiohttp.InvalidURL("x"), UNWRITABLE),
        (ValueError(f"Illegal header value {CANARY}"), UNWRITABLE),
        (TimeoutError(), UNREAD),
        (aiohttp.ClientOSError(104, "reset"), BROKEN),
        (TooLarge(), TOO_LARGE),
        (UnknownEncoding(), UNREADABLE),
    ],
)
def test_every_exception_of_aiohttp_has_its_kind_and_its_words(error: Exception, failure: Failure) -> None:
    assert wire_aiohttp.translate(error, Delivery("box", 60)) == failure
