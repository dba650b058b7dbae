"""`runner plan`: what would be called, why, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.app.explaining import Difference, Explainer
from runner.app.keeping import recordings_of
from runner.app.preparing import prepare_program, prepare_project
from runner.app.session import LOCAL_CACHE, RUNS
from runner.app.types import RunOptions
from runner.core.errors import NothingSelected
from runner.core.problem import Problem, listed, nearest
from runner.plan.estimate import History
from runner.plan.plan import Plan, PlannedCall, make_plan
from runner.plan.shape import StepShape, shape_of
from runner.plan.stages import RunState
from runner.record.folders import list_runs, run_folder
from runner.record.summary import RunSummary, read_summary
from runner.store.layers import LayeredAnswers
from runner.store.local import LocalStore
from runner.store.memory import MemoryStore

HISTORY_RUNS = 20


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan, where it was made, and what was noticed on the way. `why` explains the calls that were asked for."""

    workflow: str
    file: str
    plan: Plan
    price_dates: tuple[str, ...]
    shape: tuple[StepShape, ...] = ()
    why: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()


def plan_workflow(path: Path, options: RunOptions, why: str | None = None) -> PlanReport:
    """Plan a workflow file. Calls nothing, writes nothing. Raises RunnerError.

    `why` is "" for all certain calls, or `STEP` or `STEP[item]`.
    """
    prepared = prepare_program(path, options)
    workflow, root = prepared.project.workflow, prepared.project.files.root
    assert workflow is not None
    warnings: list[str] = []
    folder = root / LOCAL_CACHE
    store = LocalStore(folder) if options.use_cache and folder.is_dir() else MemoryStore()
    try:
        recordings = recordings_of(root)
        answers = LayeredAnswers(recordings if options.use_cache else None, store, warnings.append)
        explainer = Explainer(root / RUNS, workflow.name, recordings, answers)
        state = RunState(prepared.program, prepared.data)
        plan = make_plan(state, answers.lookup, explainer.reason, history(root, workflow.name))
        chosen = _chosen(plan, why) if why is not None else []
        differences = tuple(explainer.difference(call.ask, call.reason) for call in chosen)
    finally:
        store.close()
    prices = {step.route.facts.price for step in prepared.program.steps.values()}
    dates = tuple(sorted({price.date for price in prices if price is not None and price.date}))
    shape = shape_of(prepared.program.linked, prepared.project.routes)
    return PlanReport(workflow.name, workflow.file, plan, dates, shape, differences, tuple(warnings))


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


def history(root: Path, workflow: str) -> dict[str, History]:
    """What fresh answers of each step took in the last runs of the workflow."""
    found: dict[str, History] = {}
    for run in list_runs(root / RUNS)[-HISTORY_RUNS:]:
        summary = _summary(root, run)
        if summary is None or summary.workflow != workflow:
            continue
        for step in summary.steps:
            past = found.get(step.step, History())
            found[step.step] = History(
                past.calls + step.calls, past.input_tokens + step.input_tokens, past.output_tokens + step.output_tokens
            )
    return found


def _summary(root: Path, run: str) -> RunSummary | None:
    folder = run_folder(root / RUNS, run)
    try:
        return read_summary(folder) if folder is not None else None
    except ValueError:
        return None  # damaged, or of another release: history is only for the estimate


def _chosen(plan: Plan, why: str) -> Sequence[PlannedCall]:
    """The certain calls of a step or of one item. Raises NothingSelected."""
    if not why:
        return plan.asked
    step, _, item = why.partition("[")
    names: Mapping[str, object] = {line.step: line for line in plan.steps}
    if step not in names:
        raise NothingSelected(
            Problem(
                "unknown-step",
                f"--why names step '{step}', but no step has that name",
                expected=f"a step: {listed(names)}",
                nearest=nearest(step, names),
            )
        )
    wanted = item.removesuffix("]") if item else None
    return [call for call in plan.asked if call.ask.step == step and wanted in (None, call.ask.item)]
