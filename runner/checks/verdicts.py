"""What becomes of a condition for every value that the schemas allow."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from math import inf

from runner.checks.satisfiable import kinds_of, value_kind
from runner.core.canonical import Json
from runner.core.condition import (
    Calculated,
    Compared,
    Condition,
    Defined,
    Either,
    Entries,
    Every,
    Known,
    Length,
    Listed,
    Made,
    Not,
    Read,
    Some,
)
from runner.core.frozen import dataclass
from runner.link.alternatives import Alternative
from runner.link.paths import Typed, words_at

Truths = frozenset[bool]
BOTH: Truths = frozenset((True, False))
_MOST_PAIRS = 4_000
_ORDER: Mapping[str, Callable[[Json, Json], bool]] = {
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
}
_TURNED = {"gt": "lt", "gteq": "lteq", "lt": "gt", "lteq": "gteq", "eq": "eq", "ne": "ne"}


@dataclass(frozen=True, slots=True)
class Range:
    """Values of some kinds; the limits are those of a number, or of the length of a text or list."""

    kinds: frozenset[str]
    low: float = -inf
    high: float = inf
    is_low_open: bool = False
    is_high_open: bool = False
    shortest: float = 0
    longest: float = inf


# A value: one of those that are listed, or within one of the ranges; None where nothing is known.
Values = tuple[Json, ...] | list[Range] | None
TypeOf = Callable[[tuple[str, ...]], Typed | None]


def truths(condition: Condition, type_of: TypeOf) -> Truths:
    """Whether the condition can hold, and whether it can fail to."""
    match condition:
        case Every():
            return _joined((truths(part, type_of) for part in condition.parts), ends=False)
        case Some():
            return _joined((truths(part, type_of) for part in condition.parts), ends=True)
        case Not():
            return frozenset(not one for one in truths(condition.part, type_of))
        case Compared():
            return _compared(condition, type_of)
        case Defined():
            return frozenset((True,)) if values_of(condition.of, type_of) is not None else BOTH
        case _:
            return _as_truth(values_of(condition, type_of))


def _joined(parts: Iterable[Truths], *, ends: bool) -> Truths:
    """`and` ends with the first that does not hold, `or` with the first that does."""
    found: set[bool] = set()
    for part in parts:
        if ends in part:
            found.add(ends)
        if (not ends) not in part:
            return frozenset(found)
    return frozenset((*found, not ends))


def _as_truth(values: Values) -> Truths:
    if values is None:
        return BOTH
    if isinstance(values, tuple):
        return frozenset(bool(value) for value in values) or BOTH
    return frozenset(one for found in values for kind in found.kinds for one in _truth_of(kind, found))


def _truth_of(kind: str, found: Range) -> Truths:
    is_never_empty, is_empty = found.shortest > 0, found.longest == 0
    match kind:
        case "null":
            return frozenset((False,))
        case "number" if found.low > 0 or found.high < 0 or (found.low == 0 and found.is_low_open):
            return frozenset((True,))
        case "string" | "array" if is_never_empty or is_empty:
            return frozenset((is_never_empty,))
        case _:
            return BOTH


# --- values


def values_of(condition: Condition, type_of: TypeOf) -> Values:
    """The values that an expression can come to."""
    match condition:
        case Known():
            return (condition.value,)
        case Read():
            typed = type_of(condition.path)
            if typed is None or typed.kind != "value" or typed.gaps:
                return None
            words = words_at(typed)
            return words or [_range(alternative) for alternative in typed.alternatives]
        case Length():
            return _lengths(values_of(condition.of, type_of))
        case Made():
            return [Range(condition.kinds)]
        case Entries():
            return [Range(frozenset(("object",)))]
        case Listed():
            size = len(condition.items)
            return [Range(frozenset(("array",)), shortest=size, longest=size)]
        case Calculated():
            return _calculated(condition, type_of)
        case Either():
            return _either([values_of(part, type_of) for part in condition.parts])
        case Compared() | Not() | Defined():
            return [Range(frozenset(("boolean",)))]
        case _:
            return None


def kinds_in(values: Values) -> frozenset[str] | None:
    """The JSON types that there are among some values, None where nothing is known."""
    if values is None:
        return None
    if isinstance(values, tuple):
        return frozenset(map(value_kind, values))
    return frozenset[str]().union(*(found.kinds for found in values))


def _calculated(condition: Calculated, type_of: TypeOf) -> Values:
    """What does not go together gives nothing: that is another failure."""
    left, right = (kinds_in(values_of(side, type_of)) for side in (condition.left, condition.right))
    numbers = frozenset(("number", "boolean"))
    if condition.sign == "+":
        kinds = _added(left) & _added(right)
    elif condition.sign in ("*", "%") and not (left is not None and right is not None and left | right <= numbers):
        return None
    else:
        kinds = frozenset(("number",))
    return [Range(kinds)] if kinds else None


def _added(kinds: frozenset[str] | None) -> frozenset[str]:
    addable = frozenset(("array", "number", "string"))
    if kinds is None:
        return addable
    return kinds & addable | frozenset(("number",) if "boolean" in kinds else ())


def _either(parts: list[Values]) -> Values:
    """All values of the parts: what is listed there, as ranges where one of them is a range."""
    if None in parts:
        return None
    if all(isinstance(part, tuple) for part in parts):
        return tuple(value for part in parts for value in part or ())
    return [one for part in parts for one in _as_ranges(part)]


def _as_ranges(values: Values) -> list[Range]:
    return [Range(frozenset((value_kind(value),))) for value in values] if isinstance(values, tuple) else values or []


def _lengths(values: Values) -> Values:
    if isinstance(values, tuple):
        return tuple(map(len, values)) if all(isinstance(value, str | list) for value in values) else None
    if values is None or any(not found.kinds <= {"string", "array"} for found in values):
        return None
    return [Range(frozenset(("number",)), low=found.shortest, high=found.longest) for found in values]


def _range(alternative: Alternative) -> Range:
    kinds = frozenset(("null", "boolean", "number", "string", "array", "object"))
    for schema in alternative:
        kinds &= kinds_of(dict(schema))
    low, is_low_open = max(
        [(-inf, False), *_limits(alternative, "minimum"), *_limits(alternative, "exclusiveMinimum", is_open=True)]
    )
    high, is_high_closed = min(
        [(inf, True), *((limit, True) for limit, _ in _limits(alternative, "maximum"))]
        + [(limit, False) for limit, _ in _limits(alternative, "exclusiveMaximum")]
    )
    is_text = "string" in kinds
    least, most = ("minLength", "maxLength") if is_text else ("minItems", "maxItems")
    if is_text and "array" in kinds:
        return Range(kinds, low, high, is_low_open, not is_high_closed)
    shortest = max((limit for limit, _ in _limits(alternative, least)), default=0)
    longest = min((limit for limit, _ in _limits(alternative, most)), default=inf)
    return Range(kinds, low, high, is_low_open, not is_high_closed, shortest, longest)


def _limits(alternative: Alternative, keyword: str, *, is_open: bool = False) -> list[tuple[float, bool]]:
    return [(schema[keyword], is_open) for schema in alternative if keyword in schema]


# --- comparisons


def _compared(condition: Compared, type_of: TypeOf) -> Truths:
    left, right = values_of(condition.left, type_of), values_of(condition.right, type_of)
    if left is None or right is None:
        return BOTH
    if condition.by in ("in", "notin"):
        found = _contained(left, right)
        if condition.by == "notin":
            return frozenset(not one for one in found)
        # A list of all words that there are is a guard for the day when the schema has more of them.
        return BOTH if found == {True} else found
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _of_pairs(condition.by, left, right)
    if isinstance(left, tuple):
        return _within(_TURNED[condition.by], right, left) if not isinstance(right, tuple) else BOTH
    return _within(condition.by, left, right) if isinstance(right, tuple) else BOTH


def _contained(left: Values, right: Values) -> Truths:
    if not isinstance(right, tuple) or len(right) != 1 or not isinstance(right[0], list) or left is None:
        return BOTH
    words = tuple(right[0])
    if isinstance(left, tuple):
        return frozenset(value in words for value in left) or BOTH
    is_possible = any(True in _within("eq", left, (word,)) for word in words)
    return BOTH if is_possible else frozenset((False,))


def _of_pairs(by: str, left: tuple[Json, ...], right: tuple[Json, ...]) -> Truths:
    if len(left) * len(right) > _MOST_PAIRS:
        return BOTH
    found: set[bool] = set()
    for one, other in product(left, right):
        if by in ("eq", "ne"):
            found.add((one == other) == (by == "eq"))
        elif {value_kind(one), value_kind(other)} == {"number"}:
            found.add(_ORDER[by](one, other))
        else:
            return BOTH  # it cannot be evaluated, which is another failure
    return frozenset(found) or BOTH


def _within(by: str, ranges: list[Range], words: tuple[Json, ...]) -> Truths:
    return frozenset(one for found in ranges for word in words for one in _against(by, found, word)) or BOTH


def _against(by: str, found: Range, word: Json) -> Truths:
    if by in ("eq", "ne"):
        can_equal = _can_equal(found, word)
        return BOTH if can_equal else frozenset((by == "ne",))
    if value_kind(word) != "number" or found.kinds != {"number"}:
        return BOTH
    low, high = found.low, found.high
    match by:
        case "gt":
            can, must = high > word, low > word or (low == word and found.is_low_open)
        case "gteq":
            can, must = high > word or (high == word and not found.is_high_open), low >= word
        case "lt":
            can, must = low < word, high < word or (high == word and found.is_high_open)
        case _:
            can, must = low < word or (low == word and not found.is_low_open), high <= word
    return frozenset((True,)) if must else BOTH if can else frozenset((False,))


def _can_equal(found: Range, word: Json) -> bool:
    kind = value_kind(word)
    if kind == "number" and "boolean" not in found.kinds:
        is_inside = found.low < word < found.high
        is_edge = (word == found.low and not found.is_low_open) or (word == found.high and not found.is_high_open)
        return "number" in found.kinds and (is_inside or is_edge)
    if kind == "boolean":
        return bool(found.kinds & {"boolean", "number"})
    if kind in ("string", "array"):
        return kind in found.kinds and found.shortest <= len(word) <= found.longest
    return kind in found.kinds or kind == "number"
