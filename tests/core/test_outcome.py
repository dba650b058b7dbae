"""What was told of tools that ran side by side."""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from runner.core.outcome import in_call_order

Line = tuple[str, int]
lines = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3)))


def place(line: Line) -> tuple[Hashable, int]:
    return line


def test_tools_of_one_answer_stand_in_the_order_of_its_calls() -> None:
    told = [("a", 0), ("a", 2), ("b", 3), ("a", 1), ("b", 0), ("b", 1)]
    assert in_call_order(told, place) == [("a", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 0), ("b", 3)]


@given(lines)
def test_nothing_else_moves_and_nothing_is_lost(told: list[Line]) -> None:
    found = in_call_order(told, place)
    assert sorted(found) == sorted(told)
    assert [at for at, one in enumerate(found) if not one[1]] == [at for at, one in enumerate(told) if not one[1]]
    for group in "ab":
        numbers = [number for name, number in found if name == group and number]
        assert numbers == sorted(numbers)
