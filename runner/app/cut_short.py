"""What a run that was stopped early says: one problem, with how much was not asked, and the way on."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.frozen import replace
from runner.core.outcome import FailureKind
from runner.core.problem import Problem
from runner.record.summary import RunSummary, StepSummary

WAY_ON = "put that right and run the same command again: what was received is stored, and the rest is asked"
_WAYS = {
    FailureKind.AUTH: "give a key that the provider takes, then run the same command again: the rest is asked",
    FailureKind.QUOTA: "run the same command again when there is quota: the rest is asked",
    FailureKind.TRANSIENT: "run the same command again when the provider is back: the rest is asked",
}


def with_rest(
    problems: Sequence[Problem], summary: RunSummary, stopped_by: tuple[str, FailureKind]
) -> tuple[Problem, ...]:
    """The problems of a run, with what was not asked at the one that ended it."""
    step, kind = stopped_by
    left = sum(map(_not_asked, (one for one in summary.steps if one.step == step)))
    told = next((number for number, problem in enumerate(problems) if problem.code == kind), None)
    if told is None or not left:
        return tuple(problems)
    notes = (*problems[told].notes, ("not asked", _in_words(left, step)))
    own = problems[told].fix
    way = f"{own}, then run the same command again: the rest is asked" if own else _WAYS.get(kind, WAY_ON)
    whole = replace(problems[told], notes=notes, fix=way)
    return (*problems[:told], whole, *problems[told + 1 :])


def _not_asked(step: StepSummary) -> int:
    return step.items - step.good - step.failed - step.skipped


def _in_words(left: int, step: str) -> str:
    return f"{left:,} item{'' if left == 1 else 's'} of {step}, nor what comes behind"
