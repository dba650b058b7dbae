from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.scalars import NotANumber, resolve_plain
from runner.core.canonical import Json


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "on",
        "off",
        "yes",
        "y",
        "12:30",
        "12:30:45",
        "2024-01-01",
        "1_000",
        "1.2.3",
        "=",
        "-",
        "+",
        ".",
        "0o8",
        "0xg",
    ],
)
def test_what_other_versions_take_for_something_else_is_text(text: str) -> None:
    assert resolve_plain(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("017", 17),
        ("0o17", 15),
        ("0xFf", 255),
        ("-12", -12),
        ("+3", 3),
        ("1e3", 1000.0),
        ("1.10", 1.1),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5E-2", -0.015),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_core_rules(text: str, value: Json) -> None:
    found = resolve_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (".inf", ".inf is not a number that JSON can hold"),
        ("-.Inf", "-.Inf is not a number that JSON can hold"),
        (".NaN", ".NaN is not a number that JSON can hold"),
        ("1e999", "the number is too large for JSON"),
        ("1." + "0" * 500, "the number is too large for JSON"),
        ("18446744073709551616", "the whole number needs more than 64 bits"),
        ("9" * 100_000, "the whole number needs more than 64 bits"),
    ],
)
def test_numbers_without_a_place_in_json_are_refused(text: str, reason: str) -> None:
    with pytest.raises(NotANumber) as caught:
        resolve_plain(text)
    assert str(caught.value) == reason


@given(st.integers(-(2**63), 2**64 - 1))
def test_every_64_bit_integer_is_read_back(number: int) -> None:
    assert resolve_plain(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_is_read_back(number: float) -> None:
    found = resolve_plain(repr(number))
    assert found == number
    assert isinstance(found, float)


@given(st.text())
def test_any_text_gives_a_json_scalar_or_is_refused(text: str) -> None:
    try:
        value = resolve_plain(text)
    except NotANumber:
        return
    assert value is None or isinstance(value, bool | int | float | str)
    assert not isinstance(value, float) or math.isfinite(value)
