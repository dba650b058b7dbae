"""What every test has: no way to the network, and a local server to count at."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from hypothesis import settings

if TYPE_CHECKING:
    from counting_server import Answer, CountingServer, Respond

# Suites that are there to be wrong: they are read by the tests beside them, and not run.
collect_ignore_glob = ["messages/*", "checks/mistakes/*"]

# The same examples on every machine and in every run; a search for new ones is a choice (`--hypothesis-profile=default`).
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

# The servers are plain modules, for tests and for a hand-started process alike; importlib mode adds no path itself.
_SERVERS = str(Path(__file__).parent / "servers")
if _SERVERS not in sys.path:
    sys.path.insert(0, _SERVERS)


def _is_local(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return isinstance(name, str) and ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses every connection and every look-up that leaves this machine."""
    real_connect, real_connect_ex, real_lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise AssertionError(f"a test tried to reach {address[0]}")

    def connect(sock: socket.socket, address: Any) -> None:
        check(sock, address)
        real_connect(sock, address)

    def connect_ex(sock: socket.socket, address: Any) -> int:
        check(sock, address)
        return real_connect_ex(sock, address)

    def lookup(host: Any, *args: Any, **options: Any) -> Any:
        if not _is_local(host):
            raise AssertionError(f"a test tried to look up {host!r}")
        return real_lookup(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    _keep_uvloop_at_home(monkeypatch)


def _keep_uvloop_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The faster loop looks up and connects by itself, without the functions of `socket`."""
    loop = uvloop.Loop
    real_lookup, real_connect = loop.getaddrinfo, loop.create_connection

    async def lookup(self: uvloop.Loop, host: Any, *args: Any, **options: Any) -> Any:
        if not _is_local(host):
            raise AssertionError(f"a test tried to look up {host!r}")
        return await real_lookup(self, host, *args, **options)

    async def connect(self: uvloop.Loop, factory: Any, host: Any = None, *args: Any, **options: Any) -> Any:
        if not _is_local(host):
            raise AssertionError(f"a test tried to reach {host}")
        return await real_connect(self, factory, host, *args, **options)

    monkeypatch.setattr(loop, "getaddrinfo", lookup)
    monkeypatch.setattr(loop, "create_connection", connect)


class Servers:
    """`counting_server(respond)` starts one; `counting_server.Answer` is what `respond` gives back."""

    def __init__(self) -> None:
        module = importlib.import_module("counting_server")
        self.Answer: type[Answer] = module.Answer
        self._make: Callable[..., CountingServer] = module.CountingServer
        self._started: list[CountingServer] = []

    def __call__(self, respond: Respond | None = None, *, key: str | None = None) -> CountingServer:
        server = self._make(respond, key=key)
        server.problems_of = importlib.import_module("descriptions").problems_of
        server.contexts.problems_of = server.problems_of
        server.start()
        self._started.append(server)
        return server

    def stop(self) -> None:
        for server in self._started:
            server.stop()
        errors = [error for server in self._started for error in server.errors]
        if errors:
            raise ExceptionGroup("the test's own respond failed", errors)


@pytest.fixture
def counting_server() -> Iterator[Servers]:
    """Starts local servers that count; all are stopped when the test ends."""
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def counting_servers() -> Iterator[Servers]:
    """The same, for all tests of a module together."""
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """The files of a certificate that signs itself, and of its key."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "certificate.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "private.pem").write_bytes(private)
    return str(tmp_path / "certificate.pem"), str(tmp_path / "private.pem")
