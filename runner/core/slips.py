"""Slips of the keyboard that can be mended without asking: only one known name is near."""

from __future__ import annotations

from collections.abc import Iterable

from runner.core.problem import Edit
from runner.core.span import Span

_SHORTEST = 3
_LONG = 6


def only_near(name: str, candidates: Iterable[str]) -> str:
    """The one candidate that a slip of the keyboard or another style makes of a name, "" where none or several are.

    Names that differ in a digit are different names.
    """
    others = set(candidates) - {name}
    restyled = [other for other in others if _folded(other) == _folded(name)]
    if restyled:
        return restyled[0] if len(restyled) == 1 else ""
    near = [other for other in others if _is_slip(name, other)]
    return near[0] if len(near) == 1 else ""


def renaming(
    span: Span | None, name: str, candidates: Iterable[str], *, is_identifier: bool = False
) -> tuple[Edit, ...]:
    """The edit that puts the one near name where a name stands, in quotes or without; none where it is not certain.

    With `is_identifier` a name without quotes must be one that can follow a dot.
    """
    near = only_near(name, candidates)
    quotes = 0 if span is None else span.length - len(name)
    if span is None or not near or quotes not in (0, 2) or (is_identifier and not quotes and not near.isidentifier()):
        return ()
    return (Edit(span.file, span.line, span.column + quotes // 2, name, near),)


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _digits(name: str) -> list[str]:
    return [letter for letter in name if letter.isdigit()]


def _is_slip(name: str, other: str) -> bool:
    if min(len(name), len(other)) < _SHORTEST or _digits(name) != _digits(other):
        return False
    most = 1 if len(name) < _LONG else 2
    return abs(len(name) - len(other)) <= most and _distance(name, other) <= most


def _distance(one: str, other: str) -> int:
    """Letters to insert, delete, change or exchange with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
