"""Outputs that are null although not all that they read is missing."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.problem import Problem
from runner.core.workflow import OutputValue
from runner.link.linked import Linked, LinkedOutput


def check_outputs(context: CheckContext) -> Iterator[Problem]:
    """A skipped step makes an output that reads it null: meant where it is read alone, hardly beside another one."""
    linked = context.linked
    if any(problem.is_error for problem in linked.problems):
        return
    for output in linked.outputs:
        if isinstance(output.output, OutputValue):
            yield from _half_null(output, linked)


def _half_null(output: LinkedOutput, linked: Linked) -> Iterator[Problem]:
    read = {use.step: use for use in output.value_uses if not use.is_soft}
    reasons = {name: _skippers(name, linked) for name in read}
    for name, use in read.items():
        others = [other for other in read if not reasons[name] <= reasons[other]]
        if reasons[name] and others:
            message = (
                f"the whole output '{output.output.name}' is null when step '{name}' is skipped, "
                f"although it also reads '{others[0]}'"
            )
            fix = f"steps.{name}.{use.field} | default(…), or an output for each"
            yield Problem("half-null-output", message, use.span, fix=fix, severity="warning")


def _skippers(name: str, linked: Linked) -> frozenset[str]:
    """The steps whose `when` skips this one: its own, or that of a step that it cannot do without.

    A list of all answers is there whatever became of single items.
    """
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        step = linked.steps[waiting.pop()]
        seen.add(step.name)
        if step.lane:
            continue
        if step.step.when is not None:
            found.add(step.name)
        waiting += [need for need in step.hard - step.barriers if need not in seen]
    return frozenset(found)
