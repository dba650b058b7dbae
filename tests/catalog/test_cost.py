from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog.resolve import cost_usd
from runner.core.model import LongPrice, Price
from runner.core.response import Usage

LITE = Price(0.25, 1.5, 0.025)
PRO = Price(2, 12, 0.2, long=LongPrice(200_000, 4, 18), batch=0.5)


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (Usage(1_000_000, 1_000_000), LITE, 1.75),
        (Usage(1_000_000, 0, 400_000), LITE, 0.16),
        (Usage(1_000_000, 0, 400_000), Price(0.25, 1.5), 0.25),
        (Usage(0, 1_000_000, None, 900_000), LITE, 1.5),
        (Usage(10, None), LITE, None),
        (Usage(None, 10), LITE, None),
        (Usage(), LITE, None),
        (Usage(10, 10), None, None),
        (Usage(), Price(0.0, 0.0), 0.0),
        (Usage(200_000, 100_000), PRO, 1.6),
        (Usage(200_001, 0), PRO, 0.800004),
        (Usage(400_000, 100_000, 200_000), PRO, 3.4),
        (Usage(300_000, 0, 100_000), Price(2, 12, 0.2, long=LongPrice(200_000, 4, 18, 0.4)), 0.84),
        (Usage(), Price(0.0, 0.0, long=LongPrice(10, 0.0, 0.0)), 0.0),
        (Usage(11, 0), Price(0.0, 0.0, long=LongPrice(10, 1_000_000.0, 0.0)), 11.0),
    ],
)
def test_what_an_answer_costs(usage: Usage, price: Price | None, cost: float | None) -> None:
    assert cost_usd(usage, price) == (cost if cost is None else pytest.approx(cost))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 2 * 10**9))
def test_a_cached_token_never_makes_an_answer_dearer_or_its_cost_negative(fresh: int, out: int, cached: int) -> None:
    with_cache = cost_usd(Usage(fresh, out, cached), LITE)
    without = cost_usd(Usage(fresh, out), LITE)
    assert with_cache is not None
    assert without is not None
    assert 0 <= with_cache <= without + 1e-9


def test_an_answer_by_batch_costs_its_share() -> None:
    usage = Usage(200_000, 100_000)
    assert cost_usd(usage, PRO, is_batch=True) == pytest.approx(0.8)
    assert cost_usd(usage, LITE, is_batch=True) is None, "nobody says what a batch costs there"
    assert cost_usd(usage, Price(0, 0), is_batch=True) is None
