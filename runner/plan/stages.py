"""What is known of a run so far: results by lane, step tallies, open barriers. Pure; fed with receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from typing import Literal, TypeAlias

from runner.core.aside import Aside, InMemory
from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.core.workflow import OutputTable, Step
from runner.link.linked import Lane, Linked
from runner.link.stages import Stage
from runner.plan.advance import Scope, hole_in_words, is_absorbed, is_hole, upstream_failure, view_of
from runner.plan.derived import Derivations
from runner.plan.ingredients import MANY
from runner.plan.items import ROOT_ITEM, Item, ItemList, Items, Named, Row, identify, named, number
from runner.plan.items_aside import ItemsAside
from runner.plan.kept import StageResults
from runner.plan.made import Made, Rest
from runner.plan.own_rows import OwnResults
from runner.plan.program import Program
from runner.plan.rendering import listed
from runner.templates.problems import RenderFailed

MIN_CHUNK, MAX_CHUNK = 20, 500
MOST_UNDER_WAY = 4000
READ_AS_LIST = 2**20  # bytes

Keeps: TypeAlias = Literal["steps", "outputs", "all"]
"""Whose reading decides what results are kept."""


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """An item and its outcomes in earlier stages of its lane."""

    item: Item
    earlier: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some items of a stage: what an engine moves."""

    stage: int
    number: int
    items: tuple[ItemPlan, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A finished chunk: per item (in the chunk's order) what its steps came to."""

    stage: int
    number: int
    outcomes: tuple[Mapping[str, Outcome], ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How a step's items ended. `absorbed` are the failures that `on_error: skip` leaves out."""

    good: int = 0
    failed: int = 0
    absorbed: int = 0
    skipped: int = 0
    blocked: int = 0

    def with_outcomes(self, outcomes: Sequence[Outcome], step: Step) -> Tally:
        ends = Counter(outcome.status for outcome in outcomes)
        absorbed = 0
        if ends[Status.FAILED]:
            absorbed = sum(is_absorbed(outcome, step) for outcome in outcomes)
        return Tally(
            good=self.good + ends[Status.GOOD],
            failed=self.failed + ends[Status.FAILED] - absorbed,
            absorbed=self.absorbed + absorbed,
            skipped=self.skipped + ends[Status.SKIPPED],
            blocked=self.blocked + ends[Status.BLOCKED],
        )


@dataclass(frozen=True, slots=True)
class Unselected:
    """The items of a step that did not run for want of a selected step: how many, and the first."""

    count: int
    index: int
    item: str
    failure: Failure


class RunState:
    """The results of a run, filled stage by stage. It holds no clock, store or network.

    `data` has the items of each data source. Results are put aside, without attempts, and only those that something
    reads: with `keeps` "steps" what steps read, with "outputs" also what outputs do. A lane whose list cannot be made
    has no items: `lane_failures` says what went wrong, `lane_skips` which step that it reads was skipped. With `lane_gaps`
    only some are missing, because what they are made from failed.
    """

    def __init__(
        self, program: Program, data: Mapping[str, Items], aside: Aside | None = None, *, keeps: Keeps = "all"
    ) -> None:
        self.program = program
        self.stages: tuple[Stage, ...] = program.linked.stages
        self.data = data
        self.aside = aside or InMemory()
        self.root: dict[str, Outcome] = {}
        self.lanes: dict[str, Items] = {}
        self.lane_failures: dict[str, Failure] = {}
        self.lane_skips: dict[str, str] = {}
        self.lane_gaps: dict[str, Failure] = {}
        self.tallies: dict[str, Tally] = {name: Tally() for name in program.steps}
        self.unselected: dict[str, Unselected] = {}
        self.left_out: dict[str, tuple[int, Outcome]] = {}
        """By step the place and outcome of the first item that `on_error: skip` leaves out."""
        self._kept_lanes = kept_lanes(program.linked, keeps)
        self._results: dict[int, StageResults] = {}
        self._sizes: dict[str, int] = {}
        self._lists: dict[str, Sequence[Json]] = {}
        self.derivations = Derivations(self)
        self.is_open: Callable[[str], bool] = lambda _: False
        """Whether what a step comes to is not known yet, as in a plan."""
        self._own = OwnResults(self)

    # Lanes

    def items(self, lane: str) -> Items:
        """The items of a lane; opened on first use, when what its list reads has ended."""
        if lane not in self.lanes:
            self.lanes[lane] = self._open(lane)
        return self.lanes[lane]

    def _open(self, lane: str) -> Items:
        found = self.program.linked.lanes[lane]
        if found.data:
            return self._of_source(lane, self.derivations.made(found.data))
        if not self._is_readable(found):
            return ItemList()
        try:
            values = {"inputs": self.program.inputs, "steps": self.scope().views}
            elements = listed(found.items, values)
        except RenderFailed as error:
            place = f"{error.problem.span}: " if error.problem.span else ""
            self.lane_failures[lane] = Failure(FailureKind.RENDER, f"{place}{error.problem.message}")
            return ItemList()
        rows = (Row(element, number) for number, element in enumerate(elements, 1))
        if isinstance(elements, list):
            return ItemList(identify(rows))
        items = number((named(row, "") for row in rows), has_keys=False, new_table=self.aside.table)
        return ItemsAside((Named(item.id, item.value, item.problem) for item in items), self.aside.pieces())

    def opening(self, lane: str) -> Iterator[None]:
        """Make the items of a lane, and pause now and then. Raises StorageError."""
        source = self.program.linked.lanes[lane].data
        if source and lane not in self.lanes:
            yield from self.derivations.making(source)

    def rest(self, lane: str) -> Rest | None:
        """Further items of an open lane, which are not known yet."""
        source = self.program.linked.lanes[lane].data
        return self.derivations.made(source).rest if source else None

    def _of_source(self, lane: str, made: Made) -> Items:
        """The rows of a source; why some are missing is noted."""
        if made.skip:
            self.lane_skips[lane] = made.skip
        elif made.failure is not None and (not made.is_partial or made.failure.kind is FailureKind.NOT_SELECTED):
            self.lane_failures[lane] = made.failure
        elif made.failure is not None:
            self.lane_gaps[lane] = made.failure
        return made.items

    def _is_readable(self, lane: Lane) -> bool:
        """Whether what the list reads has come out well; if not, why is noted."""
        for need in sorted(lane.needs):
            ended = self.barrier(need) if need in lane.barriers else self.root[need]
            if ended.status is Status.GOOD:
                continue
            if not is_hole(ended, self.program.steps[need].linked.step):
                self.lane_failures[lane.name] = upstream_failure(need, ended)
                return False
            if any(use.step == need and not use.is_soft for use in lane.uses):
                self.lane_skips.setdefault(lane.name, hole_in_words(ended))
        return lane.name not in self.lane_skips

    # Chunks

    def chunks(self, number: int, parallel: int) -> Iterator[Chunk]:
        """The chunks of a stage, in source order; the stages before it must have ended."""
        stage = self.stages[number]
        if not stage.lane:
            yield Chunk(number, 0, (ItemPlan(ROOT_ITEM),))
            return
        size = self._size(stage.lane, parallel)
        items = iter(self.items(stage.lane))
        index = 0
        while some := tuple(islice(items, size)):
            earlier = self._earlier(stage, index // size, some)
            yield Chunk(number, index, tuple(map(ItemPlan, some, earlier)))
            index += len(some)

    def _size(self, lane: str, parallel: int = 1) -> int:
        """How many items of a lane make a chunk: many, but so that what is under way stays within memory."""
        if lane not in self._sizes:
            most = max(MIN_CHUNK, min(MAX_CHUNK, MOST_UNDER_WAY // chunks_at_once(parallel)))
            self._sizes[lane] = max(MIN_CHUNK, min(most, len(self.items(lane)) // (parallel * 4)))
        return self._sizes[lane]

    def _earlier(self, before: Stage, number: int, items: Sequence[Item]) -> list[dict[str, Outcome]]:
        """What the items of a chunk came to in the stages of their lane before this one."""
        own = (results for index, results in self._of_lane(before.lane) if self.stages[index] is not before)
        ids = [item.id for item in items]
        found: list[dict[str, Outcome]] = [{} for _ in items]
        for results in own:
            for one, more in zip(found, results.chunk(number, ids), strict=True):
                one.update(more)
        return found

    def _of_lane(self, lane: str) -> Iterator[tuple[int, StageResults]]:
        return ((index, results) for index, results in self._results.items() if self.stages[index].lane == lane)

    def walked(self, lane: str) -> Iterator[tuple[Item, dict[str, Outcome]]]:
        """The items of a lane, in source order, each with what its steps came to."""
        size = self._size(lane)
        items = iter(self.items(lane))
        kept = [results for _, results in self._of_lane(lane)]
        number = 0
        while some := tuple(islice(items, size)):
            ends: list[dict[str, Outcome]] = [{} for _ in some]
            for results in kept:
                for one, more in zip(ends, results.chunk(number, [item.id for item in some]), strict=True):
                    one.update(more)
            yield from zip(some, ends, strict=True)
            number += 1

    def fold(self, receipt: Receipt) -> None:
        """Take in a finished chunk. Raises StorageError."""
        stage = self.stages[receipt.stage]
        for name in stage.steps:
            reached = [outcomes[name] for outcomes in receipt.outcomes if name in outcomes]
            step = self.program.steps[name].linked.step
            before = self.tallies[name]
            after = self.tallies[name] = before.with_outcomes(reached, step)
            if after.blocked != before.blocked or after.failed != before.failed or after.absorbed != before.absorbed:
                self._note(name, step, receipt)
        if not stage.lane:
            (outcomes,) = receipt.outcomes
            self.root |= {name: outcomes[name].without_attempts() for name in stage.steps if name in outcomes}
        elif stage.lane in self._kept_lanes:
            if receipt.stage not in self._results:
                self._results[receipt.stage] = StageResults(stage.steps, self.aside.pieces())
            self._results[receipt.stage].keep(receipt.number // self._size(stage.lane), receipt.outcomes)

    def _note(self, name: str, step: Step, receipt: Receipt) -> None:
        """Remember the first of the items that are not good."""
        for index, outcomes in enumerate(receipt.outcomes, receipt.number):
            outcome = outcomes.get(name)
            if outcome is None or outcome.failure is None:
                continue
            if outcome.failure.kind is FailureKind.NOT_SELECTED:
                first = self.unselected.get(name) or Unselected(0, index, outcome.item, outcome.failure)
                if index < first.index:
                    first = Unselected(first.count, index, outcome.item, outcome.failure)
                self.unselected[name] = replace(first, count=first.count + 1)
            elif is_absorbed(outcome, step) and index < self.left_out.get(name, (index + 1, outcome))[0]:
                self.left_out[name] = (index, outcome.without_attempts())

    # What steps see

    def scope(self) -> Scope:
        """The views of all steps that have ended, for items of any lane."""
        views: dict[str, Json] = {}
        barriers: dict[str, Outcome] = {}
        for name, step in self.program.steps.items():
            if not step.linked.lane:
                if name in self.root:
                    views[name] = view_of(self.root[name], step.linked.step)
            elif step.linked.lane in self.lanes:
                barriers[name] = self.barrier(name)
                is_skipped = barriers[name].status is Status.SKIPPED
                field = "outputs" if step.linked.step.schema or step.turn else "texts"
                views[name] = {} if is_skipped else {field: self.good_outputs(name)}
        return Scope(views, dict(self.root), barriers, self._own if self.program.linked.sources else None)

    def ends(self, name: str, start: int, end: int) -> Iterator[Outcome]:
        """What some items in a row came to in a step."""
        lane = self.program.steps[name].linked.lane
        results = next((one for index, one in self._of_lane(lane) if name in self.stages[index].steps), None)
        return results.ends(name, start, end, self._size(lane)) if results is not None else iter(())

    def good_outputs(self, name: str) -> Sequence[Json]:
        """The good answers of a step that runs per item, in source order: a list, unless they are many."""
        found = self._lists.get(name)
        if found is None or len(found) != self.tallies[name].good:
            lane = self.program.steps[name].linked.lane
            results = next((one for index, one in self._of_lane(lane) if name in self.stages[index].steps), None)
            found = [] if results is None else results.good(name)
            if results is not None and results.bytes <= READ_AS_LIST and len(found) <= MANY:
                found = list(found)
            self._lists[name] = found
        return found

    def barrier(self, name: str) -> Outcome:
        """All items of a step together: good when its answers may be read, skipped with its list, else failed."""
        step = self.program.steps[name].linked.step
        lane = self.program.steps[name].linked.lane
        tally = self.tallies[name]
        reason = ""
        if lane in self.lane_skips:
            return Outcome(name, "", Status.SKIPPED, because=self.lane_skips[lane])
        unselected = self._unselected(name) if tally.blocked or lane in self.lane_failures else None
        if unselected is not None:
            return Outcome(name, "", Status.BLOCKED, because=unselected.message, failure=unselected)
        if lane in self.lane_failures:
            reason = self.lane_failures[lane].message
        elif lane in self.lane_gaps:
            reason = f"items are missing: {self.lane_gaps[lane].message}"
        elif tally.failed or tally.blocked:
            reason = f"{tally.failed + tally.blocked} of its items failed"
        elif tally.absorbed and not self.is_enough(name):
            wanted = f"min_success: {step.min_success:g}" if step.min_success is not None else "one good item"
            reason = f"{tally.good} of {tally.good + tally.absorbed} items are good, less than {wanted}"
        if reason:
            return Outcome(name, "", Status.BLOCKED, because=reason, failure=Failure(FailureKind.UPSTREAM, reason))
        return Outcome(name, "", Status.GOOD)

    def _unselected(self, name: str) -> Failure | None:
        """Why the first item that is neither selected nor stored was not asked."""
        lane = self.program.steps[name].linked.lane
        failure = self.lane_failures.get(lane)
        if failure is not None and failure.kind is FailureKind.NOT_SELECTED:
            return failure
        return self.unselected[name].failure if name in self.unselected else None

    def is_enough(self, name: str) -> bool:
        """Whether enough items are good: the share of `min_success`, by default at least one of a fan-out."""
        tally = self.tallies[name]
        judged = tally.good + tally.absorbed
        linked = self.program.steps[name].linked
        wanted = linked.step.min_success
        if wanted is None:
            return tally.good >= 1 or not linked.lane
        return not judged or tally.good / judged >= wanted


def kept_lanes(linked: Linked, keeps: Keeps) -> frozenset[str]:
    """The lanes whose results something reads after their items have gone by."""
    if keeps == "all":
        return frozenset(linked.lanes)
    read = {name for step in linked.steps.values() for name in step.barriers}
    read |= {name for lane in linked.lanes.values() for name in lane.needs}
    walked = [stage.lane for stage in linked.stages]
    lanes = {lane for lane in walked if walked.count(lane) > 1}
    if keeps == "outputs":
        read |= {use.step for output in linked.outputs for use in output.uses}
        read |= set() if linked.outputs else set(linked.final_steps)
        read |= {name for name, step in linked.steps.items() if step.save is not None}
        lanes |= {output.lane for output in linked.outputs if isinstance(output.output, OutputTable)}
    return frozenset(lanes | {linked.steps[name].lane for name in read}) - {""}


def chunks_at_once(parallel: int) -> int:
    """How many chunks are under way, so that there are always enough calls to make."""
    return 2 + parallel // 10
