"""The rows that one row becomes: its partners, its elements, those of them that are wanted, and their columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from runner.core.canonical import Json, NotJson, digest_of, ensure_json
from runner.core.frozen import dataclass
from runner.core.outcome import Failure, Outcome, Status
from runner.core.problem import Problem
from runner.link.parts import LinkedSource
from runner.plan.advance import Scope, is_hole, upstream_failure, view_of
from runner.plan.items import ID_DIGITS, Item, Row, name_of
from runner.plan.items_made import MadeRow
from runner.plan.program import Program
from runner.plan.rendering import listed
from runner.templates.problems import RenderFailed

BETWEEN = "/"


@dataclass(frozen=True, slots=True)
class Part:
    """What one row becomes: `rows`; or it is not known yet, as `waits` for steps says; or nothing, because of a failure."""

    rows: Sequence[MadeRow] = ()
    waits: frozenset[str] = frozenset()
    failure: Failure | None = None


class Partners(Protocol):
    """The rows of another source by the value that a row has in common with them."""

    def of(self, value: Json) -> Iterable[Item]: ...


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes rows of a source. `own` are the steps of the row's lane that are read, each with whether it is needed.

    Rows are looked at, unless they are only picked from what is JSON already.
    """

    program: Program
    source: LinkedSource
    scope: Scope
    own: Mapping[str, bool] = field(default_factory=dict)
    partners: Partners | None = None
    is_looked_at: bool = True

    def part(self, item: Item, outcomes: Mapping[str, Outcome]) -> Part:
        """What an item becomes, given what the steps of its lane came to."""
        waits: set[str] = set()
        is_left_out = False
        for need, is_hard in self.own.items():
            ended = outcomes.get(need)
            if ended is None:
                waits.add(need)
            elif ended.status is not Status.GOOD:
                if not is_hole(ended, self.program.steps[need].linked.step):
                    return Part(failure=upstream_failure(need, ended))
                is_left_out = is_left_out or is_hard
        if is_left_out:
            return Part()
        if waits:
            return Part(waits=frozenset(waits))
        if item.problem:
            return Part([MadeRow(item.id, item.value, item.problem)])
        for need in sorted(self.source.below):
            ended = self.scope.own_end(need, self.source.lane, item.index)
            if ended is not None and ended.status is not Status.GOOD:
                return Part(failure=upstream_failure(need, ended))
        return Part(list(self._rows(item, self._values(item, outcomes))))

    def _values(self, item: Item, outcomes: Mapping[str, Outcome]) -> dict[str, Json]:
        own = {name: view_of(outcomes[name], self.program.steps[name].linked.step) for name in self.own}
        seen = {name: {**self.scope.views.get(name, {}), **view} for name, view in own.items()}
        below = self.scope.own_views(self.source.below, self.source.lane, item.index)
        views = {**self.scope.views, **seen, **below}
        values: dict[str, Json] = {**self.program.names, "inputs": self.program.inputs, "steps": views}
        return values if item.group is None else {**values, "group": item.group}

    def _rows(self, item: Item, values: Mapping[str, Json]) -> Iterator[MadeRow]:
        taken: dict[str, int] = {}
        try:
            for name, value in self._joined(item):
                for row in self._elements(name, {**values, "item": value}):
                    unique = _numbered(row.id, taken)
                    yield row if unique == row.id else MadeRow(unique, row.value, row.problem)
        except RenderFailed as error:
            place = f"{error.problem.span}: " if error.problem.span else ""
            yield MadeRow(_numbered(item.id, taken), item.value, f"{place}{error.problem.message}")

    def _joined(self, item: Item) -> Iterator[tuple[str, Json]]:
        """The row beside each of its partners. It is named for both where there are several."""
        if self.partners is None:
            yield item.id, item.value
            return
        on = self.source.made.join.on if self.source.made.join else ""
        if not isinstance(item.value, dict) or on not in item.value:
            raise RenderFailed(Problem("bad-row", f"it has no field '{on}' to join by"))
        found = list(self.partners.of(item.value[on]))
        for partner in found:
            name = item.id if len(found) == 1 else f"{item.id}{BETWEEN}{_part(partner.id)}"
            yield name, {**item.value, self.source.joined: partner.value}

    def _elements(self, name: str, values: dict[str, Json]) -> Iterator[MadeRow]:
        where = self.source.where
        if self.source.each is None:
            if where is None or where.holds(values):
                yield self._row(name, values["item"], values)
            return
        for element in listed(self.source.each, values):
            values = {**values, "each": element}
            if where is None or where.holds(values):
                yield self._row(name, element, values, is_element=True)

    def _row(self, name: str, plain: Json, values: Mapping[str, Json], *, is_element: bool = False) -> MadeRow:
        made = self.source.made
        columns = {} if made.group else self.source.columns
        row = {column: text.evaluate(values) for column, text in columns.items()} if columns else plain
        if self.is_looked_at:
            try:
                ensure_json(row)
                ensure_json(plain)
            except NotJson as error:
                return MadeRow(name, None, f"it cannot be written as JSON: {error}")
        if made.group:
            return MadeRow(name, row)
        key, problem = name_of(Row(row, 0), self.source.source.key) if self.source.source.key else ("", "")
        if not is_element:
            return MadeRow(name if problem else key or name, row, problem)
        return MadeRow(
            f"{name}{BETWEEN}{_part(key) if key and not problem else digest_of(plain)[:ID_DIGITS]}", row, problem
        )


def computes(source: LinkedSource) -> bool:
    """Whether an expression makes values of its own, which need not be JSON; what is only picked is."""
    columns = {} if source.made.group else source.columns
    made = [*columns.values(), *([source.each] if source.each is not None else [])]
    return any(one.path is None for one in made)


def _part(name: str) -> str:
    """A name that stands behind another one: it has none of the signs between them."""
    return name.replace(BETWEEN, "%2F")


def _numbered(name: str, taken: dict[str, int]) -> str:
    """The name, with a number where it came before."""
    count = taken.get(name, 0) + 1
    taken[name] = count
    unique = name if count == 1 else f"{name}#{count}"
    while unique != name and unique in taken:
        unique += "#"
    if unique != name:
        taken[unique] = 1
    return unique
