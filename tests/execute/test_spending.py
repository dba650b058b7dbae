"""A run is held to its budget: what starts, what waits, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from runner.core.budget import Allowance, Limit
from runner.core.model import ModelFacts, Price
from runner.core.outcome import Failure, FailureKind, Status
from runner.core.response import Usage
from runner.execute.perform import Performer
from runner.execute.spending import Amount, Held, Purse, amount_of

FLOW = "steps: {ask: {prompt: hello}}"
ROWS = "data: {rows: {file: rows.jsonl}}\nsteps: {ask: {for_each: data.rows, prompt: '{{ item }}'}}"


def bounded(**amounts: float) -> Allowance:
    return Allowance(**{kind: Limit(amount, "--max-cost") for kind, amount in amounts.items()})


def priced(bench: Any, price: Price | None) -> Any:
    """The step of the bench's workflow, with this price; a question of eight bytes in two tokens."""
    step = bench.workflow(FLOW).steps["ask"]
    return replace(step, route=replace(step.route, facts=ModelFacts("scripted", "m", price=price)))


async def held(purse: Purse, step: Any, ask: Any) -> Held:
    found = await purse.hold(step, ask)
    assert isinstance(found, Held)
    return found


def test_without_a_bound_nothing_is_counted(bench: Any) -> None:
    step = priced(bench, Price(1, 1))
    purse = Purse(Allowance())

    async def use() -> None:
        purse.settle(await held(purse, step, bench.ask()), Amount(5, 5))

    asyncio.run(use())
    assert (purse.spent, purse.calls, purse.refused_by) == (Amount(), 0, None)


def test_a_request_starts_as_long_as_the_line_is_not_reached(bench: Any) -> None:
    step = priced(bench, Price(1_000_000, 1_000_000))
    purse = Purse(bounded(usd=10))

    async def use() -> Failure | Held:
        purse.settle(await held(purse, step, bench.ask()), Amount(9.99, 3))
        purse.settle(await held(purse, step, bench.ask()), Amount(9.99, 3))
        return await purse.hold(step, bench.ask())

    refused = asyncio.run(use())
    assert refused == Failure(FailureKind.BUDGET, "not asked: the budget of 10 USD is spent")
    assert purse.refused_by == ("usd", Limit(10, "--max-cost"))
    assert purse.spent.usd == pytest.approx(19.98)


def test_near_the_line_a_request_waits_for_those_under_way(bench: Any) -> None:
    step = priced(bench, Price(1_000_000, 1_000_000))
    purse = Purse(bounded(usd=10))

    async def use() -> list[str]:
        told = []
        purse.settle(await held(purse, step, bench.ask()), Amount(4, 3))
        first = await held(purse, step, bench.ask())
        waiting = asyncio.create_task(held(purse, step, bench.ask()))
        await asyncio.sleep(0)
        told.append("waits" if not waiting.done() else "starts")
        purse.settle(first, Amount(1, 3))
        await waiting
        told.append("starts")
        return told

    assert asyncio.run(use()) == ["waits", "starts"]


def test_the_number_of_requests_is_never_passed(bench: Any) -> None:
    step = priced(bench, None)
    purse = Purse(bounded(calls=2))

    async def use() -> list[Failure | Held]:
        return [await purse.hold(step, bench.ask()) for _ in range(3)]

    found = asyncio.run(use())
    assert [type(one) for one in found] == [Held, Held, Failure]
    assert purse.refused_by == ("calls", Limit(2, "--max-cost"))


def test_tokens_have_a_line_of_their_own(bench: Any) -> None:
    step = priced(bench, Price(0, 0))
    purse = Purse(bounded(tokens=5, usd=0))

    async def use() -> Failure | Held:
        purse.settle(await held(purse, step, bench.ask()), Amount(0, 5))
        return await purse.hold(step, bench.ask())

    assert asyncio.run(use()) == Failure(FailureKind.BUDGET, "not asked: the budget of 5 tokens is spent")


