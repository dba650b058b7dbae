"""How much of a rendered question is the same for all items, and what keeping it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.core.call import Message, SharedPart
from runner.core.context import ContextCache
from runner.core.media import Medium
from runner.core.model import LongPrice, ModelFacts, Price, Provider, Route
from runner.core.span import Span
from runner.core.values import Expression
from runner.core.workflow import FanOut, Step
from runner.link.parts import LinkedStep
from runner.link.shared import SharedEntries
from runner.plan.shared import (
    calls_worth_it,
    context_of,
    keeping_usd,
    making_usd,
    saved_usd,
    shared_part,
    why_not_kept,
)

AT = Span("flow.yaml", 1, 1, 1)
LONG = Price(1.0, 2.0, 0.1, long=LongPrice(200, 2.0, 4.0, 0.4), storage=3.0)


def medium(name: str) -> Medium:
    return Medium("image", "image/png", name * 64, 10)


def linked(messages: int, files: int = 0, **fields: object) -> LinkedStep:
    step = Step(span=AT, name="ask", context_cache=ContextCache(60.0), for_each=FanOut(Expression("x", None)), **fields)  # type: ignore[arg-type]
    return LinkedStep(step=step, lane="x", shared=SharedEntries(messages, files))


TALK = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))


def route(dialect: str = "gemini", **settings: str) -> Route:
    return Route("box/m", Provider("box", dialect, settings=settings), "m", ModelFacts("box", "m"))


def test_entries_are_counted_by_what_they_came_to() -> None:
    assert shared_part(linked(1), [2, 1], [], TALK) == SharedPart(2)
    assert shared_part(linked(0), [2, 1], [], TALK) == SharedPart(0)


def test_the_last_turn_is_left_to_ask() -> None:
    assert shared_part(linked(2), [2, 1], [], TALK) == SharedPart(2)


def test_files_are_kept_where_all_before_them_is() -> None:
    shown = (*TALK[:2], Message("user", "c", (medium("a"), medium("b"))))
    assert shared_part(linked(2, 1), [1, 1, 1], [1, 1], shown) == SharedPart(2, 1)
    assert shared_part(linked(1, 1), [1, 1, 1], [1, 1], shown) == SharedPart(1)


def test_a_turn_is_kept_whole_with_all_its_files_or_without_those_that_change() -> None:
    shown = (Message("user", "a", (medium("a"), medium("b"))), Message("assistant", "b"))
    assert shared_part(linked(2, 2), [1, 1], [1, 1], shown) == SharedPart(1)
    assert shared_part(linked(2, 1), [1, 1], [1, 1], shown) == SharedPart(0, 1)


def test_who_keeps_what_the_questions_share() -> None:
    one = linked(1)
    assert context_of(one, route(), is_batch=False) == ContextCache(60.0)
    assert context_of(one, route(), is_batch=True) is None
    assert context_of(one, route("openai-chat"), is_batch=False) is None
    assert context_of(linked(0), route(), is_batch=False) is None
    assert context_of(replace(one, shared=SharedEntries(1, is_system=False)), route(), is_batch=False) is None
    assert context_of(replace(one, shared=None), route(), is_batch=False) is None
    assert context_of(linked(1, tool_choice="required"), route(), is_batch=False) is None
    assert context_of(replace(one, step=replace(one.step, for_each=None)), route(), is_batch=False) is None
    assert why_not_kept(one.step, route("gemini", server="gateway"))


def test_money() -> None:
    assert making_usd(1_000_000, Price(1.0, 2.0)) == 1.0
    assert making_usd(1_000_000, LONG) == 2.0
    assert making_usd(100, LONG) == pytest.approx(0.0001)
    assert making_usd(None, Price(0.0, 0.0)) == keeping_usd(None, 60.0, Price(0.0, 0.0)) == 0.0
    assert (making_usd(None, LONG), making_usd(1, None), keeping_usd(1, 60.0, None)) == (None, None, None)
    assert (keeping_usd(None, 60.0, LONG), keeping_usd(1, 60.0, Price(1.0, 2.0))) == (None, None)
    assert keeping_usd(1_000_000, 1800.0, LONG) == 1.5
    assert saved_usd(1_000_000, 100, LONG) == pytest.approx(0.9)
    assert saved_usd(1_000_000, 1_000_000, LONG) == pytest.approx(1.6)
    assert saved_usd(1_000_000, 100, Price(1.0, 2.0)) == saved_usd(1, 1, None) == 0.0


@pytest.mark.parametrize(
    ("price", "hours", "calls"),
    [
        (Price(0.25, 1.5, 0.025, storage=1.0), 0.5, 4),
        (Price(0.25, 1.5, 0.025, storage=1.0), 1.0, 6),
        (Price(0.25, 1.5, 0.25, storage=1.0), 1.0, 0),
        (Price(0.25, 1.5, 0.025), 1.0, None),
        (Price(0.25, 1.5, storage=1.0), 1.0, None),
        (None, 1.0, None),
    ],
)
def test_from_how_many_calls_on_keeping_pays(price: Price | None, hours: float, calls: int | None) -> None:
    assert calls_worth_it(hours * 3600, price) == calls
    if price is not None and calls:
        saved: Callable[[int], float] = lambda number: number * saved_usd(1000, 1000, price)  # noqa: E731
        store = (making_usd(1000, price) or 0.0) + (keeping_usd(1000, hours * 3600, price) or 0.0)
        assert saved(calls) > store >= saved(calls - 1)
