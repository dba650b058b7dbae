"""Connections that cannot be made: a host that nobody knows, a certificate that nobody vouches for, in every protocol."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app import api
from runner.app.types import RunOptions
from runner.core.events import AttemptMade, Event
from runner.core.outcome import Attempt

DIALECTS = ("gemini", "openai-chat", "openai-responses", "anthropic")
FLOW = """
format: 1
defaults: {model: box/some-model, retries: 2}
steps: {moon: {prompt: How big is the moon?, max_output_tokens: 2000}}
"""


@pytest.fixture(autouse=True)
def waits(skipped_waits: list[float]) -> list[float]:
    return skipped_waits


def run(folder: Path, dialect: str, address: str, **options: Any) -> tuple[runner.RunResult, list[Attempt]]:
    attempts: list[Attempt] = []

    def note(event: Event) -> None:
        if isinstance(event, AttemptMade):
            attempts.append(event.attempt)

    url = f"{address}/v1" if dialect.startswith("openai") else address
    settings = f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: free}}\n"
    (folder / "runner.yaml").write_text(settings, encoding="utf-8")
    (folder / "flow.yaml").write_text(FLOW, encoding="utf-8")
    return api.run(folder / "flow.yaml", RunOptions(**options), [note]), attempts


def told(result: runner.RunResult) -> list[tuple[str, str]]:
    return [(str(one.failure.kind), one.failure.message) for one in result.failures if one.failure]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_host_that_nobody_knows_is_looked_up_for_each_try_and_was_never_paid(
    tmp_path: Path, dialect: str, waits: list[float], monkeypatch: pytest.MonkeyPatch, *, is_streamed: bool
) -> None:
    looked: list[object] = []

    def look_up(host: object, *_: object, **__: object) -> Any:
        looked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setitem(sys.modules, "uvloop", None)  # which looks up by itself
    options = {"hear": lambda _: None} if is_streamed else {}
    result, (attempt,) = run(tmp_path, dialect, "https://box.invalid", **options)
    assert told(result) == [("transient", "the host of 'box' cannot be found; is the network up?; tried 3 times")]
    assert (result.exit_code, {str(host) for host in looked}) == (3, {"box.invalid"})
    assert (len(looked), attempt.requests, attempt.maybe_paid_twice) == (3, 3, 0)
    assert len(waits) >= 2


@contextmanager
def listening(serve: Callable[[socket.socket], str]) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that does this with every connection: its address, and how each ended."""
    ended: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = server.accept()
                with sock:
                    ended.append(serve(sock))

    thread = threading.Thread(target=accept)
    thread.start()
    yield f"https://127.0.0.1:{server.getsockname()[1]}", ended
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.fixture
def distrusted(certificate: tuple[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Its certificate signs itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def serve(sock: socket.socket) -> str:
        try:
            with context.wrap_socket(sock, server_side=True) as safe:
                # The last word of the handshake may be the server's: the other side closes after it.
                return "sent" if safe.recv(1) else "closed"
        except OSError:
            return "closed"

    with listening(serve) as found:
        yield found


@pytest.fixture
def plain() -> Iterator[tuple[str, list[str]]]:
    """It speaks no TLS."""

    def serve(sock: socket.socket) -> str:
        with suppress(OSError):
            sock.recv(4096)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        return "closed"

    with listening(serve) as found:
        yield found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_certificate_that_nobody_vouches_for_ends_the_question_at_once_and_nothing_is_sent(
    tmp_path: Path, dialect: str, distrusted: tuple[str, list[str]], waits: list[float]
) -> None:
    address, ended = distrusted
    result, (attempt,) = run(tmp_path, dialect, address)
    ((kind, message),) = told(result)
    assert kind == "bad-answer"
    assert message.startswith("no safe connection to 'box': its certificate is not accepted (self")
    assert (result.exit_code, attempt.requests, waits) == (3, 1, [])
    assert ended == ["closed"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_server_that_speaks_no_tls_ends_the_question_at_once(
    tmp_path: Path, dialect: str, plain: tuple[str, list[str]], waits: list[float]
) -> None:
    address, ended = plain
    result, (attempt,) = run(tmp_path, dialect, address)
    assert told(result) == [
        ("bad-answer", "no safe connection to 'box': the TLS handshake failed; does it speak https?")
    ]
    assert (result.exit_code, attempt.requests, waits, len(ended)) == (3, 1, [], 1)


def test_no_test_reaches_the_network_by_the_faster_loop() -> None:
    import uvloop

    async def reach() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(AssertionError, match=r"tried to look up 'box\.invalid'"):
            await loop.getaddrinfo("box.invalid", 443)
        with pytest.raises(AssertionError, match=r"tried to reach 192\.0\.2\.1"):
            await loop.create_connection(asyncio.Protocol, "192.0.2.1", 443)

    uvloop.run(reach())
