"""A regular expression as an automaton of positions: which character may follow which, and in how many ways.

Each position is one place of the pattern where a character is read. Of the letters only the segments matter that the
pattern tells apart; a set of them is a bit mask. What a position waits for beyond characters (anchors, look-around) is
a position that reads nothing, so that no way leads through it.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from importlib import import_module
from itertools import pairwise
from typing import Any

from runner.core.frozen import dataclass

Interval = tuple[int, int]

_LAST = 0x10FFFF
_MOST_POSITIONS = 150
# More repetitions than this count as any number.
_MANY = 32
_CATEGORIES: dict[str, list[Interval]] = {
    "DIGIT": [(48, 57)],
    "SPACE": [(9, 13), (32, 32)],
    "WORD": [(48, 57), (65, 90), (95, 95), (97, 122)],
}
_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")
# A class, an escape or a bar: `re` would make one class of alternatives that are single letters.
_BAR = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\|", re.DOTALL)
_STAND_IN = 0xF0000
_PROPERTY = re.compile(r"\\([pP])\{([^}]*)\}|\\([pP])([A-Z])")


class NotRead(ValueError):
    """A pattern that cannot be looked into: another dialect, or too long."""


@dataclass(slots=True)
class Automaton:
    """`reads` has the letters of each position, `follows` how often one position follows another.

    The `last` positions end a match. `aside` are automata of look-around. `is_linear` is false where a match cannot be
    found in one pass.
    """

    reads: list[int] = field(default_factory=list)
    follows: Counter[tuple[int, int]] = field(default_factory=Counter)
    last: frozenset[int] = frozenset()
    aside: list[Automaton] = field(default_factory=list)
    letters: tuple[Interval, ...] = ()
    is_linear: bool = True

    def letter(self, mask: int) -> str:
        """A letter of a set that can be printed, preferably a plain one."""
        segments = [segment for index, segment in enumerate(self.letters) if mask >> index & 1]
        for low, high in ((97, 122), (48, 57), (65, 90), (33, 126), (32, 32)):
            for first, last in segments:
                if first <= high and last >= low:
                    return chr(max(first, low))
        return "a" if segments[0][0] >= _STAND_IN else chr(segments[0][0])


def read_pattern(pattern: str) -> Automaton:
    """Raises NotRead for a pattern that cannot be looked into."""
    tree = _parsed(pattern)
    points = sorted({0, _LAST + 1, *(edge for low, high in _intervals_in(tree) for edge in (low, high + 1))})
    letters = tuple((low, high - 1) for low, high in pairwise(points))
    builder = _Builder(Automaton(letters=letters))
    builder.automaton.last = frozenset(builder.sequence(tree).last)
    return builder.automaton


def _parsed(pattern: str) -> Any:
    parser = import_module("re._parser")  # the parser of `re`, which has no public name
    text = _NAMED_GROUP.sub("(?P<", _PROPERTY.sub(_stand_in, pattern))
    text = _BAR.sub(lambda found: "|()" if found[0] == "|" else found[0], text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise NotRead(pattern) from error


def _stand_in(found: re.Match[str]) -> str:
    """A letter of nobody's own for each property of letters: equal ones overlap, different ones count as apart."""
    name = "".join(filter(None, found.groups()))
    return chr(_STAND_IN + int.from_bytes(name.encode(), "big") % 60_000)


def _intervals_in(tree: Any) -> Iterable[Interval]:
    for operator, argument in tree:
        name = str(operator)
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            yield from _intervals(name, argument)
        else:
            for inner in _inner_trees(name, argument):
                yield from _intervals_in(inner)


def _inner_trees(name: str, argument: Any) -> list[Any]:
    match name:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [argument[2]]
        case "SUBPATTERN":
            return [argument[3]]
        case "BRANCH":
            return list(argument[1])
        case "ASSERT" | "ASSERT_NOT":
            return [argument[1]]
        case "ATOMIC_GROUP":
            return [argument]
        case "GROUPREF_EXISTS":
            return [part for part in argument[1:] if part is not None]
        case _:
            return []


def _intervals(name: str, argument: Any) -> list[Interval]:
    match name:
        case "LITERAL":
            return [(argument, argument)]
        case "NOT_LITERAL":
            return _inverted([(argument, argument)])
        case "ANY":
            return _inverted([(10, 10)])
        case _:
            return _class_intervals(argument)


