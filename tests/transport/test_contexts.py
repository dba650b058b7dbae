"""What is kept at a provider: found before it is made, remembered, forgotten when it is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.core.context import Divided, Kept
from runner.core.model import Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.transport.context_memory import is_usable, memory_key, read_memory, write_memory
from runner.transport.contexts import Contexts

MakeRoute = Callable[..., Route]
NOW = 1_000_000.0
TTL = 3600.0
ENTRY = {
    "name": "cachedContents/1",
    "displayName": "runner-ident",
    "expireTime": "1970-01-12T14:46:40.5Z",
    "usageMetadata": {"totalTokenCount": 2000},
}
KEPT = Kept("cachedContents/1", NOW + TTL, 2000)
GEMINI = "/v1beta/models/gemini-3.1-flash-lite:generateContent"
VERTEX = "/v1/publishers/google/models/gemini-3.1-flash-lite:generateContent"


@dataclass
class Service:
    """Answers requests in turn: a JSON value, bytes, or why there is none."""

    replies: list[Any]
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    alone: int = 0
    now: float = NOW

    async def ask(self, _route: Route, method: str, request: Request) -> bytes:
        self.asked.append(
            (method, request.endpoint, json.loads(bytes(request.body)) if request.body and method == "POST" else None)
        )
        await asyncio.sleep(0)
        reply = self.replies.pop(0)
        if isinstance(reply, Failure):
            raise CallFailed(reply)
        return reply if isinstance(reply, bytes) else json.dumps(reply).encode()

    @asynccontextmanager
    async def one_at_a_time(self) -> AsyncIterator[None]:
        self.alone += 1
        yield

    def contexts(self, memory: Path) -> Contexts:
        return Contexts(memory, self.ask, self.one_at_a_time, now=lambda: self.now)


def failure(status: int | None, kind: FailureKind = FailureKind.BAD_REQUEST) -> Failure:
    return Failure(kind, f"the service says {status}", status=status)


def divided(endpoint: str = GEMINI) -> Divided:
    kept = Request("gemini", 1, "gemini", endpoint, b'{"contents":[]}')
    return Divided("ident", kept, kept, "cachedContent")


def nothing() -> Failure | None:
    return None


def untold(_kept: Kept) -> None:
    return None


def keep(
    service: Service, memory: Path, route: Route, part: Divided | None = None, times: int = 1, made: bool | None = None
) -> Kept:
    contexts = service.contexts(memory)
    told: list[Kept] = []

    async def all_at_once() -> list[Kept]:
        return list(
            await asyncio.gather(
                *(contexts.keep(route, part or divided(), TTL, nothing, told.append) for _ in range(times))
            )
        )

    found = asyncio.run(all_at_once())
    assert len({kept.name for kept in found}) == 1
    assert made is None or told == found[:made]
    return found[0]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "below" / "contexts.json"


@pytest.fixture
def route(make_route: MakeRoute) -> Route:
    return make_route(dialect="gemini", base_url="https://box.test/")


def test_what_is_not_there_is_made_once_however_many_ask(memory: Path, route: Route) -> None:
    service = Service([{}, ENTRY])
    found = keep(service, memory, route, times=20, made=True)
    assert found == KEPT
    assert service.asked == [
        ("GET", "/v1beta/cachedContents?pageSize=1000", None),
        (
            "POST",
            "/v1beta/cachedContents",
            {"contents": [], "model": "models/gemini-3.1-flash-lite", "displayName": "runner-ident", "ttl": "3600s"},
        ),
    ]
    assert read_memory(memory) == {"https://box.test ident": KEPT}
    assert memory.stat().st_mode & 0o777 == 0o600


def test_vertex_keeps_it_in_the_project(memory: Path, make_route: MakeRoute) -> None:
    settings = {"project": "shop", "location": "us"}
    route = make_route(dialect="vertex", base_url="https://us.test", settings=settings)
    name = "projects/1/locations/us/cachedContents/1"
    service = Service([{}, {**ENTRY, "name": name}])
    assert keep(service, memory, route, divided(VERTEX)).name == name
    assert [path for _, path, _ in service.asked] == [
        "/v1/projects/shop/locations/us/cachedContents?pageSize=1000",
        "/v1/projects/shop/locations/us/cachedContents",
    ]
    assert service.asked[1][2]["model"] == "projects/shop/locations/us/publishers/google/models/gemini-3.1-flash-lite"
    assert list(read_memory(memory)) == ["https://us.test shop/us ident"]


def test_what_an_earlier_run_made_is_used_and_nothing_is_asked(memory: Path, route: Route) -> None:
    memory.parent.mkdir()
    write_memory(memory, {memory_key(route, "ident"): KEPT})
    assert keep(Service([]), memory, route, made=False) == KEPT


def test_what_is_in_the_list_is_not_made_again(memory: Path, route: Route) -> None:
    """Of several the one that lives longest; others are of no concern."""
    first = {**ENTRY, "name": "cachedContents/0", "expireTime": "1970-01-12T14:30:00Z"}
    service = Service(
        [
            {"cachedContents": [{**ENTRY, "displayName": "other"}, first], "nextPageToken": "a/b"},
            {"cachedContents": ["nonsense", ENTRY, {**ENTRY, "expireTime": "1970-01-12T13:46:41Z"}]},
        ]
    )
    assert keep(service, memory, route, made=False) == KEPT
    assert service.asked[1][1] == "/v1beta/cachedContents?pageSize=1000&pageToken=a%2Fb"


def test_what_was_begun_by_a_run_that_died_is_found_and_counted_as_made(memory: Path, route: Route) -> None:
    memory.parent.mkdir()
    write_memory(memory, {memory_key(route, "ident"): Kept("", NOW + TTL)})
    assert keep(Service([{"cachedContents": [ENTRY]}]), memory, route, made=True) == KEPT


def test_that_it_is_begun_is_on_disk_before_it_is_asked_for(memory: Path, route: Route) -> None:
    service = Service([{}, failure(None, FailureKind.UNKNOWN_DELIVERY), {"cachedContents": [ENTRY]}])
    contexts = service.contexts(memory)
    with pytest.raises(CallFailed):
        asyncio.run(contexts.keep(route, divided(), TTL, nothing, untold))
    assert read_memory(memory) == {"https://box.test ident": Kept("", NOW + TTL)}
    told: list[Kept] = []
    asyncio.run(contexts.keep(route, divided(), TTL, nothing, told.append))
    assert told == [KEPT]


def test_what_was_refused_was_not_begun(memory: Path, route: Route) -> None:
    with pytest.raises(CallFailed):
        asyncio.run(Service([{}, failure(400)]).contexts(memory).keep(route, divided(), TTL, nothing, untold))
    assert read_memory(memory) == {}


def test_nothing_is_made_without_leave(memory: Path, route: Route) -> None:
    service = Service([{}])
    refused = Failure(FailureKind.BUDGET, "not asked")
    with pytest.raises(CallFailed) as caught:
        asyncio.run(service.contexts(memory).keep(route, divided(), TTL, lambda: refused, untold))
    assert (caught.value.failure, caught.value.requests) == (refused, 0)
    assert [method for method, _, _ in service.asked] == ["GET"]


@pytest.mark.parametrize("age_s", [TTL - 59, TTL, TTL + 1])
def test_what_ends_soon_is_made_anew(memory: Path, route: Route, age_s: float) -> None:
    memory.parent.mkdir()
    write_memory(memory, {memory_key(route, "ident"): KEPT})
    service = Service([{}, {**ENTRY, "name": "cachedContents/2"}], now=NOW + age_s)
    assert keep(service, memory, route).name == "cachedContents/2"


def test_a_short_life_is_used_but_for_its_last_tenth() -> None:
    kept = Kept("c", 100.0)
    assert is_usable(kept, 100.0, 89.0)
    assert not is_usable(kept, 100.0, 90.0)
    assert is_usable(kept, 3600.0, 39.0)
    assert not is_usable(kept, 3600.0, 40.0)
    assert not is_usable(Kept("", 100.0), 100.0, 0.0)


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_gone_is_forgotten_and_made_anew(memory: Path, route: Route, status: int) -> None:
    service = Service([{}, ENTRY, failure(status), {"cachedContents": [ENTRY]}, {**ENTRY, "name": "cachedContents/2"}])
    contexts = service.contexts(memory)

    async def all_of_it() -> str:
        kept = await contexts.keep(route, divided(), TTL, nothing, untold)
        assert await contexts.is_gone(route, divided(), kept)
        assert read_memory(memory) == {}
        return (await contexts.keep(route, divided(), TTL, nothing, untold)).name

    assert asyncio.run(all_of_it()) == "cachedContents/2"
    assert service.asked[2][:2] == ("GET", "/v1beta/cachedContents/1")


def test_what_is_over_and_still_shown_is_gone(memory: Path, route: Route) -> None:
    over = {**ENTRY, "expireTime": "1970-01-12T13:46:39Z"}
    service = Service([{}, ENTRY, over, {"cachedContents": [over]}, {**ENTRY, "name": "cachedContents/2"}])
    contexts = service.contexts(memory)

    async def all_of_it() -> str:
        kept = await contexts.keep(route, divided(), TTL, nothing, untold)
        assert await contexts.is_gone(route, divided(), kept)
        return (await contexts.keep(route, divided(), TTL, nothing, untold)).name

    assert asyncio.run(all_of_it()) == "cachedContents/2"


@pytest.mark.parametrize("reply", [ENTRY, {}, b"<html>", failure(500, FailureKind.TRANSIENT)])
def test_what_is_there_or_may_be_is_not_forgotten(memory: Path, route: Route, reply: Any) -> None:
    service = Service([{}, ENTRY, reply])
    contexts = service.contexts(memory)

    async def all_of_it() -> bool:
        return await contexts.is_gone(route, divided(), await contexts.keep(route, divided(), TTL, nothing, untold))

    assert not asyncio.run(all_of_it())
    assert read_memory(memory)


def test_one_that_another_has_made_anew_meanwhile_is_not_forgotten(memory: Path, route: Route) -> None:
    memory.parent.mkdir()
    write_memory(memory, {memory_key(route, "ident"): KEPT})
    service = Service([failure(404)])
    assert asyncio.run(service.contexts(memory).is_gone(route, divided(), Kept("cachedContents/0", NOW)))
    assert read_memory(memory) == {memory_key(route, "ident"): KEPT}


def test_what_is_deleted_is_forgotten(memory: Path, route: Route) -> None:
    service = Service([{}, failure(404), failure(500, FailureKind.TRANSIENT)])
    contexts = service.contexts(memory)
    memory.parent.mkdir()
    write_memory(memory, {memory_key(route, "ident"): KEPT})
    asyncio.run(contexts.drop(route, divided(), KEPT))
    assert (service.asked, read_memory(memory)) == ([("DELETE", "/v1beta/cachedContents/1", None)], {})
    asyncio.run(contexts.drop(route, divided(), KEPT))
    with pytest.raises(CallFailed):
        asyncio.run(contexts.drop(route, divided(), KEPT))


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([b"<html>"], "'box' answers with something that is not JSON where it keeps parts of questions"),
        ([{"cachedContents": {}}], "'box' lists what it keeps in a way that cannot be read"),
        ([{}, {"name": 5}], "'box' gives what it keeps no name"),
        ([{}, {"name": "../evil"}], "'box' gives what it keeps no name"),
    ],
)
def test_what_cannot_be_read_is_a_failure(memory: Path, route: Route, replies: list[Any], message: str) -> None:
    with pytest.raises(CallFailed) as caught:
        asyncio.run(Service(replies).contexts(memory).keep(route, divided(), TTL, nothing, untold))
    assert (caught.value.failure.kind, caught.value.failure.message) == (FailureKind.BAD_ANSWER, message)


def test_a_list_without_an_end_is_given_up(memory: Path, route: Route) -> None:
    pages = [{"cachedContents": [], "nextPageToken": "more"}] * 100
    assert keep(Service([*pages, ENTRY]), memory, route, made=True) == KEPT


def test_an_answer_without_a_time_or_a_count_is_taken_as_asked_for(memory: Path, route: Route) -> None:
    assert keep(Service([{}, {"name": "cachedContents/1"}]), memory, route) == Kept("cachedContents/1", NOW + TTL)


def test_a_memory_that_is_damaged_or_cannot_be_written_is_none(tmp_path: Path, route: Route) -> None:
    damaged = tmp_path / "contexts.json"
    damaged.write_text('{"a": 1}', encoding="utf-8")
    assert read_memory(damaged) == {}
    blocked = tmp_path / "contexts.json" / "contexts.json"
    service = Service([{}, ENTRY, failure(404), {}, ENTRY])
    contexts = service.contexts(blocked)

    async def all_of_it() -> None:
        kept = await contexts.keep(route, divided(), TTL, nothing, untold)
        assert await contexts.keep(route, divided(), TTL, nothing, untold) == KEPT
        assert await contexts.is_gone(route, divided(), kept)
        await contexts.keep(route, divided(), TTL, nothing, untold)

    asyncio.run(all_of_it())


def test_what_others_remember_is_kept_beside_it_while_it_lives(memory: Path, route: Route) -> None:
    memory.parent.mkdir()
    write_memory(memory, {"alive": KEPT, "dead": Kept("cachedContents/9", NOW - 1, None)})
    keep(Service([{}, ENTRY]), memory, route)
    assert set(read_memory(memory)) == {"alive", "https://box.test ident"}
