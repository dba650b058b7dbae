"""A strict local server that speaks five wire protocols and counts what it is asked.

It answers like the real services do to a wrong request: an unknown field is 400, a wrong path 404, no key 401.
What it answers to a right one is the test's to say: `respond(dialect, body, n)` for the n-th request (from 1).
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

# Plain modules beside this one, for a hand-started process too.
import wire_anthropic
import wire_chat
import wire_embed
import wire_gemini
import wire_responses
from wire import Answer, Json, Received, Refused, Wire, dump
from wire_contexts import ContextService
from wire_media import FileService

__all__ = ["Answer", "CountingServer", "Received", "Refused", "Respond"]

Respond: TypeAlias = Callable[[str, Json, int], Answer]

# Bodies after these are of the same shapes.
DESCRIBED = 200

WIRES = (wire_chat.WIRE, wire_gemini.GEMINI, wire_gemini.VERTEX, wire_responses.WIRE, wire_anthropic.WIRE,
         *wire_embed.WIRES)  # fmt: skip


class CountingServer:
    """Runs in its own thread between `start` and `stop`; speaks HTTP/1.1 with connections kept open.

    `key` is the one that is accepted; None accepts any, "" asks for none. `problems_of` holds the first bodies against
    the vendors' descriptions; what it finds is in `errors`, as the mistakes of `respond` are.
    """

    def __init__(self, respond: Respond | None = None, *, key: str | None = None) -> None:
        self.respond: Respond = respond or (lambda _dialect, _body, _n: Answer())
        self.requests: list[Received] = []
        self.refused: list[tuple[int, str]] = []
        self.errors: list[Exception] = []
        self.problems_of: Callable[..., list[str]] | None = None
        self.files = FileService()
        self.contexts = ContextService()
        self.highest_in_flight = 0
        self.connections = 0
        self._in_flight = 0
        self._key = key
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counting-server", daemon=True)
        self._open: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """For a `gemini` provider; a chat provider may use it too, or `chat_url`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def chat_url(self) -> str:
        return f"{self.base_url}/v1"

    @property
    def count(self) -> int:
        """Requests that were understood; those that were not are in `refused`."""
        return len(self.requests)

    @property
    def by_prompt(self) -> Counter[str]:
        """How often each last user message was asked."""
        return Counter(request.prompt for request in self.requests)

    @property
    def bodies(self) -> list[Json]:
        return [request.body for request in self.requests]

    def forget(self) -> None:
        """Start counting anew."""
        self.requests.clear()
        self.refused.clear()
        self.highest_in_flight = 0

    def settle(self) -> None:
        """Wait until every connection has ended: a caller that was killed may leave a request that is still unread."""
        # Connections are accepted in their order: once this one is answered, none of the caller's is still waiting.
        with socket.create_connection(("127.0.0.1", self._port)) as last:
            last.sendall(b"GET /settled HTTP/1.1\r\nconnection: close\r\n\r\n")
            while last.recv(4096):
                pass
        self.refused.remove((404, "no such path: /settled"))
        until = time.monotonic() + 30
        while self._open and time.monotonic() < until:
            time.sleep(0.001)
        assert not self._open, "a connection is still open"

    def start(self) -> CountingServer:
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256))
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for connection in self._open:
            connection.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._open, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side went away, or the test is over
        finally:
            writer.close()
            self._open.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _version = head[0].split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        found = self.files.answer(self.base_url, method, path, headers, data)
        if found is None:
            found = self.contexts.answer(method, path, headers, data, self._key)
        if found is not None:
            self._write(writer, found[0], found[1], dump(found[2]))
            await writer.drain()
            return True
        self._in_flight += 1
        self.highest_in_flight = max(self.highest_in_flight, self._in_flight)
        try:
            answer, body = await self._answer(method, path, headers, data)
        finally:
            self._in_flight -= 1
        if answer.wire is not None:
            writer.write(answer.wire)
            await writer.drain()
            return False
        if isinstance(body, list):
            await self._write_events(writer, dict(answer.headers), body)
            return True
        self._write(writer, answer.status, dict(answer.headers), body)
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    def _write(self, writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: bytes) -> None:
        lines = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status} Said\r\n{text}\r\n".encode("latin-1") + body)

    async def _write_events(self, writer: asyncio.StreamWriter, headers: dict[str, str], events: list[bytes]) -> None:
        lines = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 200 Said\r\n{text}\r\n".encode("latin-1"))
        for event in [*events, b""]:
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(0)

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], data: bytes
    ) -> tuple[Answer, bytes | list[bytes]]:
        wire = next((wire for wire in WIRES if wire.paths.fullmatch(path)), None)
        said = wire or (wire_gemini.GEMINI if "/models/" in path else wire_chat.WIRE)
        try:
            received = self._understand(wire, method, path, headers, data)
            self.requests.append(received)
            named = self.contexts.check_question(received)
            answer = self.respond(received.dialect, received.body, len(self.requests))
            if named:
                answer = replace(answer, input_tokens=answer.input_tokens + named, cached_tokens=named)
        except Refused as refused:
            self.refused.append((refused.status, refused.message))
            answer = Answer(text=refused.message, status=refused.status, code=refused.code)
            return answer, dump(said.error(answer))
        except Exception as error:
            self.errors.append(error)
            answer = Answer(text=f"the test's own respond failed: {error!r}", status=400)
            return answer, dump(said.error(answer))
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.raw is not None:
            return answer, answer.raw
        if wire is not None and wire.stream is not None and answer.status == 200:
            if answer.events is not None:
                return answer, list(answer.events)
            if wire.is_streamed(path, received.body):
                return answer, wire.stream(answer, received)
        return answer, dump(said.answer(answer, received) if answer.status == 200 else said.error(answer))

    def _understand(self, wire: Wire | None, method: str, path: str, headers: dict[str, str], data: bytes) -> Received:
        if wire is None:
            raise Refused(404, f"no such path: {path}", "not_found")
        if method != "POST":
            raise Refused(405, "POST only")
        given = wire.key(headers)
        if self._key != "" and (not given or (self._key is not None and given != self._key)):
            raise Refused(401, "no valid API key", "" if wire.dialect == "anthropic" else "invalid_api_key")
        if headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refused(400, "content-type must be application/json")
        try:
            body = wire.read(json.loads(data))
        except ValueError:
            raise Refused(400, "the body is not JSON") from None
        wire.check(body, headers)
        if self.problems_of is not None and len(self.requests) < DESCRIBED:
            found = self.problems_of(wire.dialect, body, is_own_server=True)
            if found:
                raise AssertionError(f"{wire.dialect}: the description does not allow {found}")
        self.files.check_named(body)
        return Received(wire.dialect, path, wire.prompt(body), body, headers)
