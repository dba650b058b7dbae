from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.suites.looking import as_text, holds_text, length_of, likeness, matches, parts_of, value_at


def test_a_pattern_is_found_anywhere() -> None:
    assert matches("b+c", "aabbc")
    assert not matches("^b", "ab")


@pytest.mark.parametrize(
    ("value", "wanted", "holds"),
    [
        ("hello", "ell", True),
        (["a", "bc"], "c", True),
        (["a"], "c", False),
        ({"key": 1}, "key", True),
        ({"a": "text"}, "tex", True),
        (12.5, "2.5", True),
    ],
)
def test_a_text_is_looked_for_in_texts_lists_and_mappings(value: Any, wanted: str, holds: bool) -> None:
    assert holds_text(value, wanted) is holds


def test_a_json_path_has_keys_indexes_and_quoted_keys() -> None:
    assert parts_of("$.lines[0]['unit price'].n") == ("lines", 0, "unit price", "n")
    assert parts_of("$") == ()


def test_a_path_leads_to_a_value_or_nowhere() -> None:
    value: Any = {"a": [{"b c": None}]}
    assert value_at(value, ("a", 0, "b c")) == (None,)
    assert value_at(value, ("a", 1)) is None
    assert value_at(value, ("a", "b")) is None
    assert value_at({"7": 1}, (7,)) == (1,)


def test_texts_lists_and_mappings_have_a_length() -> None:
    values: list[Any] = ["abc", [1], {}, 5, None]
    assert list(map(length_of, values)) == [3, 1, 0, None, None]


def test_what_is_no_text_is_compared_as_json() -> None:
    assert as_text({"b": 1, "a": [True]}) == '{"b":1,"a":[true]}'


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [("", "", 1.0), ("abc", "", 0.0), ("kitten", "sitting", 1 - 3 / 7), ("abcd", "abxd", 0.75), ("ab", "ba", 0.0)],
)
def test_likeness_is_the_edit_ratio(one: str, other: str, found: float) -> None:
    assert likeness(one, other) == pytest.approx(found)


@given(st.text(max_size=30), st.text(max_size=30))
def test_likeness_is_the_same_from_both_sides_and_1_only_for_equal_texts(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one)
    assert (likeness(one, other) == 1.0) is (one == other)
