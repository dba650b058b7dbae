"""The rows of a source that is made from others, as far as they are known, and what making them needs."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from runner.core.aside import Aside
from runner.core.frozen import dataclass as frozen_dataclass
from runner.core.outcome import Failure, Outcome
from runner.plan.advance import Scope
from runner.plan.items import Item, Items
from runner.plan.program import Program


@frozen_dataclass(frozen=True, slots=True)
class Rest:
    """Rows that are not known before some steps have answered: at most so many, None where nothing bounds them."""

    most: int | None
    waits: frozenset[str] = frozenset()


@dataclass(slots=True)
class Made:
    """The rows of a source, as far as they are known.

    `failure` says why they could not be made, or that some are missing (`is_partial`) since what they are made from
    failed; `skip` which step was skipped that they are made from. `starts` has for each row of the source before
    where its own begin, `failed` which of those rows failed.
    """

    items: Items
    rest: Rest | None = None
    failure: Failure | None = None
    is_partial: bool = False
    skip: str = ""
    starts: array[int] = field(default_factory=lambda: array("q"))
    failed: set[int] = field(default_factory=set)

    def own(self, start: int, end: int) -> tuple[int, int]:
        """The rows that were made from some in a row of the source before, by their places."""
        whole = len(self.items)
        places = (self.starts[at] if at < len(self.starts) else whole for at in (start, end))
        first, last = places
        return first, last


class Ground(Protocol):
    """What making rows needs of the run so far."""

    @property
    def program(self) -> Program: ...

    @property
    def aside(self) -> Aside: ...

    @property
    def data(self) -> Mapping[str, Items]: ...

    def scope(self) -> Scope: ...

    def is_open(self, name: str) -> bool: ...

    def walked(self, lane: str) -> Iterator[tuple[Item, Mapping[str, Outcome]]]: ...
