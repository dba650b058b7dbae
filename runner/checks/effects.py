"""Settings of a step that do nothing there: what their author wanted is not what happens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from runner.catalog.thinking import thinking_for
from runner.checks.context import CheckContext
from runner.core.model import Route
from runner.core.problem import Problem
from runner.core.workflow import Step, Workflow


def check_effects(context: CheckContext) -> Iterator[Problem]:
    """Keys that a step sets itself; what `defaults` fills in is meant for other steps too."""
    if not context.is_whole:
        return  # what is mistaken may be the very key that gives another its sense
    for prefix, step in _with_inner(context.linked.workflow):
        for key, reason, fix in _idle(step):
            if key in step.own:
                message = f"{key} of step '{step.name}' {reason}"
                yield Problem("no-effect", message, step.at(key), fix=fix, severity="warning")
        yield from _repeated_questions(prefix, step, context)


def _with_inner(workflow: Workflow) -> Iterator[tuple[str, Step]]:
    """All steps, those of loops behind the name of their loop."""
    for step in workflow.steps.values():
        yield "", step
        for inner in step.loop.steps.values() if step.loop else ():
            yield f"{step.name}.", inner


def _repeated_questions(prefix: str, step: Step, context: CheckContext) -> Iterator[Problem]:
    """A model that is asked just as the one before it: the stored answer would come again."""
    for (one, before), (other, after) in pairwise({step.name: step, **step.rungs}.items()):
        routes = context.routes.get(prefix + one), context.routes.get(prefix + other)
        if routes[0] is None or routes[1] is None or routes[0].name != routes[1].name:
            continue
        if _settings(before, routes[0]) == _settings(after, routes[1]):
            yield Problem(
                "no-effect",
                f"escalate of step '{step.name}' asks {routes[1].name} what it was asked just before",
                after.at("model"),
                fix="name another model, or give it another thinking level",
                severity="warning",
            )


def _settings(step: Step, route: Route) -> tuple[object, ...]:
    level = thinking_for(route, step.thinking, None)
    return (level, step.temperature, step.top_p, step.max_output_tokens, step.seed, dict(step.options))


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
    if step.escalate is not None and step.escalate.when is None and not step.escalate.on:
        yield "escalate", "has no effect: no answer and no failure leads to the next model", "add when, or kinds to on"
    if step.repair and step.schema is None and not step.ensure:
        yield "repair", "has no effect: every text is a good answer here", "add ensure or fields, or leave it out"
    if step.schema is None:
        yield "enforce", "has no effect: there is no schema to check", "leave it out, or add fields"
