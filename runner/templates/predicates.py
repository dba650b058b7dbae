"""The tests after `is`: what a value is, and comparisons by name. Only `defined` and `undefined` take a missing value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.core.canonical import Json
from runner.templates.values import Missing, text


def is_defined(value: Any) -> bool:
    return not isinstance(value, Missing)


def is_undefined(value: Any) -> bool:
    return isinstance(value, Missing)


def is_whole(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def is_odd(value: int) -> bool:
    return value % 2 == 1


def is_even(value: int) -> bool:
    return value % 2 == 0


def is_divisible(value: int, number: int) -> bool:
    return value % number == 0


def is_in(value: Json, container: Json) -> bool:
    return value in container


TESTS: dict[str, Callable[..., bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "defined": is_defined,
    "divisibleby": is_divisible,
    "even": is_even,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "in": is_in,
    "integer": is_whole,
    "iterable": lambda value: isinstance(value, str | Sequence | Mapping | range),
    "lower": lambda value: text(value).islower(),
    "mapping": lambda value: isinstance(value, Mapping),
    "none": lambda value: value is None,
    "number": is_number,
    "odd": is_odd,
    "sequence": lambda value: isinstance(value, Sequence | Mapping),
    "string": lambda value: isinstance(value, str),
    "list": is_list,
    "true": lambda value: value is True,
    "undefined": is_undefined,
    "upper": lambda value: text(value).isupper(),
    **dict.fromkeys(("==", "eq", "equalto"), operator.eq),
    **dict.fromkeys(("!=", "ne"), operator.ne),
    **dict.fromkeys((">", "gt", "greaterthan"), operator.gt),
    **dict.fromkeys((">=", "ge"), operator.ge),
    **dict.fromkeys(("<", "lt", "lessthan"), operator.lt),
    **dict.fromkeys(("<=", "le"), operator.le),
}
