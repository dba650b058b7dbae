"""`runner plan`: what would be called, why, and what it would cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from time import time

from runner.app.budget import PlannedLimit, against_plan, allowance_of
from runner.app.explaining import Difference
from runner.app.holding import depends_on
from runner.app.locking import ensure_locked
from runner.app.looking import look_around, plan_of
from runner.app.preparing import prepare_project
from runner.app.selecting import prepare_selected
from runner.app.types import RunOptions
from runner.core.canonical import Json
from runner.core.errors import CallNeeded, NothingSelected, UsageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem, listed, nearest
from runner.plan.ending import has_failures
from runner.plan.items import ItemList, Items
from runner.plan.planned import Plan, PlannedCall
from runner.plan.selection import selection_problems
from runner.plan.shape import StepShape, shape_of
from runner.plan.stages import RunState
from runner.record.plan_file import SavedPlace

OnCall = Callable[[SavedPlace, str, Mapping[str, Json]], None]


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan, where it was made, and what was noticed on the way. `why` explains the calls that were asked for.

    `budget` has each bound of the run beside what the plan takes. `run_ends` is the exit code that a run would have
    without a call: 6 where one is needed, 1 where the stored answers lead to a failure.
    """

    workflow: str
    file: str
    plan: Plan
    price_dates: tuple[str, ...]
    shape: tuple[StepShape, ...] = ()
    why: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()
    depends_on: Mapping[str, Json] = field(default_factory=dict)
    nothing_to_explain: str = ""
    budget: tuple[PlannedLimit, ...] = ()
    run_ends: int = 0


def plan_workflow(path: Path, options: RunOptions, why: str | None = None, on_call: OnCall | None = None) -> PlanReport:
    """Plan a workflow file. Calls nothing, writes nothing. Raises RunnerError.

    `why` is "" for all certain calls, or `STEP` or `STEP[item]`. `on_call` is told every call that is certain: its
    place (step, item, sample, repair), its key and its ingredients; then the report says what the plan depends on.
    """
    prepared = prepare_selected(path, options)
    ensure_locked(prepared, options)
    workflow = prepared.project.workflow
    assert workflow is not None
    with look_around(prepared, options) as look:
        plan, state = plan_of(prepared, look, _telling(on_call) if on_call else None)
        chosen = _chosen(plan, state, why) if why is not None else []
        now = time()
        quiet = _nothing_to_explain(plan, why) if why and not chosen else ""
        differences = tuple(look.explainer.difference(call.ask, call.reason, now) for call in chosen)
    prices = {step.route.facts.price for step in prepared.program.asked.values()}
    dates = tuple(sorted({price.date for price in prices if price is not None and price.date}))
    shape = shape_of(prepared.program.linked, prepared.project.routes)
    return PlanReport(
        workflow.name,
        workflow.file,
        plan,
        dates,
        shape,
        differences,
        tuple(look.warnings),
        depends_on(prepared) if on_call else {},
        quiet,
        against_plan(plan, allowance_of(prepared.project, options)),
        _run_ends(plan, state),
    )


def _run_ends(plan: Plan, state: RunState) -> int:
    if plan.worst_calls != 0 or selection_problems(state):
        return CallNeeded.exit_code
    return 1 if has_failures(state) else 0


def _telling(on_call: OnCall) -> Callable[[PlannedCall], None]:
    def tell(call: PlannedCall) -> None:
        ask = call.ask
        on_call(ask.place, ask.key, ask.ingredients)

    return tell


@dataclass(frozen=True, slots=True)
class StepList:
    """The steps of a workflow, without a look at items or stored answers."""

    workflow: str
    file: str
    steps: tuple[StepShape, ...]


def list_steps(path: Path, options: RunOptions) -> StepList:
    """The steps of a workflow file, in order of execution. Raises RunnerError."""
    project = prepare_project(path, options)
    assert project.workflow is not None
    assert project.linked is not None
    shape = shape_of(project.linked, project.routes)
    return StepList(project.workflow.name, project.workflow.file, shape)


def _nothing_to_explain(plan: Plan, why: str) -> str:
    """A question that is not asked, or not known yet, has no ingredients that differ."""
    step = next(line for line in plan.steps if line.step == why.partition("[")[0])
    after = f", known after {', '.join(step.after)}" if step.after else ""
    return f"{why}  no call that is certain: {step.step} is '{step.fate}'{after}"


def _chosen(plan: Plan, state: RunState, why: str) -> Sequence[PlannedCall]:
    """The certain calls of a step or of one item. Raises UsageError and NothingSelected."""
    if not why:
        return plan.asked
    step, _, item = why.partition("[")
    names: Mapping[str, object] = {line.step: line for line in plan.steps}
    if step not in names:
        raise UsageError(
            Problem(
                "unknown-step",
                f"--why names step '{step}', but no step has that name",
                expected=f"a step: {listed(names)}",
                nearest=nearest(step, names),
            )
        )
    wanted = item.removesuffix("]") if item else None
    if wanted is not None:
        _ensure_item(state, step, wanted)
    return [call for call in plan.asked if call.ask.step == step and wanted in (None, call.ask.item)]


def _ensure_item(state: RunState, step: str, item: str) -> None:
    """Raises NothingSelected where the step has no such item, as far as its items are known."""
    lane = state.program.steps[step].linked.lane
    if lane and lane not in state.lanes:
        return
    items: Items = state.lanes[lane] if lane else ItemList()
    if any(one.id == item for one in items):
        return
    near = nearest(item, (one.id for one in items))
    message = (
        f"--why names '{step}[{item}]', but {'no item of the step has that name' if lane else 'the step has no items'}"
    )
    raise NothingSelected(Problem("nothing-selected", message, nearest=f"{step}[{near}]" if near else ""))
