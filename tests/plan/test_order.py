"""The order of values, and sorting more of them than memory holds."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aside import InMemory, PiecesInMemory, pack
from runner.plan.order import key_of, key_of_value
from runner.plan.spill import ListAside, Sorter

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def rank(value: Any) -> int:
    kinds = [value is None, value is False, value is True, isinstance(value, int | float), isinstance(value, str)]
    return kinds.index(True) if True in kinds else len(kinds)


def compared(one: Any, other: Any) -> int:
    """The order as the document says it."""
    if rank(one) != rank(other):
        return rank(one) - rank(other)
    if rank(one) < 3:
        return 0
    return int(one > other) - int(one < other)


@given(SCALARS, SCALARS)
def test_keys_compare_as_their_values_do(one: Any, other: Any) -> None:
    mine, theirs = key_of_value(one), key_of_value(other)
    order = compared(one, other)
    assert (mine < theirs) == (order < 0)
    assert (mine == theirs) == (order == 0)


@given(VALUES, VALUES)
def test_no_key_is_the_beginning_of_another_one(one: Any, other: Any) -> None:
    mine, theirs = key_of_value(one), key_of_value(other)
    assert mine == theirs or not theirs.startswith(mine)


@given(st.lists(st.tuples(SCALARS, SCALARS), max_size=30))
def test_rows_are_sorted_by_the_first_field_that_differs(rows: list[tuple[Any, Any]]) -> None:
    found = sorted(rows, key=lambda row: key_of(dict(zip("ab", row, strict=True)), ("a", "-b")))

    def by_hand(one: tuple[Any, Any], other: tuple[Any, Any]) -> int:
        return compared(one[0], other[0]) or -compared(one[1], other[1])

    assert found == sorted(rows, key=cmp_to_key(by_hand))


def test_what_is_not_there_comes_first_as_null_does() -> None:
    rows: list[Any] = [{"a": 0}, {"b": 1}, {"a": None}, "text", {"a": False}]
    assert sorted(rows, key=lambda row: key_of(row, ("a",))) == [{"b": 1}, {"a": None}, "text", {"a": False}, {"a": 0}]


@pytest.mark.parametrize(("one", "other"), [(2**53, 2**53 + 1), (2**63, 2**63 + 1), (-(2**60) - 1, -(2**60))])
def test_large_integers_are_told_apart(one: int, other: int) -> None:
    assert key_of_value(one) < key_of_value(other)


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (0.0, -0.0), (2**60, float(2**60))])
def test_equal_numbers_have_equal_keys(one: float, other: float) -> None:
    assert key_of_value(one) == key_of_value(other)


def test_a_number_beyond_all_floats_stands_at_the_end() -> None:
    assert key_of_value(-(10**400)) < key_of_value(-1e308) < key_of_value(1e308) < key_of_value(10**400)


@given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=20)), max_size=200), st.integers(1, 3000))
def test_a_sorter_gives_what_it_took_in_order_however_little_fits_into_memory(
    entries: list[tuple[bytes, bytes]], run_bytes: int
) -> None:
    sorter = Sorter(PiecesInMemory, run_bytes, 3)
    for key, data in entries:
        sorter.add(key, data)
    in_order = sorted(range(len(entries)), key=lambda index: (entries[index][0] + index.to_bytes(8, "big"), index))
    assert list(sorter) == [entries[index] for index in in_order]


@given(st.lists(VALUES, max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_a_part_of_a_list_on_disk_equals_the_part_of_the_list(values: list[Any], start: int, count: int) -> None:
    whole = ListAside(InMemory().pieces(), block_bytes=40)
    for value in values:
        whole.append(pack(value))
    start = min(start, len(values))
    count = min(count, len(values) - start)
    part, wanted = whole.part(start, count), values[start : start + count]
    assert len(whole) == len(values)
    assert part == wanted
    assert list(part) == wanted
    assert [part[index] for index in range(-count, count)] == wanted + wanted
    assert part[1:3] == wanted[1:3]
    assert part.digest() == part.digest() == whole.part(start, count).digest()


def test_there_is_no_element_beyond_the_end() -> None:
    part = ListAside(InMemory().pieces()).part(0, 0)
    with pytest.raises(IndexError):
        part[0]
