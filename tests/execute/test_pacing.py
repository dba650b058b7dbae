"""A rate holds in every window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.execute.pacing import Pace

waits = st.lists(st.floats(min_value=0, max_value=5), min_size=1, max_size=200)


@given(amount=st.integers(1, 50), per_s=st.floats(min_value=0.01, max_value=100), late=waits)
def test_in_no_window_more_is_taken_than_the_amount(amount: int, per_s: float, late: list[float]) -> None:
    """However late the takers come: nothing that was not taken is saved up."""
    pace, now, taken = Pace(amount, per_s), 1000.0, list[float]()
    for seconds in late:
        now += seconds * per_s / 20
        now += pace.wait_s(now) * (1 + 1e-9) + 1e-9
        pace.take(now)
        taken.append(now)
    for index, start in enumerate(taken):
        assert sum(start <= one < start + per_s * (1 - 1e-6) for one in taken[index:]) <= amount


def test_takers_who_wait_get_the_whole_rate_but_for_a_hundredth() -> None:
    pace, now = Pace(100, 1.0), 0.0
    for _ in range(1000):
        now += pace.wait_s(now)
        pace.take(now)
    assert 9.9 < now < 10.2


def test_what_was_missed_by_a_late_wake_up_is_caught_up_with() -> None:
    pace = Pace(100, 10.0)
    pace.take(0.0)
    assert pace.wait_s(0.0) == pytest.approx(0.1005 - 0.05)
    pace.take(0.14)  # 90 ms late, of which 50 ms are made up for
    assert pace.wait_s(0.14) == pytest.approx(0.1005 - 0.05)
    pace.take(0.2)
    pace.take(0.21)
    assert pace.wait_s(0.21) > 0.1


def test_a_large_taking_goes_through_and_is_paid_for_later() -> None:
    pace = Pace(1000, 60.0)
    pace.take(0.0, 5000)
    assert pace.wait_s(0.0) == pytest.approx(5 * 60, rel=0.01)


def test_a_guess_is_put_right() -> None:
    pace = Pace(600, 60.0)
    pace.take(0.0, 100)
    pace.correct(-90)
    assert pace.wait_s(0.0) == pytest.approx(1.0, abs=0.06)
    pace.correct(20)
    assert pace.wait_s(0.0) == pytest.approx(3.0, abs=0.06)
