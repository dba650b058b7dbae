"""What a plain scalar means under the core rules of YAML 1.2: `no`, `12:30` and dates are text."""

from __future__ import annotations

import math
import re

from runner.core.canonical import Json

_CONSTANTS: dict[str, Json] = {
    "": None,
    **dict.fromkeys(("~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBER_STARTS = frozenset("+-.0123456789")
_MAX_DIGITS = 400
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1


class NotANumber(ValueError):
    """A scalar that is spelt as a number but has no place in JSON; the text says why."""


def resolve_plain(raw: str) -> Json:
    """The value of an unquoted scalar. Raises NotANumber."""
    if raw in _CONSTANTS:
        return _CONSTANTS[raw]
    if raw[0] not in _NUMBER_STARTS:
        return raw
    if _INTEGER.fullmatch(raw):
        return _whole_number(raw)
    if _FLOAT.fullmatch(raw):
        return _fraction(raw)
    if _NOT_FINITE.fullmatch(raw):
        raise NotANumber(f"{raw} is not a number that JSON can hold")
    return raw


def _whole_number(raw: str) -> int:
    base = {"0o": 8, "0x": 16}.get(raw[:2], 10)
    if len(raw) > _MAX_DIGITS or not _MIN_INT <= (number := int(raw, base)) <= _MAX_INT:
        raise NotANumber("the whole number needs more than 64 bits")
    return number


def _fraction(raw: str) -> float:
    if len(raw) > _MAX_DIGITS or not math.isfinite(number := float(raw)):
        raise NotANumber("the number is too large for JSON")
    return number