def _class_intervals(items: Sequence[Any]) -> list[Interval]:
    found: list[Interval] = []
    is_inverted = False
    for operator, argument in items:
        match str(operator):
            case "NEGATE":
                is_inverted = True
            case "LITERAL":
                found.append((argument, argument))
            case "RANGE":
                found.append(argument)
            case _:
                kind = str(argument).removeprefix("CATEGORY_")
                plain = _CATEGORIES[kind.removeprefix("NOT_")]
                found += _inverted(plain) if kind.startswith("NOT_") else plain
    return _inverted(found) if is_inverted else found


def _inverted(intervals: Iterable[Interval]) -> list[Interval]:
    found, start = [], 0
    for low, high in sorted(intervals):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    return [*found, (start, _LAST)] if start <= _LAST else found


@dataclass(frozen=True, slots=True)
class _Part:
    """What a part of the pattern begins and ends with, and whether it may be empty; repeats count."""

    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    is_empty: bool = True


class _Builder:
    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton

    def sequence(self, tree: Iterable[Any]) -> _Part:
        found = _Part()
        for operator, argument in tree:
            found = self._joined(found, self._part(str(operator), argument))
        return found

    def _joined(self, left: _Part, right: _Part) -> _Part:
        self._link(left.last, right.first)
        return _Part(
            (*left.first, *right.first) if left.is_empty else left.first,
            (*left.last, *right.last) if right.is_empty else right.last,
            left.is_empty and right.is_empty,
        )

    def _link(self, lasts: Iterable[int], firsts: Sequence[int]) -> None:
        for last in lasts:
            for first in firsts:
                self.automaton.follows[last, first] += 1

    def _position(self, mask: int) -> _Part:
        if len(self.automaton.reads) >= _MOST_POSITIONS:
            raise NotRead
        self.automaton.reads.append(mask)
        place = (len(self.automaton.reads) - 1,)
        return _Part(place, place, is_empty=False)

    def _part(self, name: str, argument: Any) -> _Part:
        match name:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._position(self._mask(_intervals(name, argument)))
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = argument
                return self._repeated(int(least), int(most), lambda: self.sequence(inner))
            case "SUBPATTERN":
                return self.sequence(argument[3])
            case "BRANCH":
                return self._choice([self.sequence(branch) for branch in argument[1]])
            case "AT":
                return self._position(0)
            case "ASSERT" | "ASSERT_NOT":
                self.automaton.is_linear = False
                beside = _Builder(Automaton(letters=self.automaton.letters))
                beside.automaton.last = frozenset(beside.sequence(argument[1]).last)
                self.automaton.aside.append(beside.automaton)
                return self._position(0)
            case _:  # back references, atomic groups and what else there is
                self.automaton.is_linear = False
                return self._position(0)

    def _mask(self, intervals: Iterable[Interval]) -> int:
        mask = 0
        for index, (first, last) in enumerate(self.automaton.letters):
            if any(low <= first and last <= high for low, high in intervals):
                mask |= 1 << index
        return mask

    def _choice(self, branches: Sequence[_Part]) -> _Part:
        firsts = tuple(place for branch in branches for place in branch.first)
        lasts = tuple(place for branch in branches for place in branch.last)
        return _Part(firsts, lasts, any(branch.is_empty for branch in branches))

    def _repeated(self, least: int, most: int, make: Callable[[], _Part]) -> _Part:
        """`least` times in a row, then up to `most`, each within the one before it."""
        if most > _MANY and most > least:
            fixed = self._times(max(least - 1, 0), make)
            inner = make()
            self._link(inner.last, inner.first)
            looped = _Part(inner.first, inner.last, inner.is_empty or least == 0)
            return self._joined(fixed, looped)
        return self._joined(self._times(least, make), self._up_to(most - least, make))

    def _times(self, count: int, make: Callable[[], _Part]) -> _Part:
        found = _Part()
        for _ in range(count):
            found = self._joined(found, make())
            if not found.first:
                break
        return found

    def _up_to(self, count: int, make: Callable[[], _Part]) -> _Part:
        parts = []
        for _ in range(count):
            parts.append(make())
            if not parts[-1].first:
                break
        found = _Part()
        for part in reversed(parts):
            joined = self._joined(part, found)
            found = _Part(joined.first, joined.last, is_empty=True)
        return found
