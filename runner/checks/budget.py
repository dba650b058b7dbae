"""A budget that not even one item of each list fits into."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.budget import Limit, allowance, dollars, in_words
from runner.core.problem import Problem
from runner.link.linked import LinkedStep

MILLION = 1_000_000


def check_budget(context: CheckContext) -> Iterator[Problem]:
    """What a run must take if nothing is stored: one call for each sample of each step that cannot be skipped, with
    one token in and one out, which no question and no answer can do without.
    """
    bounds = allowance((context.linked.workflow.budget, context.settings_budget))
    steps = [step for step in _certain(context) if step.loop is None]
    calls = sum(step.step.samples or 1 for step in steps)
    if bounds.calls is not None and calls > bounds.calls.amount:
        yield _too_small("calls", bounds.calls, f"{calls:,} {'call' if calls == 1 else 'calls'}")
    if bounds.tokens is not None and 2 * calls > bounds.tokens.amount:
        yield _too_small("tokens", bounds.tokens, f"{2 * calls:,} tokens")
    least = sum((step.step.samples or 1) * _least_usd(step, context) for step in steps)
    if bounds.usd is not None and least > bounds.usd.amount:
        yield _too_small("usd", bounds.usd, dollars(least))


def _too_small(kind: str, limit: Limit, needed: str) -> Problem:
    return Problem(
        "small-budget",
        f"a run that finds nothing stored takes at least {needed}, with one item of each list, "
        f"and the budget is {in_words(limit, kind)}",
        limit.span,
        severity="warning",
    )


def _certain(context: CheckContext) -> Iterator[LinkedStep]:
    """The steps that a run asks in which all goes well, given that each list has an item."""
    linked = context.linked
    certain: set[str] = set()
    for name in (name for stage in linked.stages for name in stage.steps):
        step = linked.steps[name]
        lane = linked.lanes.get(step.lane)
        needs = step.hard | (lane.needs if lane else frozenset())
        if step.step.when is None and needs <= certain:
            certain.add(name)
            yield step


def _least_usd(step: LinkedStep, context: CheckContext) -> float:
    """What one call costs at the least; nothing where that is not known."""
    route = context.routes.get(step.step.name)
    price = route.facts.price if route else None
    if price is None:
        return 0.0
    return (min(price.input, price.cached_input or price.input) + price.output) / MILLION
