"""Limits and trouble end to end, against a server that counts."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions
from runner.core.events import Settled
from runner.core.outcome import UNASKED_KINDS, FailureKind
from runner.core.traffic import SeeTraffic, Traffic

LANE = """
format: 1
defaults: {retries: 1}
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    prompt: "tag {{ item.id }} x"
    fields: {label: string, size: integer}
outputs:
  count: steps.tag.outputs | length
"""
GOOD = '{"label": "a", "size": 1}'


@pytest.fixture
def lane(project: Any) -> Callable[..., Any]:
    """A project with so many rows."""

    def make(rows: int, settings: str = "") -> Any:
        project.workflow(LANE)
        project.write("rows.jsonl", "".join(f'{{"id": "r{number:06d}"}}\n' for number in range(rows)))
        written = (project.root / "runner.yaml").read_text()
        project.write("runner.yaml", written + settings)
        project.server.respond = lambda *_: project.Answer(text=GOOD)
        return project

    return make


def test_a_limit_of_the_project_is_what_the_server_sees(lane: Callable[..., Any]) -> None:
    project = lane(60, 'limits: [{models: "box/*", in_flight: 3}]\n')
    project.server.respond = lambda *_: project.Answer(text=GOOD, delay_s=0.01)
    result = project.run(parallel=32)
    assert (result.exit_code, project.server.count, project.server.highest_in_flight) == (0, 60, 3)


def test_requests_by_the_second_hold(lane: Callable[..., Any]) -> None:
    project = lane(25, "limits: [{models: box, requests: 20, per: 1s}]\n")
    began = time.monotonic()
    assert project.run(parallel=32).exit_code == 0
    assert time.monotonic() - began > 24 / 20, "the first at once, the others in their turn"


@pytest.mark.slow
def test_a_dead_key_on_a_hundred_thousand_rows_is_found_with_the_first(lane: Callable[..., Any]) -> None:
    project = lane(100_000)
    project.server.respond = lambda *_: project.Answer(status=401, text="bad key")
    result = project.run(parallel=64)
    assert result.exit_code == 3
    assert project.server.count <= 64 + 10
    (problem,) = result.problems
    message = re.sub(r"r0000\d\d", "r0000NN", problem.message)  # any of the first may be answered first
    assert (problem.code, message) == (
        "auth",
        f"tag[r0000NN] (and {project.server.count - 1} more items): the provider answered 401: bad key",
    )
    assert dict(problem.notes)["not asked"] == f"{100_000 - project.server.count:,} items of tag, nor what comes behind"
    assert result.summary.failed == project.server.count
    settled = [event.outcome for event in project.events if isinstance(event, Settled)]
    assert len(settled) < 20_000, "what cannot be asked is not walked row by row"
    assert {one.failure and one.failure.kind for one in settled} <= {*UNASKED_KINDS, FailureKind.AUTH}


def test_refusals_at_random_cost_one_request_each(lane: Callable[..., Any]) -> None:
    """Every fifth row is refused at first, half of them with a wait: each is asked once more, and not too early."""
    project = lane(200)
    refused: dict[str, tuple[float, float]] = {}
    early: list[str] = []

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        prompt = body["messages"][-1]["content"]
        number = int(prompt.split()[1][1:])
        if prompt in refused:
            at, wait_s = refused[prompt]
            early.extend([prompt] if time.monotonic() < at + wait_s else [])
        elif number % 5 == 0:
            wait_s = 0.02 * (number % 2)
            refused[prompt] = (time.monotonic(), wait_s)
            headers = {"retry-after-ms": f"{wait_s * 1000:.0f}"} if wait_s else {}
            return project.Answer(status=429, text="slow down", headers=headers)
        return project.Answer(text=GOOD)

    project.server.respond = respond
    result = project.run(parallel=16)
    assert (result.exit_code, result.outputs) == (0, {"count": 200})
    assert early == []
    assert project.server.count == 200 + 40


def test_a_limit_that_is_told_beside_the_answers_is_kept_to_without_a_refusal(lane: Callable[..., Any]) -> None:
    """40 requests and 100 more each second; what is over is refused, and nothing is."""
    project = lane(150)
    room: list[float] = [40.0, time.monotonic()]
    refused: list[str] = []

    def respond(_dialect: str, body: Any, _n: int) -> Any:
        left = min(40.0, room[0] + 100 * (time.monotonic() - room[1]))
        room[1] = time.monotonic()
        if left < 1:
            room[0] = left
            refused.append(body["messages"][-1]["content"])
            return project.Answer(status=429, text="slow down")
        room[0] = left - 1
        told = {"limit": "40", "remaining": str(int(room[0])), "reset": f"{(40 - room[0]) * 10:.0f}ms"}
        headers = {f"x-ratelimit-{name}-requests": value for name, value in told.items()}
        return project.Answer(text=GOOD, headers=headers)

    project.server.respond = respond
    result = project.run(parallel=16)
    assert (result.exit_code, result.outputs) == (0, {"count": 150})
    assert (refused, project.server.count) == ([], 150)


# Servers that do not play by the rules


class Rude:
    """A server that does with a connection what it is told, in a thread of its own."""

    def __init__(self, behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> None:
        self.connections = 0
        self._behave = behave
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                await self._behave(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the caller went away
            finally:
                writer.close()

        server = self._loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self._loop.close()

    @contextmanager
    def running(self) -> Iterator[Rude]:
        self.thread.start()
        self._ready.wait()
        yield self
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000000\r\n\r\n"


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)  # until the caller hangs up


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD)
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.3)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD.replace(b"content-length: 100000000", b"connection: close"))
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


def ask_rude(project: Any, behave: Any, **options: Any) -> tuple[Any, Rude]:
    project.edit("{retries: 1}", "{retries: 1, timeout: 1s}")
    with Rude(behave).running() as server:
        project.write(
            "runner.yaml",
            "providers: {box: {dialect: openai-chat, price: free, identity: box, "
            f"base_url: 'http://127.0.0.1:{server.port}/v1'}}}}\n",
        )
        return project.run(**options), server


@pytest.mark.slow
def test_five_hundred_silent_sockets_end_by_themselves(lane: Callable[..., Any]) -> None:
    project = lane(500)
    began = time.monotonic()
    result, server = ask_rude(project, silent, parallel=500)
    assert result.exit_code == 3
    assert time.monotonic() - began < 60
    assert 500 <= server.connections <= 1000, "each is asked twice, where the connection was made in time"
    assert result.summary.failed == 500
    assert result.summary.maybe_paid_twice <= 500


@pytest.mark.parametrize(
    ("behave", "message", "requests", "paid_twice"),
    [
        (drip, "'box' did not answer in full within 1 s; it may have been paid; tried 2 times", 2, 1),
        (endless, "the answer of 'box' is larger than any answer should be", 1, 0),
        (
            hang_up,
            "'box' closed the connection before the answer was complete; it may have been paid; tried 2 times",
            2,
            1,
        ),
        (reset, "", 2, 1),
    ],
    ids=["one byte at a time", "never-ending", "closed after the request", "reset after the request"],
)
def test_a_server_that_never_answers_well_is_asked_as_often_as_allowed(
    lane: Callable[..., Any], behave: Any, message: str, requests: int, paid_twice: int
) -> None:
    result, server = ask_rude(lane(1), behave)
    assert (result.exit_code, server.connections) == (3, requests)
    assert result.problems[0].message.endswith(message)
    assert result.summary.maybe_paid_twice == paid_twice


def test_an_address_where_nobody_listens_is_given_up_with_the_first_items(lane: Callable[..., Any]) -> None:
    project = lane(5000)
    with Rude(silent).running() as server:
        port = server.port
    project.write(
        "runner.yaml",
        "providers: {box: {dialect: openai-chat, price: free, identity: box, "
        f"base_url: 'http://127.0.0.1:{port}/v1'}}}}\n",
    )
    result = project.run(parallel=8)
    assert result.exit_code == 3
    (problem,) = result.problems
    assert problem.code == "transient"
    assert "'box' refuses connections; is it running?" in problem.message
    left = json.loads(dict(problem.notes)["not asked"].split(" ")[0].replace(",", ""))
    assert left >= 5000 - 8
    assert result.summary.maybe_paid_twice == 0


def test_the_requests_under_way_can_be_seen(lane: Callable[..., Any]) -> None:
    """From where the run says, at any moment of it."""
    project = lane(3, 'limits: [{models: "box/*", in_flight: 2}]\n')
    seen: list[Traffic] = []
    places: list[SeeTraffic] = []

    def answer(*_: object) -> Any:
        seen.extend(places[0]())
        return project.Answer(text=GOOD)

    project.server.respond = answer
    result = api.run(project.root / "flow.yaml", RunOptions(has_consent=True, watch=places.append))
    assert result.exit_code == 0
    assert {(one.model, one.most, one.why) for one in seen} == {("box/small", 2, "limits in runner.yaml")}
    assert max(one.in_flight for one in seen) in (1, 2)
