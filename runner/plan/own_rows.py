"""What became of the rows that were made for one item of a lane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol

from runner.core.canonical import Json
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.plan.advance import is_absorbed
from runner.plan.derived import Derivations
from runner.plan.program import Program


class Results(Protocol):
    """What is asked of the run so far."""

    @property
    def program(self) -> Program: ...

    @property
    def derivations(self) -> Derivations: ...

    def ends(self, name: str, start: int, end: int) -> Iterator[Outcome]:
        """What some items in a row came to in a step."""
        ...

    def barrier(self, name: str) -> Outcome: ...


class OwnResults:
    """Fills `plan.states.OwnRows`."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def end(self, name: str, lane: str, index: int) -> Outcome:
        whole = self._results.barrier(name)
        if whole.status is Status.SKIPPED:
            return whole
        start, end, is_broken = self._rows(name, lane, index)
        step = self._results.program.steps[name].linked.step
        outcomes = list(self._results.ends(name, start, end))
        ends = Counter(one.status for one in outcomes if not is_absorbed(one, step))
        bad = ends[Status.FAILED] + ends[Status.BLOCKED]
        if not bad and not is_broken:
            return Outcome(name, "", Status.GOOD)
        held = next((one.failure for one in outcomes if one.failure is not None and _is_held(one.failure)), None)
        reason = f"{bad} of its items failed" if bad else "what its items are made from failed"
        failure = held or Failure(FailureKind.UPSTREAM, reason)
        return Outcome(name, "", Status.BLOCKED, because=failure.message, failure=failure)

    def view(self, name: str, lane: str, index: int) -> Mapping[str, Json]:
        step = self._results.program.steps[name]
        field = "outputs" if step.linked.step.schema or step.turn else "texts"
        start, end, _ = self._rows(name, lane, index)
        return {field: [one.output for one in self._results.ends(name, start, end) if one.status is Status.GOOD]}

    def _rows(self, name: str, lane: str, index: int) -> tuple[int, int, bool]:
        lanes = self._results.program.linked.lanes
        source = lanes[self._results.program.steps[name].linked.lane].data
        return self._results.derivations.own(source, lanes[lane].data, index)


def _is_held(failure: Failure) -> bool:
    return failure.kind is FailureKind.NOT_SELECTED
