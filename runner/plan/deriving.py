"""The rows of one source, made from those of another: row by row, or all together where they are grouped, sorted or joined."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import islice

from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.link.parts import LinkedSource
from runner.link.scope import Use
from runner.plan.advance import hole_in_words, is_hole, upstream_failure
from runner.plan.grouping import Grouping, Numbering, PartnersAside, Sorting
from runner.plan.items import ItemList
from runner.plan.items_made import ItemsMade, MadeRow
from runner.plan.made import Ground, Made, Rest
from runner.plan.making import Maker, Part, computes
from runner.plan.spill import ListAside
from runner.templates.problems import RenderFailed

ROWS_AT_ONCE = 200


class Deriving:
    """One source while it is made."""

    def __init__(self, ground: Ground, source: LinkedSource, before: Mapping[str, Made]) -> None:
        self.ground = ground
        self.source = source
        self.parent = before[source.parent]
        self.other = before[source.joined] if source.joined else None
        self.scope = ground.scope()
        self.partners: PartnersAside | None = None
        steps = ground.program.linked.steps
        own = {use.step for use in source.row_uses if not use.is_barrier and steps[use.step].lane == source.lane}
        self.own = {name: _is_hard(name, source.row_uses) for name in sorted(own)}
        self.waits: set[str] = set()
        self.unknown: int | None = 0
        if self.parent.rest is not None:
            self.waits |= self.parent.rest.waits
            self.unknown = self.parent.rest.most

    def run(self) -> Generator[None, None, Made]:
        """Make the rows, and pause now and then. Raises StorageError."""
        stopped = self._stopped()
        if stopped is not None:
            return stopped
        if self.other is not None and self.source.made.join is not None:
            try:
                on = self.source.made.join.on
                self.partners = PartnersAside(self.other.items, on, self.source.joined, self.ground.aside)
            except RenderFailed as error:
                return _failed(_rendering(error))
        self.unknown = _product(self.unknown, self._per_row())
        return (yield from self._gathered() if self.source.made.is_barrier else self._streamed())

    # What must be there as a whole

    def _stopped(self) -> Made | None:
        """Why no row at all can be made, or not yet."""
        is_barrier = self.source.made.is_barrier
        for before in (self.parent, self.other):
            if before is None:
                continue
            if before.skip or (before.failure and (is_barrier or not before.is_partial)):
                return Made(ItemList(), failure=before.failure, skip=before.skip)
        missing: set[str] = set()
        if self.other is not None and self.other.rest is not None:
            missing |= self.other.rest.waits
        uses = (*self.source.row_uses, *self.source.group_uses)
        for need in sorted({use.step for use in uses} - self.own.keys()):
            ended = self._end(need, is_barrier=any(use.step == need and use.is_barrier for use in uses))
            if ended is None:
                missing.add(need)
            elif ended.status is not Status.GOOD:
                if not is_hole(ended, self.ground.program.steps[need].linked.step):
                    return _failed(upstream_failure(need, ended))
                if _is_hard(need, uses):
                    return Made(ItemList(), skip=hole_in_words(ended))
        self.waits |= missing
        return self._unknown() if missing or (is_barrier and self.waits) else None

    def _end(self, need: str, *, is_barrier: bool) -> Outcome | None:
        """How a step ended that is read as a whole; None where that is not known yet."""
        if self.ground.is_open(need):
            return None
        if need in self.source.below:
            return Outcome(need, "", Status.GOOD)  # each row looks at its own
        return self.scope.barriers.get(need) if is_barrier else self.scope.outcomes.get(need)

    def _unknown(self) -> Made:
        """No row is known yet: there may be as many as come of the rows before."""
        before = self.parent.rest.most if self.parent.rest else 0
        most = _product(None if before is None else before + len(self.parent.items), self._per_row())
        return Made(ItemList(), Rest(self._bounded(most), frozenset(self.waits)))

    def _per_row(self) -> int | None:
        """How many rows come of one at most."""
        partners: int | None = 1
        if self.partners is not None:
            partners = self.partners.most
        elif self.other is not None:
            further = self.other.rest.most if self.other.rest else 0
            partners = None if further is None else len(self.other.items) + further
        return _product(partners, self.source.most_each if self.source.each is not None else 1)

    def _bounded(self, most: int | None) -> int | None:
        bounds = [most, self.source.most_groups, self.source.made.limit]
        return min((bound for bound in bounds if bound is not None), default=None)

    # Row by row

    def _parts(self) -> Iterator[tuple[int, Part]]:
        is_looked_at = computes(self.source)
        maker = Maker(self.ground.program, self.source, self.scope, self.own, self.partners, is_looked_at)
        plain = ((item, _NOTHING) for item in self.parent.items)
        walked = self.ground.walked(self.source.lane) if self.own else plain
        for index, (item, outcomes) in enumerate(walked):
            yield index, maker.part(item, outcomes)

    def _streamed(self) -> Generator[None, None, Made]:
        """Each row by itself. With a limit, a row is sure only if all that may come before leave room for it."""
        items = ItemsMade(self.ground.aside.pieces())
        made = Made(items, failure=self.parent.failure, is_partial=self.parent.is_partial)
        limit, per_row, unsure = self.source.made.limit, self._per_row(), 0
        numbering = Numbering(self.ground.aside) if self.source.source.key and self.source.each is None else None
        for index, part in self._parts():
            if index % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                yield
            if limit is not None and len(items) >= limit:
                break
            made.starts.append(len(items))
            if part.failure is not None:
                made.failed.add(index)
                made.failure, made.is_partial = made.failure or part.failure, True
            if part.waits:
                self.waits |= part.waits
                self.unknown = None if self.unknown is None or per_row is None else self.unknown + per_row
            for row in part.rows:
                if limit is None or (self.unknown is not None and len(items) + self.unknown < limit):
                    items.add(numbering.unique(row) if numbering is not None else row)
                elif len(items) < limit:
                    unsure += 1
        if self.waits:
            made.rest = self._rest(len(items), unsure)
        return made

    def _rest(self, known: int, unsure: int) -> Rest | None:
        most = None if self.unknown is None else self.unknown + unsure
        limit = self.source.made.limit
        if limit is not None:
            most = limit - known if most is None else min(most, limit - known)
        return Rest(most, frozenset(self.waits)) if most != 0 else None

    # All together

    def _gathered(self) -> Generator[None, None, Made]:
        """All rows before the first one."""
        kept = ListAside(self.ground.aside.pieces())
        made = self.source.made
        try:
            values = {**self.ground.program.names, "inputs": self.ground.program.inputs, "steps": self.scope.views}
            grouping = Grouping(self.source, values, self.ground.aside, kept) if made.group else None
            sorting = Sorting(made.sort, self.ground.aside) if made.sort or grouping is None else None
            count = 0
            for index, part in self._parts():
                if index % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                    yield
                if part.failure is not None:
                    return _failed(part.failure)
                self.waits |= part.waits
                for row in part.rows:
                    if row.problem:
                        return _failed(Failure(FailureKind.RENDER, self._bad(row)))
                    count += 1
                    _to(grouping or sorting).add(row)
            if self.waits:
                return self._unknown()
            return (yield from self._kept(grouping, sorting, kept))
        except RenderFailed as error:
            return _failed(_rendering(error))

    def _kept(self, grouping: Grouping | None, sorting: Sorting | None, kept: ListAside) -> Generator[None, None, Made]:
        if grouping is not None and sorting is not None:
            for number, row in enumerate(grouping.rows()):
                if number % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                    yield
                sorting.add(row)
        items = ItemsMade(self.ground.aside.pieces(), kept)
        numbering = Numbering(self.ground.aside) if self.source.source.key or self.source.joined else None
        for row in islice(_to(sorting or grouping).rows(), self.source.made.limit):
            if len(items) % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                yield
            items.add(numbering.unique(row) if numbering is not None else row)
        return Made(items)

    def _bad(self, row: MadeRow) -> str:
        return f"data source '{self.source.name}' is made from all rows, and row '{row.id}' is bad: {row.problem}"


_NOTHING: Mapping[str, Outcome] = {}


def _to(one: Grouping | Sorting | None) -> Grouping | Sorting:
    assert one is not None
    return one


def _is_hard(name: str, uses: Iterable[Use]) -> bool:
    return any(use.step == name and not use.is_soft for use in uses)


def _failed(failure: Failure) -> Made:
    return Made(ItemList(), failure=failure)


def _rendering(error: RenderFailed) -> Failure:
    place = f"{error.problem.span}: " if error.problem.span else ""
    return Failure(FailureKind.RENDER, f"{place}{error.problem.message}")


def _product(one: int | None, other: int | None) -> int | None:
    """Nothing is nothing, however often."""
    if one == 0 or other == 0:
        return 0
    return None if one is None or other is None else one * other
