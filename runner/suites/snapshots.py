"""What cases gave when their recordings were made, kept beside the recordings as one JSON document per suite."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.canonical import Json
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.suite import SnapshotCheck
from runner.suites.cases import CaseToRun
from runner.suites.differences import json_differences
from runner.suites.similarity import is_vector
from runner.suites.values import Seen
from runner.suites.verdict import Finding

ALL = "all answers"
NOT_RECORDED = "nothing is recorded to compare it with: runner test --record"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One thing that must stay as it was: what it is called, what it is now, and where that is asked for."""

    name: str
    value: Json
    span: Span
    problem: str = ""


def snapshots_of(case: CaseToRun, seen: Seen) -> tuple[Snapshot, ...]:
    """What must stay as recorded, with today's values. `expect: recorded` means the answers of all steps."""
    found: list[Snapshot] = []
    if case.expect is not None and case.expect.is_recorded:
        found.append(Snapshot(ALL, _answers(seen.names["steps"]), case.expect.span))
    for assertion in case.assertions:
        if isinstance(assertion, SnapshotCheck):
            name = assertion.of.text.strip()
            try:
                found.append(Snapshot(name, seen.evaluate(assertion.of), assertion.span))
            except RunnerError as error:
                found.append(
                    Snapshot(name, None, assertion.span, f"it cannot be evaluated: {error.problems[0].message}")
                )
    return tuple(found)


def _answers(views: Mapping[str, Mapping[str, Json]]) -> dict[str, Json]:
    """The answers without what gave them, models and pages: another version that says the same is no change."""
    return {
        step: {name: value for name, value in view.items() if name not in ("model", "failed", "sources")}
        for step, view in views.items()
        if not is_vector(step)
    }


def check_snapshots(now: tuple[Snapshot, ...], recorded: Mapping[str, Json] | None) -> list[Finding]:
    """What is not as it was; `recorded` has the values by name, None where the case was never recorded."""
    found: list[Finding] = []
    for snapshot in now:
        if snapshot.problem:
            details: tuple[str, ...] = (snapshot.problem,)
        elif recorded is None or snapshot.name not in recorded:
            details = (NOT_RECORDED,)
        else:
            details = tuple(
                f"{f'{one.path}:  ' if one.path else ''}recorded {one.expected}   got {one.got}"
                for one in json_differences(recorded[snapshot.name], snapshot.value, snapshot.span)
            )
        if details:
            title = f"{snapshot.name} differs from what was recorded"
            found.append(Finding(title, details, snapshot.span, f"{snapshot.name}: {details[0]}"))
    return found
