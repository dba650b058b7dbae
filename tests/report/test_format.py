from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.report.format import count, duration, money, number, size


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "?"), (0, "$0.00"), (0.031, "$0.031"), (0.0042, "$0.0042"), (0.00391, "$0.0039"), (0.0994, "$0.099"),
     (0.0996, "$0.10"), (0.31, "$0.31"), (1234.5, "$1,234.50"), (1e-6, "$0.000001"), (1e-9, "<$0.000001")],
)  # fmt: skip
def test_money(usd: float | None, text: str) -> None:
    assert money(usd) == text


@given(st.floats(1e-9, 1e9))
def test_spent_money_is_never_shown_as_nothing(usd: float) -> None:
    assert money(usd).strip("<$0.,")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (65, "1 min 05 s"),
     (3599.6, "1 h 00 min"), (7380, "2 h 03 min")],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert (number(None), number(4021)) == ("?", "4,021")
    assert (count(1, "call"), count(0, "call"), count(1200, "entry", "entries")) == (
        "1 call",
        "0 calls",
        "1,200 entries",
    )


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_999, "1.0 MB"),
     (5_000_000_000, "5.0 GB"), (2_500_000_000_000, "2.5 TB")],
)  # fmt: skip
def test_size(amount: int, text: str) -> None:
    assert size(amount) == text
