"""A condition as a plain tree: what can be said of it without values. What is not followed is Unknown."""

from __future__ import annotations

from typing import Literal, TypeAlias

from runner.core.canonical import Json
from runner.core.frozen import dataclass

Comparing = Literal["eq", "ne", "gt", "gteq", "lt", "lteq", "in", "notin"]


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
class Unknown:
    pass


Condition: TypeAlias = Known | Read | Length | Compared | Every | Some | Not | Defined | Unknown
