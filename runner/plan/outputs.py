"""What goes to standard output: values from outcomes, and the rows of tables."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import Outcome, Status
from runner.link.linked import LinkedOutput
from runner.plan.advance import Scope, view_of
from runner.plan.items import Item
from runner.plan.output_values import is_hole_in
from runner.plan.stages import RunState
from runner.templates.problems import RenderFailed


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table; `problem` says why the item has none (then `cells` is empty)."""

    item: Item
    cells: Mapping[str, Json]
    problem: str = ""


def answers(state: RunState, scope: Scope, left_out: Container[str] = ()) -> Json:
    """The output of a workflow without `outputs`: the answer of its one last step, else name → answer."""
    final = state.program.linked.final_steps
    if len(final) == 1 and final[0] not in left_out:
        return _answer(final[0], scope)
    return {name: _answer(name, scope) for name in final if name not in left_out}


def _answer(name: str, scope: Scope) -> Json:
    view = scope.views.get(name, {})
    return next(
        (view[field] for field in ("output", "text", "samples", "state", "outputs", "texts") if field in view), None
    )


def table_rows(output: LinkedOutput, state: RunState, scope: Scope) -> Iterator[TableRow]:
    """A row per item of the table's lane, in source order: good or skipped ones with cells, failed ones with why."""
    program = state.program
    for item, outcomes in state.walked(output.lane):
        broken = item.problem or _failure(outcomes)
        if broken:
            yield TableRow(item, {}, broken)
            continue
        own = {name: view_of(outcome, program.steps[name].linked.step) for name, outcome in outcomes.items()}
        views = {name: {**scope.views.get(name, {}), **view} for name, view in own.items()}
        views |= scope.own_views(output.below, output.lane, item.index)
        values = {"inputs": program.inputs, "item": item.value, "steps": {**scope.views, **views}}
        if item.group is not None:
            values["group"] = item.group
        own_scope = replace(
            scope,
            outcomes={**scope.outcomes, **outcomes},
            barriers={**scope.barriers, **_own_ends(output, scope, item)},
        )
        try:
            yield TableRow(item, {name: _cell(output, name, values, own_scope) for name in output.columns})
        except RenderFailed as error:
            yield TableRow(item, {}, error.problem.message)


def _own_ends(output: LinkedOutput, scope: Scope, item: Item) -> dict[str, Outcome]:
    """How the steps ended that walk the item's own rows."""
    ends = {name: scope.own_end(name, output.lane, item.index) for name in output.below}
    return {name: ended for name, ended in ends.items() if ended is not None}


def _cell(output: LinkedOutput, name: str, values: Mapping[str, Json], scope: Scope) -> Json:
    if any(is_hole_in(use, scope) for use in output.column_uses[name] if not use.is_soft):
        return None
    return output.columns[name].evaluate(values)


def _failure(outcomes: Mapping[str, Outcome]) -> str:
    for name, outcome in outcomes.items():
        if outcome.status is Status.FAILED and outcome.failure is not None:
            return f"{name}: {outcome.failure.kind}: {outcome.failure.message}"
        if outcome.status is Status.BLOCKED:
            return f"{name}: {outcome.because}"
    return ""
