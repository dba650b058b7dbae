"""One of all answers by its number, which is that of another item when positions shift."""

from __future__ import annotations

from collections.abc import Iterator

from runner.core.condition import Known
from runner.core.problem import Problem
from runner.core.workflow import Workflow
from runner.link.scope import Use
from runner.templates.expression import CompiledExpression
from runner.templates.trail import Reference


def shifting_index(
    reference: Reference, use: Use, workflow: Workflow, items: CompiledExpression | None
) -> Iterator[Problem]:
    """A warning, unless the list is written out and all its items are answered wherever this is read."""
    is_index = use.path and use.path[0].isdigit() and not reference.is_echo(reference.spans[3])
    picked = f"[{use.path[0]}]" if is_index else reference.picked
    when = _when_shifted(workflow, use.step, items) if use.is_barrier and picked else ""
    if when:
        yield Problem(
            "index-shifts",
            f"steps.{use.step}.{use.field}{picked} is another item's answer when {when}",
            reference.span,
            fix="walk the list, or pick by a value with find(…)",
            severity="warning",
        )


def _when_shifted(workflow: Workflow, name: str, items: CompiledExpression | None) -> str:
    """What changes positions. An item that fails ends the run before the readers of all, unless it may be left out;
    a condition anywhere may skip an item.
    """
    is_written_out = items is not None and isinstance(items.condition(), Known)
    step = workflow.steps[name]
    for steps in ((step,), workflow.steps.values() if is_written_out else ()):
        if any(one.on_error == "skip" for one in steps):
            return "an item fails"
        if any(one.when is not None for one in steps):
            return "an item is skipped"
    return "" if is_written_out else "rows are added or change places"
