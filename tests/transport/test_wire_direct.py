"""Our own client: its connections, and what is not in the contract of all clients."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
import uvloop

from runner.core.outcome import Failure, FailureKind
from runner.transport import network, wire_direct
from runner.transport.connection import Connection
from runner.transport.wire import Bounds, Delivery, Reply, WireFailed
from runner.transport.wire_direct import DirectWire, connect

T = TypeVar("T")
Serve = Callable[[socket.socket], object]
Start = Callable[..., int]

BOUNDS = Bounds(1000, 1000, 5.0)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
HEADERS = [("content-type", "application/json")]
BROKEN = "the connection to 'box' broke; it may have been paid"
CLOSED = "'box' closed the connection before the answer was complete; it may have been paid"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    def inside(main: Coroutine[Any, Any, T]) -> T:
        factory = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main)

    return inside


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server whose connections are each given to the next function; gives its port."""
    listeners: list[socket.socket] = []

    def begin(*serving: Serve) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            for serve in serving:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=work, args=(serve, sock), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    def work(serve: Serve, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            serve(sock)

    yield begin
    for listener in listeners:
        listener.close()


def read_one(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"}"):
        part = sock.recv(65536)
        if not part:
            raise OSError
        data += part
    return data


def answer(times: int = 1, reply: bytes = OK) -> Serve:
    def serve(sock: socket.socket) -> None:
        for _ in range(times):
            read_one(sock)
            sock.sendall(reply)

    return serve


async def post(wire: DirectWire, port: int, body: bytes = b"{}", path: str = "/v1", bounds: Bounds = BOUNDS) -> Reply:
    return await wire.post(f"http://127.0.0.1:{port}{path}", HEADERS, body, Delivery("box", 60), bounds)


async def failed(awaitable: Awaitable[object]) -> Failure:
    with pytest.raises(WireFailed) as caught:
        await awaitable
    return caught.value.failure


def test_a_request_is_written_as_it_is_meant(run: Any, start: Start) -> None:
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        seen.append(read_one(sock))
        sock.sendall(OK)

    async def ask() -> Reply:
        wire = DirectWire(is_local=True)
        reply = await post(wire, port, path="/v1/chat?alt=json&x=%20#no")
        await wire.aclose()
        return reply

    port = start(serve)
    assert run(ask()).body == b"{}"
    head = f"POST /v1/chat?alt=json&x=%20 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    assert seen == [head.encode() + b"content-length: 2\r\n\r\n{}"]


@pytest.mark.parametrize(
    ("url", "lines"),
    [
        ("http://box.example", "POST / HTTP/1.1\r\nhost: box.example"),
        ("http://box.example:80/a", "POST /a HTTP/1.1\r\nhost: box.example"),
        ("https://box.example:443/a", "POST /a HTTP/1.1\r\nhost: box.example"),
        ("https://[::1]:80/a", "POST /a HTTP/1.1\r\nhost: [::1]:80"),
        ("https://büchse.example/a", "POST /a HTTP/1.1\r\nhost: xn--bchse-kva.example"),
    ],
)
def test_the_first_lines_name_the_place(url: str, lines: str) -> None:
    assert wire_direct._place_of(url).lines == lines


@pytest.mark.parametrize("url", ["ftp://box.example/a", "http:///a", "http://box.example:x/a", "http://a..b\u00fc/"])
def test_what_is_no_address_is_told_before_anything_is_sent(url: str, run: Any) -> None:
    async def ask() -> Failure:
        return await failed(DirectWire(is_local=True).post(url, HEADERS, b"{}", Delivery("box", 60), BOUNDS))

    assert run(ask()) == Failure(FailureKind.BAD_REQUEST, "the request to 'box' cannot be written as HTTP")


def test_a_connection_is_used_again_until_it_is_closed(run: Any, start: Start) -> None:
    closing = threading.Event()

    def serve(sock: socket.socket) -> None:
        answer(3)(sock)
        sock.shutdown(socket.SHUT_RDWR)
        closing.set()

    async def ask() -> int:
        wire = DirectWire(is_local=True)
        for _ in range(3):
            await post(wire, port)
        assert len(wire._all) == 1
        first = next(iter(wire._all))
        await asyncio.to_thread(closing.wait)
        while first.is_open:
            await asyncio.sleep(0.001)
        await post(wire, port)
        assert first not in wire._all
        found = len(wire._all)
        await wire.aclose()
        return found

    port = start(serve, answer())
    assert run(ask()) == 1


def test_a_connection_that_was_not_used_for_long_is_not_used_again(
    run: Any, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_direct, "KEPT_S", -1.0)

    async def ask() -> None:
        wire = DirectWire(is_local=True)
        for _ in range(2):
            await post(wire, port)
        await wire.aclose()

    port = start(answer(), answer())
    run(ask())


def test_what_comes_unasked_ends_the_connection(run: Any, start: Start) -> None:
    def serve(sock: socket.socket) -> None:
        answer()(sock)
        answered.wait(10)
        sock.sendall(OK)
        sock.recv(1)

    answered = threading.Event()

    async def ask() -> None:
        wire = DirectWire(is_local=True)
        await post(wire, port)
        first = next(iter(wire._all))
        answered.set()
        while first.is_open:
            await asyncio.sleep(0.001)
        await post(wire, port)
        await wire.aclose()

    port = start(serve, answer())
    run(ask())


def test_a_connection_that_the_other_side_will_close_is_not_used_again(run: Any, start: Start) -> None:
    async def ask() -> int:
        wire = DirectWire(is_local=True)
        await post(wire, port)
        found = len(wire._all)
        await wire.aclose()
        return found

    port = start(answer(1, b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"))
    assert run(ask()) == 0


def test_a_connection_that_is_reset_may_have_been_paid(run: Any, start: Start) -> None:
    def serve(sock: socket.socket) -> None:
        read_one(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    port = start(serve)
    failure = run(failed(post_once(port)))
    assert failure == Failure(FailureKind.UNKNOWN_DELIVERY, BROKEN)


async def post_once(port: int, body: bytes = b"{}", bounds: Bounds = BOUNDS) -> Reply:
    wire = DirectWire(is_local=True)
    try:
        return await post(wire, port, body, bounds=bounds)
    finally:
        await wire.aclose()


def test_a_large_request_that_is_refused_before_its_end_has_its_answer(run: Any, start: Start) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        stop.wait(10)

    stop = threading.Event()
    port = start(serve)
    reply = run(post_once(port, b"x" * 30_000_000))
    stop.set()
    assert reply.status == 413


def test_a_large_request_waits_for_who_reads_slowly(run: Any, start: Start) -> None:
    def serve(sock: socket.socket) -> None:
        left = size
        while left > 0:
            left -= len(sock.recv(1 << 20))
        sock.sendall(OK)

    size = 30_000_000
    port = start(serve)
    assert run(post_once(port, b"x" * size)).body == b"{}"


def test_an_answer_may_come_slowly_as_long_as_it_comes(run: Any, start: Start) -> None:
    def serve(sock: socket.socket) -> None:
        read_one(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n")
        for _ in range(6):
            pause.wait(0.04)
            sock.sendall(b"x")

    pause = threading.Event()
    port = start(serve)
    assert run(post_once(port, bounds=Bounds(1000, 1000, 0.1))).body == b"xxxxxx"


def test_an_answer_that_is_there_is_not_called_late() -> None:
    async def look() -> Reply:
        loop = asyncio.get_running_loop()
        connection = Connection(loop)
        ours, theirs = socket.socketpair()
        await loop.create_connection(lambda: connection, sock=ours)
        asking = asyncio.ensure_future(
            connection.exchange(b"", b"", loop.time() + 60, Delivery("box", 60), BOUNDS, None)
        )
        await asyncio.sleep(0)
        connection._idle_s = 0.0
        connection.data_received(OK)
        connection._look()  # the timer may come in the same turn of the loop
        connection.data_received(b"more")
        connection.connection_lost(None)
        theirs.close()
        return await asking

    assert asyncio.run(look()).body == b"{}"


def test_a_connection_that_breaks_in_another_way_is_broken_too() -> None:
    async def lose() -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(loop)
        ours, theirs = socket.socketpair()
        await loop.create_connection(lambda: connection, sock=ours)
        asking = asyncio.ensure_future(
            connection.exchange(b"", b"", loop.time() + 60, Delivery("box", 60), BOUNDS, None)
        )
        await asyncio.sleep(0)
        connection.connection_lost(RuntimeError("from a library"))
        theirs.close()
        with pytest.raises(ConnectionResetError):
            await asking

    asyncio.run(lose())


def test_who_is_cancelled_leaves_no_connection_behind(run: Any, start: Start) -> None:
    def serve(sock: socket.socket) -> None:
        read_one(sock)
        asked.set()
        with contextlib.suppress(OSError):
            gone.append(sock.recv(1))
        ended.set()

    asked, ended = threading.Event(), threading.Event()
    gone: list[bytes] = []

    async def ask() -> None:
        wire = DirectWire(is_local=True)
        asking = asyncio.ensure_future(post(wire, port))
        await asyncio.to_thread(asked.wait)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(ended.wait)
        await wire.aclose()

    port = start(serve)
    run(ask())
    assert gone == [b""]


def test_a_slow_connection_is_given_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_direct, "CONNECT_S", 0.05)
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(full.getsockname())
        failure = run(failed(post_once(full.getsockname()[1])))
    assert failure == Failure(FailureKind.TRANSIENT, "no connection to 'box' within 10 s", is_unsent=True)


def test_a_connection_that_the_system_gives_up_was_not_made(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def give_up(*_: Any) -> socket.socket:
        raise TimeoutError(errno.ETIMEDOUT, "timed out")

    monkeypatch.setattr(wire_direct, "connect", give_up)
    failure = run(failed(post_once(unused_port())))
    assert (failure.kind, failure.is_unsent) == (FailureKind.TRANSIENT, True)
    assert failure.message == "no connection to 'box'"


# Addresses


def test_a_host_is_looked_up_once_for_all_who_ask(run: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> int:
        loop = asyncio.get_running_loop()
        wire = DirectWire(is_local=True)
        await asyncio.gather(*(post(wire, port) for _ in range(4)))
        (looking,) = [task for _, task in wire._addresses.values()]
        monkeypatch.setattr(wire_direct, "_ADDRESSES_KEPT_S", -1.0)
        await wire._find("127.0.0.1", port)
        assert [task for _, task in wire._addresses.values()] != [looking]
        await wire.aclose()
        assert loop.is_running()
        return len(looking.result())

    port = start(*[answer()] * 4)
    assert run(ask()) == 1


def test_a_host_that_was_not_found_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look_up(host: str, *_: Any, **__: Any) -> Any:
        looked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    async def ask() -> None:
        wire = DirectWire(is_local=True)
        for _ in range(2):
            failure = await failed(wire.post("http://box.example/", HEADERS, b"{}", Delivery("box", 60), BOUNDS))
            assert failure.message == "the host of 'box' cannot be found; is the network up?"
        await wire.aclose()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    asyncio.run(ask())
    assert looked == ["box.example", "box.example"]


def an_address(port: int, family: int = socket.AF_INET) -> Any:
    return (family, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))


def unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_the_next_address_is_tried_when_one_is_refused(run: Any, start: Start) -> None:
    async def make() -> int:
        with await connect([an_address(unused_port()), an_address(port)], asyncio.get_running_loop()) as made:
            return int(made.getpeername()[1])

    port = start(answer())
    assert run(make()) == port


def test_the_next_address_is_tried_when_one_takes_long(run: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_direct, "_NEXT_ADDRESS_S", 0.01)
    real = wire_direct._connect_to
    late: list[socket.socket] = []

    async def connect_to(address: Any, loop: asyncio.AbstractEventLoop) -> socket.socket:
        if address[4][1] != slow:
            return await real(address, loop)
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            late.append(await real(an_address(port), loop))  # it comes all the same, and nobody wants it
        return late[0]

    async def make() -> int:
        with await connect([an_address(slow), an_address(port)], asyncio.get_running_loop()) as made:
            while not late or late[0].fileno() >= 0:
                await asyncio.sleep(0.001)
            return int(made.getpeername()[1])

    port, slow = start(answer(), answer()), unused_port()
    monkeypatch.setattr(wire_direct, "_connect_to", connect_to)
    assert run(make()) == port


def test_the_first_address_may_answer_after_the_last_has_failed(
    run: Any, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_direct, "_NEXT_ADDRESS_S", 0.01)
    real = wire_direct._connect_to

    async def connect_to(address: Any, loop: asyncio.AbstractEventLoop) -> socket.socket:
        if address[4][1] == port:
            await failing.wait()
            return await real(address, loop)
        try:
            return await real(address, loop)
        finally:
            loop.call_later(0.02, failing.set)

    async def make() -> int:
        with await connect([an_address(port), an_address(unused_port())], asyncio.get_running_loop()) as made:
            return int(made.getpeername()[1])

    port, failing = start(answer()), asyncio.Event()
    monkeypatch.setattr(wire_direct, "_connect_to", connect_to)
    assert run(make()) == port


def test_the_first_error_is_told_when_no_address_answers(run: Any) -> None:
    async def make(addresses: list[Any]) -> None:
        await connect(addresses, asyncio.get_running_loop())

    with pytest.raises(ConnectionRefusedError):
        run(make([an_address(unused_port()), an_address(unused_port())]))
    with pytest.raises(OSError, match="a host without an address"):
        run(make([]))
    with pytest.raises(TypeError):
        run(make([(socket.AF_INET, socket.SOCK_STREAM, 0, "", None)]))


def test_families_are_tried_in_turn() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    addresses = [an_address(port, family) for port, family in ((1, six), (2, six), (3, six), (4, four), (5, four))]
    assert [one[4][1] for one in wire_direct._in_turn(addresses)] == [1, 4, 2, 5, 3]
    assert [one[4][1] for one in wire_direct._in_turn(addresses[2:])] == [3, 4, 5]
    assert wire_direct._in_turn([]) == []


# Proxies and TLS


def test_what_goes_through_a_proxy_is_asked_by_another_client(
    run: Any, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        for _ in range(2):
            seen.append(read_one(sock).partition(b"\r\n")[0])
            sock.sendall(OK)

    async def ask() -> None:
        wire = DirectWire()
        for _ in range(2):
            reply = await wire.post("http://box.example/v1", HEADERS, b"{}", Delivery("box", 60), BOUNDS)
            assert reply.body == b"{}"
        await wire.aclose()

    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{start(serve)}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{start(serve)}")
    for name in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    run(ask())
    assert seen == [b"POST http://box.example/v1 HTTP/1.1"] * 2


def test_an_answer_through_a_proxy_may_come_too_late(run: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> Failure:
        wire = DirectWire()
        try:
            return await failed(wire.post("http://box.example/v1", HEADERS, b"{}", Delivery("box", 0.2), BOUNDS))
        finally:
            await wire.aclose()

    port = start(lambda sock: [sock.recv(65536) for _ in range(2)])
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    failure = run(ask())
    assert failure.kind is FailureKind.UNKNOWN_DELIVERY
    assert failure.message == "'box' did not answer in full within 0.2 s; it may have been paid"


@pytest.fixture
def safe_port(start: Start, certificate: tuple[str, str]) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as safe:
            answer(2)(safe)
            safe.recv(1)

    return start(serve)


async def post_safely(port: int) -> list[bytes]:
    wire = DirectWire(is_local=True)
    try:
        url = f"https://127.0.0.1:{port}/v1"
        return [(await wire.post(url, HEADERS, b"{}", Delivery("box", 60), BOUNDS)).body for _ in range(2)]
    finally:
        await wire.aclose()


def test_a_safe_connection_carries_many_requests(
    run: Any, safe_port: int, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    monkeypatch.setattr(wire_direct, "certificates", network.certificates.__wrapped__)
    assert run(post_safely(safe_port)) == [b"{}", b"{}"]
    gc.collect()


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(run: Any, safe_port: int) -> None:
    failure = run(failed(post_safely(safe_port)))
    assert failure.kind is FailureKind.BAD_ANSWER
    assert failure.message.startswith("no safe connection to 'box': its certificate is not accepted (self")
