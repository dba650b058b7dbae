"""What single checks of a text or a value find: patterns, JSON paths, lengths, likeness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from runner.core.canonical import Json, ordered
from runner.output.engines import build_engine

_PART = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]|\['([^']*)'\]")


@lru_cache(maxsize=256)
def _engine(pattern: str):  # type: ignore[no-untyped-def]  # the engines' own protocol
    return build_engine({"type": "string", "pattern": pattern})


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text, in linear time."""
    return bool(_engine(pattern).is_valid(text))


def as_text(value: Json) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else ordered(value).decode()


def holds_text(value: Json, wanted: str) -> bool:
    """Whether a text occurs: in a text, as an element of a list or in one of its texts, as a key of a mapping."""
    match value:
        case list():
            return any(holds_text(element, wanted) for element in value)
        case dict():
            return wanted in value or wanted in as_text(value)
        case _:
            return wanted in as_text(value)


def parts_of(path: str) -> tuple[str | int, ...]:
    """`$.lines[0]['unit price']` as keys and indexes."""
    return tuple(
        int(match[2]) if match[2] is not None else match[1] if match[1] is not None else match[3]
        for match in _PART.finditer(path)
    )


def value_at(value: Json, parts: Sequence[str | int]) -> tuple[Json] | None:
    """The value that a path leads to, in a tuple; None where it leads nowhere."""
    for part in parts:
        if isinstance(part, int) and isinstance(value, list) and part < len(value):
            value = value[part]
        elif isinstance(value, dict) and str(part) in value:
            value = value[str(part)]
        else:
            return None
    return (value,)


def length_of(value: Json) -> int | None:
    """Characters, elements or keys; None for what has no length."""
    return len(value) if isinstance(value, str | list | dict) else None


def likeness(one: str, other: str) -> float:
    """1 minus the edit distance over the longer length: 1.0 for equal texts, 0.0 for texts with nothing in common."""
    longest = max(len(one), len(other))
    return 1.0 - _distance(one, other) / longest if longest else 1.0


def _distance(one: str, other: str) -> int:
    """The fewest insertions, deletions and replacements that turn one into the other."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    if len(one) < len(other):
        one, other = other, one
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        last, row[0] = row[0], number
        for index, letter_of_other in enumerate(other, 1):
            replaced = last + (letter != letter_of_other)
            last = row[index]
            row[index] = min(row[index] + 1, row[index - 1] + 1, replaced)
    return row[-1]
