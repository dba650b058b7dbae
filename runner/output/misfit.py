"""Where and why a value does not fit, before it is put into words; what a validating engine is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

from runner.core.canonical import Json, escape_pointer
from runner.core.frozen import dataclass

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Misfit:
    """One keyword that a value fails.

    `schema` is the schema that holds the keyword (a boolean for the keyword "false"), `instance` the value at
    `path`. `branches` are those of `anyOf` and `oneOf`, each with its misfits. An error at the name of a property
    has `is_name`, and the name as `instance`. `unexpected` are the names that a closed object does not allow.
    """

    keyword: str
    path: Path
    schema: Json
    instance: Json
    branches: tuple[tuple[Misfit, ...], ...] = ()
    is_name: bool = False
    unexpected: tuple[str, ...] = ()


class Engine(Protocol):
    """A compiled schema. Values come without NaN and are nested at most 64 deep."""

    def is_valid(self, value: Json) -> bool: ...

    def misfits(self, value: Json) -> Iterable[Misfit]: ...


class Unusable(ValueError):
    """A schema that an engine does not take; `pointer` says where."""

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        super().__init__(f"the schema at {pointer or 'its top'} cannot be used")


def pointer_of(path: Iterable[str | int]) -> str:
    """A path as a JSON pointer."""
    return "".join(f"/{escape_pointer(str(token))}" for token in path)
