"""A loopback server that is not the bottleneck: a bare protocol in a process of its own, with a chat answer ready.

    uv run python benchmarks/loopback.py [LATENCY_S] [repeats]     prints its port, and serves until its input ends

`GET /stats` gives what it has counted, and starts counting anew. With `repeats` it also counts how often it got each
question; `GET /repeats` gives all that came since it runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

ANSWER = {"label": "a", "size": 1}
_CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(ANSWER)}}
_USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
BODY = json.dumps(
    {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [_CHOICE], "usage": _USAGE}
).encode()


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Counted:
    """What all connections share."""

    def __init__(self, latency_s: float, *, by_question: bool) -> None:
        self.latency_s = latency_s
        self.questions: dict[bytes, int] | None = {} if by_question else None
        self.requests = self.in_flight = self.highest = self.connections = 0

    def told(self) -> bytes:
        told = {"requests": self.requests, "highest": self.highest, "connections": self.connections}
        self.requests = self.highest = self.connections = 0
        return _http(json.dumps(told).encode())

    def repeats(self) -> bytes:
        asked = (self.questions or {}).values()
        told = {"requests": sum(asked), "questions": len(asked), "most": max(asked, default=0)}
        return _http(json.dumps({**told, "in_flight": self.in_flight}).encode())


class Serving(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._counted.connections += 1

    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        while (head := data.find(b"\r\n\r\n")) >= 0:
            lower = data[:head].lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].partition(b"\r")[0]) if at >= 0 else 0
            end = head + 4 + length
            if len(data) < end:
                break
            if data.startswith(b"GET /repeats") and self._transport is not None:
                self._transport.write(self._counted.repeats())
            else:
                self._answer(data[head + 4 : end], is_question=data.startswith(b"POST"))
            data = data[end:]
        self._data = data

    def _answer(self, question: bytes, *, is_question: bool) -> None:
        counted = self._counted
        assert self._transport is not None
        if not is_question:
            self._transport.write(counted.told())
            return
        counted.requests += 1
        if counted.questions is not None:
            counted.questions[question] = counted.questions.get(question, 0) + 1
        if not counted.latency_s:
            counted.highest = 1
            self._transport.write(REPLY)
            return
        counted.in_flight += 1
        counted.highest = max(counted.highest, counted.in_flight)
        asyncio.get_running_loop().call_later(counted.latency_s, self._later)

    def _later(self) -> None:
        self._counted.in_flight -= 1
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(REPLY)


REPLY = _http(BODY)


async def serve(latency_s: float, *, by_question: bool) -> None:
    counted = Counted(latency_s, by_question=by_question)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Serving(counted), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with suppress(ImportError):
        import uvloop

        uvloop.install()
    latency_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    asyncio.run(serve(latency_s, by_question="repeats" in sys.argv))


if __name__ == "__main__":
    main()
