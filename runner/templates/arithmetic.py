"""The operators of templates, on numbers of 64 bits, texts and lists, charged before they make anything."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from runner.core.canonical import Json
from runner.core.long_list import LongList
from runner.templates.bounds import ELEMENT, Meter
from runner.templates.text_filters import format_text
from runner.templates.values import Missing, Refused, kind

_LARGEST = 2**64
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


def calculate(meter: Meter, sign: str, left: Json, right: Json) -> Json:
    """`left sign right`. Raises Refused for operands that do not go together."""
    for operand in (left, right):
        if isinstance(operand, Missing):
            operand.fail()
    if isinstance(left, str) and sign == "%":
        return _format(meter, left, right)
    left, right = (list(one) if isinstance(one, LongList) else one for one in (left, right))
    _charge(meter, sign, left, right)
    try:
        made = _OPERATIONS[sign](left, right)
    except TypeError:
        raise Refused(f"'{sign}' does not work on {kind(left)} and {kind(right)}") from None
    except ZeroDivisionError:
        raise Refused(f"'{sign}' divides by zero") from None
    except OverflowError:
        raise Refused(f"'{sign}' gives a number that is too large") from None
    if isinstance(made, complex) or (isinstance(made, int) and abs(made) > _LARGEST):
        raise Refused(f"'{sign}' gives a number beyond 64 bits")
    return made


def _format(meter: Meter, left: str, right: Json) -> str:
    if isinstance(right, dict):
        return format_text(meter, left, **right)
    return format_text(meter, left, *(right if isinstance(right, list | tuple) else (right,)))


def _charge(meter: Meter, sign: str, left: Json, right: Json) -> None:
    """Charge for a text or list that grows, and refuse a power that would fill the memory before it is known."""
    if sign == "*":
        for repeated, times in ((left, right), (right, left)):
            if isinstance(repeated, str | list | tuple) and isinstance(times, int):
                _charge_length(meter, repeated, len(repeated) * max(0, times))
    elif sign == "+" and isinstance(left, str | list | tuple) and type(left) is type(right):
        _charge_length(meter, left, len(left) + len(right))
    elif sign == "**" and isinstance(left, int) and isinstance(right, int) and right > 64 and abs(left) > 1:
        raise Refused("'**' gives a number beyond 64 bits")


def _charge_length(meter: Meter, sample: Json, length: int) -> None:
    meter.charge_text(length if isinstance(sample, str) else length * ELEMENT)
