"""Which steps are asked in batches, and what their answers cost."""

from __future__ import annotations

from dataclasses import replace

from runner.app.project import Project
from runner.app.types import RunOptions
from runner.core.errors import UsageError
from runner.core.model import Route
from runner.core.problem import Problem
from runner.core.workflow import Step
from runner.dialects.batch import offers_batch


def is_asked_in_batches(step: Step, route: Route, *, is_default: bool) -> bool:
    """What the step says goes before what the command says. What may call tools is sent one question at a time."""
    is_wanted = step.transport == "batch" or (is_default and not step.transport)
    return is_wanted and not step.tools and step.cache.use != "off" and offers_batch(route.provider)


def in_batch(route: Route) -> Route:
    """The route at the price of its batch interface."""
    price = route.facts.price
    return replace(route, facts=replace(route.facts, price=price and price.in_batch))


def needs_batch(project: Project, options: RunOptions) -> None:
    """Raises UsageError when options ask for batches where there are none."""
    assert project.workflow is not None
    steps = project.workflow.asked
    asked = [
        name
        for name, route in project.routes.items()
        if is_asked_in_batches(steps[name], route, is_default=options.is_batch)
    ]
    if options.is_detached and not asked:
        raise UsageError(
            Problem("no-batch", "--no-wait waits for no batch job, and no step is asked in one", fix="add --batch")
        )
    if options.is_batch and not asked:
        names = ", ".join(sorted({route.provider.name for route in project.routes.values()}))
        raise UsageError(
            Problem(
                "no-batch",
                f"--batch changes nothing: none of the providers ({names}) has a batch interface that is known here",
                fix="leave it out",
            )
        )
    if not options.use_cache and asked:
        raise UsageError(
            Problem(
                "usage",
                f"--no-cache keeps no answers, and step '{asked[0]}' is asked in batches, whose answers come by the store",
                fix="leave it out, or --refresh to ask again",
            )
        )
