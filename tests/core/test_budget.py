"""The lowest bound holds, and says who set it."""

from __future__ import annotations

import pytest

from runner.core.budget import Allowance, Limit, allowance, dollars, in_words
from runner.core.span import Span
from runner.core.workflow import Budget

FLOW = Budget(span=Span("flow.yaml", 1, 1), spans={"usd": Span("flow.yaml", 1, 15)}, usd=5, calls=600)
SETTINGS = Budget(span=Span("runner.yaml", 3, 1), usd=2.5, calls=900, tokens=10)


def test_the_lowest_bound_of_each_kind_holds() -> None:
    found = allowance((FLOW, None, SETTINGS))
    assert found == Allowance(
        usd=Limit(2.5, "runner.yaml:3:1", Span("runner.yaml", 3, 1)),
        calls=Limit(600, "flow.yaml:1:1", Span("flow.yaml", 1, 1)),
        tokens=Limit(10, "runner.yaml:3:1", Span("runner.yaml", 3, 1)),
    )
    assert found.is_bounded


def test_an_option_bounds_money_where_it_is_lower() -> None:
    assert allowance((FLOW,), Limit(1, "--max-cost")).usd == Limit(1, "--max-cost")
    assert allowance((FLOW,), Limit(5, "--max-cost")).usd == Limit(5, "--max-cost"), "of equal ones the option"
    assert allowance((FLOW,), Limit(6, "--max-cost")).usd == Limit(5, "flow.yaml:1:15", Span("flow.yaml", 1, 15))


def test_without_a_budget_nothing_is_bounded() -> None:
    assert not allowance(()).is_bounded


@pytest.mark.parametrize(
    ("kind", "amount", "words"),
    [
        ("usd", 0.5, "0.5 USD"),
        ("calls", 600, "600 calls"),
        ("calls", 1, "1 call"),
        ("tokens", 2_000_000, "2,000,000 tokens"),
    ],
)
def test_a_bound_in_words(kind: str, amount: float, words: str) -> None:
    assert in_words(Limit(amount, "x"), kind) == words


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (None, "? USD"),
        (0, "0 USD"),
        (5, "5 USD"),
        (2.5, "2.5 USD"),
        (0.00001, "0.00001 USD"),
        (0.0000347511, "0.00003475 USD"),
        (1234.567, "1,235 USD"),
        (1e-15, "0 USD"),
    ],
)
def test_dollars_have_four_digits_that_matter(usd: float | None, words: str) -> None:
    assert dollars(usd) == words
