"""A condition as a plain tree: what can be said of it without values. What is not followed is Unknown."""

from __future__ import annotations

from typing import Literal, TypeAlias

from runner.core.canonical import Json
from runner.core.frozen import dataclass

Comparing = Literal["eq", "ne", "gt", "gteq", "lt", "lteq", "in", "notin"]
Sign = Literal["+", "-", "*", "/", "//", "%", "**"]


@dataclass(frozen=True, slots=True)
class Known:
    """A value that is written out."""

    value: Json


@dataclass(frozen=True, slots=True)
class Read:
    """A value that is read at a path, as it is written."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Length:
    """How long a list, a text or a mapping is."""

    of: Condition


@dataclass(frozen=True, slots=True)
class Compared:
    by: Comparing
    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True)
class Defined:
    """Whether there is a value."""

    of: Condition


@dataclass(frozen=True, slots=True)
class Calculated:
    """Two values and the sign between them."""

    sign: Sign
    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that is written out, of values that are not."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping that is written out, of values that are not; its keys are."""

    entries: tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of these values, whichever."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A value that something makes; `kinds` are the JSON types that it can be of, integers being numbers."""

    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unknown:
    pass


Condition: TypeAlias = (
    Known | Read | Length | Compared | Every | Some | Not | Defined
    | Calculated | Listed | Entries | Either | Made | Unknown
)  # fmt: skip
