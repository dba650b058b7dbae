"""How questions are sent whose shared part is kept: paid once, told once, and whole where that is not to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runner.core.budget import Allowance, Limit
from runner.core.call import Call, Message, SharedPart
from runner.core.context import Allow, ContextCache, Divided, Kept, TellMade
from runner.core.events import ContextKept, Event, Noted
from runner.core.model import ModelFacts, Price, Provider, Route
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.dialects import DIALECTS
from runner.execute.contexts import ContextUse
from runner.execute.spending import Purse
from runner.plan.advance import Ask

PRICE = Price(1.0, 2.0, 0.1, storage=1.0)
ROUTE = Route("box/m", Provider("box", "gemini", "http://127.0.0.1:9"), "m", ModelFacts("box", "m", price=PRICE))
TTL = 3600.0


@dataclass
class Part:
    """What sending asks of a step."""

    context: ContextCache | None = field(default_factory=lambda: ContextCache(TTL))
    full_name: str = "ask"
    owner: str = "ask"
    route: Route = ROUTE

    def divide(self, call: Call, request: Request) -> Divided:
        kept = replace(request, body=str(call.system).encode())
        return Divided(str(call.system), kept, request, "cachedContent")


class Clock:
    def monotonic(self) -> float:
        return 0.0

    def now(self) -> float:
        return 1000.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


@dataclass
class Keeper:
    """Gives what it is told to, in turn."""

    gives: list[Kept | Failure]
    is_made: bool = True
    gone: bool = True
    asked: int = 0

    async def keep(self, route: Route, divided: Divided, ttl_s: float, allow: Allow, tell: TellMade) -> Kept:
        self.asked += 1
        refused = allow() if self.is_made else None
        given = refused or self.gives.pop(0)
        await asyncio.sleep(0)
        if isinstance(given, Failure):
            raise CallFailed(given)
        if self.is_made:
            tell(given)
        return given

    async def is_gone(self, route: Route, divided: Divided, kept: Kept) -> bool:
        return self.gone

    async def drop(self, route: Route, divided: Divided, kept: Kept) -> None:
        raise AssertionError("nothing is deleted here")


@dataclass
class Bench:
    keeper: Keeper
    purse: Purse = field(default_factory=lambda: Purse(Allowance()))
    events: list[Event] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    fails: list[Failure] = field(default_factory=list)
    use: Any = None

    def __post_init__(self) -> None:
        self.use = ContextUse(self.keeper, Clock(), self.events.append)

    async def _send(self, request: Request) -> bytes:
        self.sent.append(bytes(request.body))
        if self.fails:
            raise CallFailed(self.fails.pop(0))
        return b"answer"

    def send(self, *systems: str, step: Any = None) -> list[bytes | BaseException]:
        async def all_at_once() -> list[bytes | BaseException]:
            sending = (self.use.send(step or Part(), ask(one), self.purse, self._send) for one in systems)
            return list(await asyncio.gather(*sending, return_exceptions=True))

        return asyncio.run(all_at_once())

    @property
    def kept(self) -> Sequence[ContextKept]:
        return [event for event in self.events if isinstance(event, ContextKept)]


def ask(system: str) -> Ask:
    call = Call("m", (Message("user", "hi"),), system=system, shared=SharedPart())
    request = DIALECTS["gemini"].encode(call, ROUTE)
    return Ask("ask", "", call, replace(request, body=b'{"contents":[]}'), "key", {})


def failed(found: object) -> Failure:
    assert isinstance(found, CallFailed)
    assert found.requests == 0
    return found.failure


KEPT = Kept("c/1", 1000.0 + TTL, 1_000_000)
NAMED = b'{"cachedContent":"c/1","contents":[]}'
GONE = Failure(FailureKind.AUTH, "not found", status=403)


def test_what_is_made_is_paid_and_told_once() -> None:
    bench = Bench(Keeper([KEPT] * 9))
    assert bench.send(*["rules"] * 9) == [b"answer"] * 9
    assert bench.sent == [NAMED] * 9
    assert bench.kept == [ContextKept("ask", "box/m", "c/1", 1_000_000, TTL, 1.0, 1.0, is_new=True)]
    assert bench.purse.spent.tokens == pytest.approx(9_000_000)


def test_what_was_there_costs_nothing_and_is_told_once() -> None:
    bench = Bench(Keeper([replace(KEPT, tokens=None)] * 3, is_made=False))
    bench.send(*["rules"] * 3)
    assert bench.kept == [ContextKept("ask", "box/m", "c/1", 2, TTL, 0.0, 0.0, is_new=False)]
    assert bench.purse.spent.usd == 0.0


def test_a_price_that_is_not_known_is_told_as_such() -> None:
    route = replace(ROUTE, facts=ModelFacts("box", "m"))
    bench = Bench(Keeper([KEPT]))
    bench.send("rules", step=Part(route=route))
    assert (bench.kept[0].made_usd, bench.kept[0].kept_usd) == (None, None)


def test_a_part_that_differs_from_the_first_is_sent_whole() -> None:
    """To keep one for each item would cost more than it saves."""
    bench = Bench(Keeper([KEPT] * 2))
    bench.send("rules")
    bench.send("others")
    assert (bench.sent, bench.keeper.asked) == ([NAMED, b'{"contents":[]}'], 1)


def test_a_step_that_keeps_nothing_is_not_looked_at() -> None:
    bench = Bench(Keeper([]))
    bench.send("rules", step=Part(context=None))
    assert bench.sent == [b'{"contents":[]}']


def test_what_is_refused_once_is_not_asked_for_again() -> None:
    bench = Bench(Keeper([Failure(FailureKind.BAD_REQUEST, "no", status=400)]))
    found = bench.send("rules", "rules", "rules")
    message = "what all questions of ask share could not be kept: no"
    assert {failed(one).message for one in found} == {message}
    assert (bench.keeper.asked, bench.sent, bench.purse.spent.usd) == (1, [], 0.0)


def test_an_answer_that_is_lost_costs_nothing_twice() -> None:
    bench = Bench(Keeper([Failure(FailureKind.UNKNOWN_DELIVERY, "lost"), KEPT]))
    (first,) = bench.send("rules")
    assert failed(first).kind is FailureKind.TRANSIENT
    assert bench.send("rules") == [b"answer"]


def test_a_budget_without_room_is_said_as_such() -> None:
    bench = Bench(Keeper([]), Purse(Allowance(usd=Limit(0.0, "--max-cost"))))
    (found,) = bench.send("long rules " * 1000)
    assert failed(found) == Failure(FailureKind.BUDGET, "not asked: the budget of 0 USD is spent")
    assert bench.purse.refused_by == ("usd", Limit(0.0, "--max-cost"))
    tokens = Bench(Keeper([]), Purse(Allowance(tokens=Limit(10, "x"))))
    assert failed(tokens.send("long rules " * 1000)[0]).message == "not asked: the budget of 10 tokens is spent"


def test_what_is_free_needs_no_money() -> None:
    free = replace(ROUTE, facts=ModelFacts("box", "m", price=Price(0.0, 0.0)))
    bench = Bench(Keeper([KEPT]), Purse(Allowance(usd=Limit(0.0, "--max-cost"))))
    assert bench.send("rules", step=Part(route=free)) == [b"answer"]


def test_what_is_gone_is_kept_anew_once() -> None:
    bench = Bench(Keeper([KEPT, replace(KEPT, name="c/2")]), fails=[GONE])
    assert bench.send("rules") == [b"answer"]
    assert bench.sent == [NAMED, NAMED.replace(b"c/1", b"c/2")]
    bench = Bench(Keeper([KEPT, replace(KEPT, name="c/2")]), fails=[GONE, GONE])
    assert isinstance(bench.send("rules")[0], CallFailed)
    assert len(bench.sent) == 2


@pytest.mark.parametrize("failure", [GONE, Failure(FailureKind.TRANSIENT, "busy", status=503)])
def test_another_failure_is_handed_on(failure: Failure) -> None:
    bench = Bench(Keeper([KEPT], gone=False), fails=[failure])
    (found,) = bench.send("rules")
    assert isinstance(found, CallFailed)
    assert (found.failure, len(bench.sent)) == (failure, 1)


@pytest.mark.parametrize("words", ["Cached content is too small.", "The minimum token count to start caching is 4096."])
def test_what_becomes_too_small_between_two_tries_is_sent_whole(words: str) -> None:
    small = Failure(FailureKind.BAD_REQUEST, words, status=400)
    bench = Bench(Keeper([KEPT, small]), fails=[GONE])
    assert bench.send("rules") == [b"answer"]
    assert bench.sent == [NAMED, b'{"contents":[]}']
    assert [event.message for event in bench.events if isinstance(event, Noted)] == [
        f"what the questions of ask share is sent with each: {words}"
    ]
