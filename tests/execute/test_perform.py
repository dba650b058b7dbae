"""One ask: stored, shared, sent, tried again, kept, or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from runner.core.events import Noted, Retrying
from runner.core.outcome import Failure, FailureKind, Source
from runner.core.ports import CallFailed
from runner.execute.gate import Gate
from runner.execute.perform import Performer
from runner.plan.advance import Answered, Ask

Failed = Callable[..., CallFailed]


@pytest.fixture
def one(bench: Any) -> Any:
    bench.workflow("steps: {ask: {prompt: hello, retries: 3}}")
    return bench


def answer(bench: Any, *asks: Ask) -> list[Answered]:
    """What all of them get, asked at once."""

    async def use(performer: Performer, _gate: Gate) -> list[Answered]:
        return list(await asyncio.gather(*(performer.answer(ask) for ask in asks)))

    found: list[Answered] = bench.run(use)
    return found


async def later(reply: Any) -> Any:
    """A reply that others have time to wait for."""
    for _ in range(5):
        await asyncio.sleep(0)
    return reply


def test_a_fresh_answer_is_kept_before_it_is_given(one: Any) -> None:
    (answered,) = answer(one, one.ask())
    assert answered.answer is not None
    assert answered.answer.source is Source.FRESH
    assert (answered.requests, answered.reason, answered.is_todays) == (1, "new", True)
    assert list(one.shelf.kept) == [one.ask().key]


def test_a_stored_answer_is_not_asked_for(one: Any) -> None:
    answer(one, one.ask())
    (again,) = answer(one, one.ask())
    assert again.answer is not None
    assert again.answer.source is Source.CACHED
    assert (again.requests, again.is_todays, one.sent) == (0, False, ["hello"])


def test_equal_asks_at_once_are_one_request(one: Any) -> None:
    answered = answer(one, *(one.ask() for _ in range(5)))
    assert one.sent == ["hello"]
    assert [found.requests for found in answered] == [1, 0, 0, 0, 0]
    assert [found.answer.source for found in answered if found.answer] == [Source.FRESH, *[Source.CACHED] * 4]


def test_a_cut_answer_is_shared_as_a_failure_entry(one: Any) -> None:
    one.respond = lambda _: one.Rule(answer="half", finish="length")
    answered = answer(one, one.ask(), one.ask())
    assert [found.answer.failure for found in answered if found.answer] == [FailureKind.CUT, FailureKind.CUT]
    assert one.sent == ["hello"]


def test_after_a_transport_failure_the_next_waiter_leads(one: Any, failed: Failed) -> None:
    one.workflow("steps: {ask: {prompt: hello, retries: 0}}")
    replies = [failed(FailureKind.TRANSIENT), one.Rule(answer="hi")]
    one.respond = lambda _: later(replies.pop(0))
    first, second = answer(one, one.ask(), one.ask())
    assert first.failure is not None
    assert first.failure.kind is FailureKind.TRANSIENT
    assert second.answer is not None


def test_a_hopeless_failure_is_shared(one: Any, failed: Failed) -> None:
    one.respond = lambda _: later(failed(FailureKind.BAD_REQUEST))
    answered = answer(one, one.ask(), one.ask())
    assert [found.failure.kind for found in answered if found.failure] == [FailureKind.BAD_REQUEST] * 2
    assert [found.requests for found in answered] == [1, 0]


def test_a_defect_is_raised_at_everybody_who_waits_for_it(one: Any) -> None:
    one.respond = lambda _: later(ZeroDivisionError("a defect"))

    async def use(performer: Performer, _gate: Gate) -> list[Any]:
        return await asyncio.gather(*(performer.answer(one.ask()) for _ in range(3)), return_exceptions=True)

    assert [type(found) for found in one.run(use)] == [ZeroDivisionError] * 3
    assert one.sent == ["hello"]


def test_when_the_leader_is_cancelled_the_next_one_leads(one: Any) -> None:
    async def use(performer: Performer, _gate: Gate) -> Answered:
        hold = asyncio.Event()
        replies = [hold.wait(), None]
        one.respond = lambda _: replies.pop(0) or one.Rule(answer="hi")
        leader = asyncio.create_task(performer.answer(one.ask()))
        waiter = asyncio.create_task(performer.answer(one.ask()))
        while not one.sent:
            await asyncio.sleep(0)
        leader.cancel()
        await asyncio.wait({leader})
        return await waiter

    answered = one.run(use)
    assert answered.answer is not None
    assert one.sent == ["hello", "hello"]


def test_a_mark_that_cannot_be_kept_is_told_once(one: Any) -> None:
    (answered,) = answer(one, one.ask())
    one.shelf.broken = one.full

    async def use(performer: Performer, _gate: Gate) -> None:
        assert answered.answer is not None
        await performer.keep(answered.answer)
        await performer.keep(answered.answer)

    one.run(use)
    assert sum(isinstance(event, Noted) for event in one.events) == 1


def test_without_a_cache_equal_asks_are_asked_each_and_nothing_is_kept(one: Any) -> None:
    one.workflow("steps: {ask: {prompt: hello}}", use_cache=False)
    answered = answer(one, one.ask(), one.ask())
    assert [found.reason for found in answered] == ["off", "off"]
    assert one.sent == ["hello", "hello"]
    assert one.shelf.kept == {}


def test_a_forced_ask_is_asked_once_a_run(one: Any) -> None:
    answer(one, one.ask())
    one.workflow("steps: {ask: {prompt: hello}}", refresh=frozenset({"*"}))

    async def use(performer: Performer, _gate: Gate) -> list[Answered]:
        return [await performer.answer(one.ask()) for _ in range(2)]

    first, second = one.run(use)
    assert (first.reason, second.reason) == ("forced", "forced")
    assert one.sent == ["hello", "hello"]
    assert second.is_todays


def test_a_forced_ask_whose_answer_was_not_kept_is_asked_again(one: Any) -> None:
    one.workflow("steps: {ask: {prompt: hello}}", refresh=frozenset({"*"}))

    async def use(performer: Performer, _gate: Gate) -> None:
        await performer.answer(one.ask())
        one.shelf.kept.clear()
        await performer.answer(one.ask())

    one.run(use)
    assert len(one.sent) == 2


# Trying again


def test_transient_failures_are_tried_again_and_told(one: Any, failed: Failed) -> None:
    replies = [
        failed(FailureKind.TRANSIENT, "busy"),
        failed(FailureKind.UNKNOWN_DELIVERY, "lost"),
        one.Rule(answer="x"),
    ]
    one.respond = lambda _: replies.pop(0)
    one.random = 0.5
    (answered,) = answer(one, one.ask())
    assert answered.answer is not None
    assert (answered.requests, answered.maybe_paid_twice) == (3, 1)
    assert one.clock.waits == [0.25, 0.5]
    assert [event for event in one.events if isinstance(event, Retrying)] == [
        Retrying("ask", "", 1, 0.25, "busy"),
        Retrying("ask", "", 2, 0.5, "lost"),
    ]


def test_giving_up_says_why(one: Any, failed: Failed) -> None:
    one.respond = lambda _: failed(FailureKind.TRANSIENT, "busy")
    (answered,) = answer(one, one.ask())
    assert answered.failure == Failure(FailureKind.TRANSIENT, "busy; tried 4 times")
    assert answered.requests == 4


def test_the_provider_s_wish_is_waited_for(one: Any) -> None:
    replies = [Failure(FailureKind.TRANSIENT, "later", retry_after_s=9.0), one.Rule(answer="x")]
    one.respond = lambda _: replies.pop(0)
    answer(one, one.ask())
    assert one.clock.waits == [9.0]


def test_what_was_never_sent_is_no_request(one: Any, failed: Failed) -> None:
    one.respond = lambda _: failed(FailureKind.AUTH, requests=0)
    (answered,) = answer(one, one.ask())
    assert answered.requests == 0


def test_an_answer_that_is_none_is_not_kept(one: Any) -> None:
    one.respond = lambda _: b"<html>"
    (answered,) = answer(one, one.ask())
    assert answered.failure is not None
    assert answered.failure.kind is FailureKind.BAD_ANSWER
    assert one.shelf.kept == {}


@pytest.mark.parametrize("kind", [FailureKind.AUTH, FailureKind.QUOTA, FailureKind.NOT_FOUND])
def test_a_model_that_is_gone_is_not_asked_again(one: Any, failed: Failed, kind: FailureKind) -> None:
    one.limit = 1
    one.respond = lambda _: failed(kind, "gone")
    asks = [replace(one.ask(), key=f"key-{number}") for number in range(20)]
    answered = answer(one, *asks)
    assert len(one.sent) == 1
    rest = Failure(FailureKind.NOT_ASKED, "not asked: gone")
    assert [found.failure for found in answered] == [Failure(kind, "gone"), *[rest] * 19]
    assert [found.requests for found in answered] == [1] + [0] * 19


def test_a_model_that_is_gone_ends_the_waits_of_others(one: Any, failed: Failed) -> None:
    """One waits to try again when the key of another request is refused."""

    async def use(performer: Performer, _gate: Gate) -> tuple[Answered, Answered]:
        one.clock.hold = asyncio.Event()  # never set: who waits, waits for ever
        replies = [failed(FailureKind.TRANSIENT, "busy"), failed(FailureKind.AUTH, "no")]
        one.respond = lambda _: replies.pop(0)
        waiting = asyncio.create_task(performer.answer(replace(one.ask(), key="1")))
        while not one.clock.waits:
            await asyncio.sleep(0)
        refused = await performer.answer(replace(one.ask(), key="2"))
        return await waiting, refused

    waited, refused = one.run(use)
    assert waited.failure == Failure(FailureKind.TRANSIENT, "busy")
    assert waited.maybe_paid_twice == 0
    assert refused.failure == Failure(FailureKind.AUTH, "no")
    assert len(one.sent) == 2


# Other processes


@dataclass
class Elsewhere:
    """Somebody else asks every question until `then` was called, which happens at the third look."""

    then: Callable[[str], None] = lambda _key: None
    broken: Exception | None = None
    looks: int = 0

    def claim(self, keys: Sequence[str], *, release: Iterable[str] = ()) -> set[str]:
        if self.broken is not None:
            raise self.broken
        self.looks += 1
        if not keys or self.looks < 3:
            return set()
        self.then(keys[0])
        return set(keys)

    def renew(self) -> None:
        """Nobody looks."""

    def close(self) -> None:
        """Nothing is open."""


class Never(Elsewhere):
    """Somebody else asks every question for ever."""

    def claim(self, keys: Sequence[str], *, release: Iterable[str] = ()) -> set[str]:
        return set()


def test_what_another_process_asked_meanwhile_is_not_asked_again(one: Any) -> None:
    answer(one, one.ask())
    (kept,) = one.shelf.kept.values()
    one.shelf.kept.clear()
    one.leases = Elsewhere(lambda key: one.shelf.kept.update({key: kept}))
    (shared,) = answer(one, one.ask())
    assert shared.answer == replace(kept, source=Source.CACHED)
    assert (shared.requests, shared.is_todays) == (0, True)
    assert one.sent == ["hello"]


def test_a_question_that_another_process_could_not_answer_is_asked_here(one: Any) -> None:
    one.leases = Elsewhere()
    (fresh,) = answer(one, one.ask())
    assert (fresh.requests, one.sent) == (1, ["hello"])


def test_an_answer_that_is_not_to_be_used_is_shared_only_if_another_process_has_replaced_it(one: Any) -> None:
    forced = one.ask(must_ask=True, reason="forced")
    answer(one, forced)
    (old,) = one.shelf.kept.values()
    one.leases = Elsewhere()
    (asked,) = answer(one, forced)
    assert (asked.requests, one.sent) == (1, ["hello", "hello"])
    one.leases = Elsewhere(lambda key: one.shelf.kept.update({key: replace(old, payload=b'{"text": "newer"}')}))
    (shared,) = answer(one, forced)
    assert shared.answer is not None
    assert (shared.answer.payload, shared.requests, shared.reason) == (b'{"text": "newer"}', 0, "forced")
    assert one.sent == ["hello", "hello"]


def test_a_stop_ends_the_waiting_for_another_process(one: Any) -> None:
    stopped = Failure(FailureKind.INTERRUPTED, "stopped")

    async def use(performer: Performer, _gate: Gate) -> list[Answered]:
        waiting = asyncio.ensure_future(performer.answer(one.ask()))
        while not performer._claiming:
            await asyncio.sleep(0)
        performer.stop(stopped)
        return [await waiting, await performer.answer(one.ask())]

    one.leases = Never()
    assert [answered.failure for answered in one.run(use)] == [stopped, stopped]
    assert one.sent == []


def test_a_claim_that_came_with_the_stop_is_given_up(one: Any) -> None:
    stopped = Failure(FailureKind.INTERRUPTED, "stopped")

    async def use(performer: Performer, _gate: Gate) -> Answered:
        waiting = asyncio.ensure_future(performer.answer(one.ask()))
        while not performer._claiming:
            await asyncio.sleep(0)
        next(iter(performer._claiming)).set_result(True)
        performer.stop(stopped)
        return await waiting

    one.leases = Never()
    assert one.run(use).failure == stopped


def test_without_claims_a_question_is_asked_all_the_same_and_that_is_told_once(one: Any) -> None:
    one.leases = Elsewhere(broken=one.full)
    answered = answer(one, one.ask(), one.ask(key="other"))
    assert [found.requests for found in answered] == [1, 1]
    assert [event for event in one.events if isinstance(event, Noted)] == [
        Noted("unclaimed", "no space is left; another run at the same time may ask the same questions")
    ]


# Being stopped


def test_a_stop_sends_nothing_more_and_ends_waits(one: Any, failed: Failed) -> None:
    stopped = Failure(FailureKind.INTERRUPTED, "stopped")

    async def use(performer: Performer, _gate: Gate) -> tuple[Answered, Answered]:
        one.clock.hold = asyncio.Event()
        one.respond = lambda _: failed(FailureKind.TRANSIENT, "busy")
        waiting = asyncio.create_task(performer.answer(one.ask()))
        while not one.clock.waits:
            await asyncio.sleep(0)
        performer.stop(stopped)
        performer.stop(Failure(FailureKind.STORAGE, "the first reason counts"))
        return await waiting, await performer.answer(replace(one.ask(), key="2"))

    waited, late = one.run(use)
    assert waited.failure == Failure(FailureKind.TRANSIENT, "busy")
    assert late.failure == stopped
    assert len(one.sent) == 1


def test_a_failure_after_the_stop_is_not_tried_again(one: Any, failed: Failed) -> None:
    async def use(performer: Performer, _gate: Gate) -> Answered:
        def respond(_: str) -> Any:
            performer.stop(Failure(FailureKind.INTERRUPTED, "stopped"))
            return failed(FailureKind.TRANSIENT, "busy")

        one.respond = respond
        return await performer.answer(one.ask())

    assert one.run(use).failure == Failure(FailureKind.TRANSIENT, "busy")
    assert one.clock.waits == []


def test_a_stop_waits_for_what_may_be_paid(one: Any) -> None:
    async def use(performer: Performer, _gate: Gate) -> Answered:
        async def slow() -> Any:
            performer.stop(Failure(FailureKind.INTERRUPTED, "stopped"))
            await asyncio.sleep(0)
            return one.Rule(answer="paid")

        one.respond = lambda _: slow()
        return await performer.answer(one.ask())

    assert one.run(use).answer is not None
    assert len(one.shelf.kept) == 1


@pytest.fixture
def local(bench: Any) -> Any:
    """A provider inside this process."""
    bench.provider = replace(bench.provider, dialect="llama")
    bench.workflow("steps: {ask: {prompt: hello}}")
    return bench


def test_a_stop_drops_what_runs_in_this_process(local: Any) -> None:
    ended: list[str] = []

    async def use(performer: Performer, _gate: Gate) -> Answered:
        async def for_ever() -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        local.respond = lambda _: for_ever()
        answering = asyncio.create_task(performer.answer(local.ask()))
        while not local.sent:
            await asyncio.sleep(0)
        performer.stop(Failure(FailureKind.INTERRUPTED, "stopped"))
        return await answering

    assert local.run(use).failure == Failure(FailureKind.INTERRUPTED, "stopped")
    assert ended == ["ended"]


def test_what_runs_in_this_process_answers_like_any_other(local: Any, failed: Failed) -> None:
    (answered,) = answer(local, local.ask())
    assert answered.answer is not None
    local.shelf.kept.clear()
    local.respond = lambda _: failed(FailureKind.BAD_ANSWER, "broke")
    (answered,) = answer(local, local.ask())
    assert answered.failure == Failure(FailureKind.BAD_ANSWER, "broke")


# Keeping


def test_an_answer_that_cannot_be_kept_is_given_and_ends_the_asking(one: Any) -> None:
    one.shelf.broken = one.full

    async def use(performer: Performer, _gate: Gate) -> tuple[Answered, Answered, str]:
        first = await performer.answer(one.ask())
        second = await performer.answer(replace(one.ask(), key="2"))
        assert performer.unkept is not None
        return first, second, performer.unkept.message

    first, second, told = one.run(use)
    assert first.answer is not None
    assert second.failure == Failure(FailureKind.STORAGE, "not asked, because its answer could not be kept")
    assert told == "no space is left; answers received since are used but not kept"
    assert [event for event in one.events if isinstance(event, Noted)] == [Noted("storage", told)]


def test_a_step_s_own_bound_holds(bench: Any) -> None:
    bench.workflow("steps: {ask: {prompt: hello, max_parallel: 2}}")
    running: list[int] = [0, 0]

    async def use(performer: Performer, _gate: Gate) -> None:
        async def count() -> Any:
            running[0] += 1
            running[1] = max(running)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running[0] -= 1
            return bench.Rule(answer="x")

        bench.respond = lambda _: count()
        asks = [replace(bench.ask(), key=f"key-{number}") for number in range(8)]
        await asyncio.gather(*(performer.answer(ask) for ask in asks))

    bench.run(use)
    assert running[1] == 2


def test_a_streamed_answer_says_when_its_text_began(one: Any) -> None:
    heard: list[tuple[str, str]] = []
    one.hear = lambda ask, text: heard.append((ask.step, text))
    (answered,) = answer(one, one.ask())
    assert (answered.first_token_s, answered.seconds, heard) == (2.0, 5.0, [("ask", "some text")])


def test_without_a_listener_nothing_is_streamed(one: Any) -> None:
    (answered,) = answer(one, one.ask())
    assert (answered.first_token_s, answered.seconds) == (None, 0.0)


def test_an_answer_without_text_has_no_beginning(one: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(route: Any, request: Any, *, timeout_s: float, hear: Any) -> bytes:
        payload: bytes = await one.send(route, request, timeout_s=timeout_s)
        return payload

    monkeypatch.setattr(one, "stream", silent)
    one.hear = lambda _ask, _text: None
    (answered,) = answer(one, one.ask())
    assert answered.first_token_s is None
