"""What is known of a run so far: results by lane, step tallies, open barriers. Pure; fed with receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.core.workflow import Step
from runner.link.linked import Lane
from runner.link.stages import Stage
from runner.plan.advance import Scope, hole_in_words, is_absorbed, is_hole, upstream_failure, view_of
from runner.plan.items import ROOT_ITEM, Item, Row, identify
from runner.plan.program import Program
from runner.plan.rendering import listed
from runner.templates.problems import RenderFailed

MIN_CHUNK, MAX_CHUNK = 20, 500


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


class RunState:
    """The results of a run, filled stage by stage. It holds no clock, store or network.

    `data` has the items of each data source. Results are kept in memory, without attempts. A lane whose list cannot
    be made has no items: `lane_failures` says what went wrong, `lane_skips` which step that it reads was skipped.
    """

    def __init__(self, program: Program, data: Mapping[str, Sequence[Item]]) -> None:
        self.program = program
        self.stages: tuple[Stage, ...] = program.linked.stages
        self.data = data
        self.root: dict[str, Outcome] = {}
        self.lanes: dict[str, Sequence[Item]] = {}
        self.lane_failures: dict[str, Failure] = {}
        self.lane_skips: dict[str, str] = {}
        self.results: dict[str, list[dict[str, Outcome]]] = {}
        self.tallies: dict[str, Tally] = {name: Tally() for name in program.steps}
        self._lists: dict[str, list[Json]] = {}

    # Lanes

    def items(self, lane: str) -> Sequence[Item]:
        """The items of a lane; opened on first use, when what its list reads has ended."""
        if lane not in self.lanes:
            self.lanes[lane] = self._open(lane)
            self.results[lane] = [{} for _ in self.lanes[lane]]
        return self.lanes[lane]

    def _open(self, lane: str) -> Sequence[Item]:
        found = self.program.linked.lanes[lane]
        if found.data:
            return self.data[found.data]
        if not self._is_readable(found):
            return ()
        try:
            values = {"inputs": self.program.inputs, "steps": self.scope().views}
            elements = listed(found.items, values)
        except RenderFailed as error:
            place = f"{error.problem.span}: " if error.problem.span else ""
            self.lane_failures[lane] = Failure(FailureKind.RENDER, f"{place}{error.problem.message}")
            return ()
        return tuple(identify(Row(element, number) for number, element in enumerate(elements, 1)))

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
        items = self.items(stage.lane)
        earlier = self.results[stage.lane]
        size = max(MIN_CHUNK, min(MAX_CHUNK, len(items) // (parallel * 4) or 1))
        for index in range(0, len(items), size):
            some = items[index : index + size]
            plans = tuple(ItemPlan(item, earlier[index + offset]) for offset, item in enumerate(some))
            yield Chunk(number, index, plans)

    def fold(self, receipt: Receipt) -> None:
        """Take in a finished chunk."""
        stage = self.stages[receipt.stage]
        results = self.results[stage.lane] if stage.lane else [self.root]
        for name in stage.steps:
            reached = [outcomes[name] for outcomes in receipt.outcomes if name in outcomes]
            step = self.program.steps[name].linked.step
            self.tallies[name] = self.tallies[name].with_outcomes(reached, step)
        for offset, outcomes in enumerate(receipt.outcomes, receipt.number):
            for name in stage.steps:
                if name in outcomes:
                    results[offset][name] = outcomes[name].without_attempts()

    # What steps see

    def scope(self) -> Scope:
        """The views of all steps that have ended, for items of any lane."""
        views: dict[str, Json] = {}
        barriers: dict[str, Outcome] = {}
        for name, step in self.program.steps.items():
            if not step.linked.lane:
                if name in self.root:
                    views[name] = view_of(self.root[name], step.linked.step)
            elif step.linked.lane in self.results:
                barriers[name] = self.barrier(name)
                is_skipped = barriers[name].status is Status.SKIPPED
                field = "outputs" if step.linked.step.schema or step.turn else "texts"
                views[name] = {} if is_skipped else {field: self.good_outputs(name)}
        return Scope(views, dict(self.root), barriers)

    def good_outputs(self, name: str) -> list[Json]:
        """The good answers of a step that runs per item, in source order."""
        lane = self.program.steps[name].linked.lane
        found = self._lists.get(name)
        tally = self.tallies[name]
        if found is None or len(found) != tally.good:
            found = [
                outcomes[name].output
                for outcomes in self.results.get(lane, ())
                if name in outcomes and outcomes[name].status is Status.GOOD
            ]
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
        ends = (outcomes[name].failure for outcomes in self.results.get(lane, ()) if name in outcomes)
        failures = (self.lane_failures.get(lane), *ends)
        return next((one for one in failures if one is not None and one.kind is FailureKind.NOT_SELECTED), None)

    def is_enough(self, name: str) -> bool:
        """Whether enough items are good: the share of `min_success`, by default at least one of a fan-out."""
        tally = self.tallies[name]
        judged = tally.good + tally.absorbed
        linked = self.program.steps[name].linked
        wanted = linked.step.min_success
        if wanted is None:
            return tally.good >= 1 or not linked.lane
        return not judged or tally.good / judged >= wanted