def test_a_free_request_goes_on_where_money_has_run_out(bench: Any) -> None:
    purse = Purse(bounded(usd=0))

    async def use() -> None:
        for price in (Price(0, 0), Price(0, 0)):
            await held(purse, priced(bench, price), bench.ask())
        assert isinstance(await purse.hold(priced(bench, None), bench.ask()), Failure), "nobody knows what it costs"

    asyncio.run(use())


def test_a_request_without_an_answer_costs_nothing_unless_it_may_be_paid(bench: Any) -> None:
    step = priced(bench, Price(1_000_000, 1_000_000))
    purse = Purse(bounded(usd=10, calls=10))

    async def use() -> None:
        purse.settle(await held(purse, step, bench.ask()), None, requests=2)
        assert (purse.spent, purse.calls) == (Amount(), 2)
        purse.settle(await held(purse, step, bench.ask()), None, is_unclear=True)

    asyncio.run(use())
    assert (purse.spent.usd, purse.unclear_usd) == (3.0, 3.0), "two tokens in, one out"


def test_what_a_provider_does_not_count_is_estimated(bench: Any) -> None:
    bench.workflow(FLOW)
    cost = lambda usage: float(usage.input_tokens + usage.output_tokens)  # noqa: E731
    assert amount_of(Usage(10, 5), cost, bench.ask(), b"") == Amount(15, 15)
    assert amount_of(Usage(), cost, bench.ask(), b"12345678") == Amount(4, 4)
    assert amount_of(Usage(10, 5), lambda _: None, bench.ask(), b"") == Amount(0, 15)


# In a run


def with_purse(bench: Any, allowance: Allowance) -> list[Purse]:
    """Performers of the bench are held to this; the purses are given as they are made."""
    purses: list[Purse] = []
    make = bench.performer

    def performer(gate: Any) -> Performer:
        made: Performer = make(gate)
        made.purse = Purse(allowance)
        purses.append(made.purse)
        return made

    bench.performer = performer
    return purses


def test_what_is_not_asked_any_more_did_not_run(bench: Any) -> None:
    bench.workflow(ROWS)
    purses = with_purse(bench, bounded(calls=3))
    receipts = bench.receipts([f"row {number}" for number in range(10)])
    (purse,) = purses
    outcomes = [outcomes["ask"] for receipt in receipts for outcomes in receipt.outcomes]
    assert len(bench.sent) == purse.calls == 3
    assert sorted(str(outcome.status) for outcome in outcomes) == ["blocked"] * 7 + ["good"] * 3
    blocked = next(outcome for outcome in outcomes if outcome.status is Status.BLOCKED)
    assert blocked.because == "not asked: the budget of 3 calls is spent"
    assert len(bench.shelf.kept) == 3, "what was received is kept"


def test_a_retry_is_a_call(bench: Any, failed: Any) -> None:
    bench.workflow("steps: {ask: {prompt: hello, retries: 5}}")
    bench.respond = lambda _: failed(FailureKind.TRANSIENT)
    with_purse(bench, bounded(calls=2))

    async def use(performer: Performer, _gate: Any) -> Any:
        return await performer.answer(bench.ask())

    answered = bench.run(use)
    assert (len(bench.sent), answered.requests) == (2, 2)
    assert answered.failure == Failure(FailureKind.BUDGET, "not asked: the budget of 2 calls is spent")


def test_repairs_are_calls(bench: Any) -> None:
    bench.workflow("steps: {ask: {prompt: hello, fields: {n: integer}, repair: 5}}")
    bench.respond = lambda _: bench.Rule(answer='{"n": "one"}')
    with_purse(bench, bounded(calls=3))
    (receipt,) = bench.receipts()
    assert len(bench.sent) == 3
    assert receipt.outcomes[0]["ask"].failure.kind is FailureKind.BUDGET
