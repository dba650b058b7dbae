"""The budget of a run: which bound holds, and what is said where it is reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runner.app.project import Project
from runner.app.types import RunOptions
from runner.core.budget import Allowance, Limit, allowance, dollars, in_words
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.plan.planned import Plan

if TYPE_CHECKING:
    from runner.execute.spending import Purse

WAY_ON = "raise the budget and run it again; what was received is stored, so it goes on from there"


def allowance_of(project: Project, options: RunOptions) -> Allowance:
    """The lowest bound of each kind that the workflow, the settings or an option sets."""
    assert project.workflow is not None
    return allowance((project.workflow.budget, project.settings.budget), options.max_cost)


def said_by(limit: Limit) -> tuple[tuple[str, str], ...]:
    """The row that names an option; a number in a file is shown in its place."""
    return () if limit.span else (("set by", limit.said_by),)


def limits_in_words(found: Allowance) -> str:
    """`at most 5 USD (--max-cost), 600 calls (flow.yaml:3:24)`, or "" without any."""
    kinds = (("usd", found.usd), ("calls", found.calls), ("tokens", found.tokens))
    words = [f"{in_words(limit, kind)} ({limit.said_by})" for kind, limit in kinds if limit is not None]
    return f"at most {', '.join(words)}" if words else ""


@dataclass(frozen=True, slots=True)
class PlannedLimit:
    """A bound beside what a plan takes of it: for certain, and at most (None: not known).

    `verdict` is what becomes of it: it `holds` whatever comes, it `may be reached` during the run, or it is `too small`:
    the run does not start.
    """

    kind: str
    limit: float
    said_by: str
    certain: float
    worst: float | None
    verdict: str


def against_plan(plan: Plan, found: Allowance) -> tuple[PlannedLimit, ...]:
    """Each bound beside what the plan takes."""
    sizes = (
        ("usd", found.usd, plan.least_usd, plan.worst_usd),
        ("calls", found.calls, plan.calls, plan.worst_calls),
        ("tokens", found.tokens, plan.least_tokens, 0 if plan.worst_calls == 0 else None),
    )
    return tuple(
        PlannedLimit(kind, limit.amount, limit.said_by, certain, worst, _verdict(limit.amount, certain, worst))
        for kind, limit, certain, worst in sizes
        if limit is not None
    )


def _verdict(amount: float, certain: float, worst: float | None) -> str:
    if certain > amount:
        return "too small"
    return "holds" if worst is not None and worst <= amount else "may be reached"


def stopped_problem(purse: Purse) -> Iterator[Problem]:
    """That the run was stopped at its budget, if it was."""
    if purse.refused_by is None:
        return
    kind, limit = purse.refused_by
    notes = list(said_by(limit))
    if purse.unclear_usd:
        notes.append(("counted", f"{dollars(purse.unclear_usd)} for requests that got no answer and may be paid"))
    yield Problem(
        "budget-reached",
        f"the run stopped at its budget of {in_words(limit, kind)}: {_spent(purse, kind)}",
        limit.span,
        notes=tuple(notes),
        fix=WAY_ON,
    )


def _spent(purse: Purse, kind: str) -> str:
    match kind:
        case "usd":
            return f"{dollars(purse.spent.usd)} are spent"
        case "calls":
            return f"{purse.calls:,} requests were sent"
        case _:
            return f"{purse.spent.tokens:,.0f} tokens are used"
