"""What is known of an item on its way, between two answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Protocol

from runner.core.answer import StoredAnswer
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import Attempt, Failure, Outcome
from runner.plan.asks import Ask, Given
from runner.plan.items import Item


class OwnRows(Protocol):
    """What became of the rows that were made for one item of a lane, by the place of the item."""

    def end(self, name: str, lane: str, index: int) -> Outcome:
        """How a step ended for all of them together."""
        ...

    def view(self, name: str, lane: str, index: int) -> Mapping[str, Json]:
        """The good answers of a step for them, as readers see them."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What a lane's items see of the rest: the views of steps elsewhere, and how those steps ended.

    `barriers` says of each step that runs per item whether all its items together are good enough to be read. `own` knows the
    rows that were made for each item.
    """

    views: Mapping[str, Json] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    barriers: Mapping[str, Outcome] = field(default_factory=dict)
    own: OwnRows | None = None

    def own_views(self, below: Iterable[str], lane: str, index: int) -> dict[str, Json]:
        """The views of steps that walk rows made for an item, as this item sees them."""
        return {name: self.own.view(name, lane, index) for name in below} if self.own is not None else {}

    def own_end(self, name: str, lane: str, index: int) -> Outcome | None:
        """How such a step ended."""
        return self.own.end(name, lane, index) if self.own is not None else None


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A step whose answers are under way: results by sample, attempts so far, and the values its texts saw.

    `given` are the results, by sample and by number, of calls whose answer has other calls that are still being run.
    """

    values: Mapping[str, Json]
    results: Mapping[int, Json]
    failures: Mapping[int, Failure]
    attempts: tuple[Attempt, ...]
    waiting: int
    tool_calls: Mapping[int, tuple[Json, ...]] = field(default_factory=dict)
    given: Mapping[int, Mapping[int, Given]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """A loop in its `turn`: the state before it, what was said in turns before, and the steps of this one.

    `values` are what the loop sees of the rest; with `elements` there is one turn for each, `limit` is the last one.
    """

    values: Mapping[str, Json]
    state: Json
    inner: ItemState
    limit: int
    elements: tuple[Json, ...] = ()
    turn: int = 1
    turns: tuple[Mapping[str, Json], ...] = ()
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemState:
    """One item on its way down a stage: outcomes so far (also of earlier stages of the lane), and open steps."""

    item: Item
    outcomes: Mapping[str, Outcome]
    open: Mapping[str, OpenStep | OpenLoop]


@dataclass(frozen=True, slots=True)
class Move:
    """What one advance brings: the new state, asks now ready, outcomes reached, and failure marks to be stored."""

    state: ItemState
    asks: tuple[Ask, ...] = ()
    reached: tuple[Outcome, ...] = ()
    attempt: Attempt | None = None
    mark: StoredAnswer | None = None
