"""Settings of a step that do nothing there: what their author wanted is not what happens."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.problem import Problem
from runner.core.workflow import Step


def check_effects(context: CheckContext) -> Iterator[Problem]:
    """Keys that a step sets itself; what `defaults` fills in is meant for other steps too."""
    if not context.is_whole:
        return  # what is mistaken may be the very key that gives another its sense
    for step in context.linked.workflow.steps.values():
        for key, reason, fix in _idle(step):
            if key in step.own:
                message = f"{key} of step '{step.name}' {reason}"
                yield Problem("no-effect", message, step.at(key), fix=fix, severity="warning")


def _idle(step: Step) -> Iterator[tuple[str, str, str]]:
    """The key, why it does nothing, and the way out."""
    if step.min_success and step.for_each is None and step.on_error == "skip":
        yield (
            "min_success",
            "undoes on_error: skip: the step runs once, so that one failure is too many",
            "leave it out",
        )
    elif step.min_success is not None and step.for_each is None:
        yield "min_success", "has no effect: it counts items, and the step runs once", "leave it out, or add for_each"
    elif step.min_success is not None and step.on_error == "fail":
        yield (
            "min_success",
            "has no effect: without on_error: skip every item must be good",
            "add on_error: skip, or leave it out",
        )
    if step.max_parallel is not None and step.for_each is None and step.samples is None:
        yield "max_parallel", "has no effect: the step makes one call", "leave it out, or add for_each"
    if step.repair and step.schema is None and not step.ensure:
        yield "repair", "has no effect: every text is a good answer here", "add ensure or fields, or leave it out"
    if step.schema is None:
        yield "enforce", "has no effect: there is no schema to check", "leave it out, or add fields"
