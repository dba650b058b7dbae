"""`--only failed`: which items may be asked when only those that failed before are tried again. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from runner.core.frozen import replace
from runner.plan.program import Program
from runner.plan.shape import needs_by_step


def only_failed(program: Program, failed: Mapping[str, Collection[str]]) -> Program | None:
    """The program in which only items that failed, and what reads them, may be asked; None where there are none.

    The answers of all others are taken from the store, failures included.
    """
    may = _may_ask(program, failed)
    if not any(items is None or items for items in may.values()):
        return None
    steps = {name: step.renewed(**_settings(may[name])) for name, step in program.steps.items()}
    return replace(program, steps=steps)


def _settings(only: frozenset[str] | None) -> dict[str, Any]:
    if only is not None and not only:
        return {"only": only, "may_ask": False, "is_settled": True}
    return {"only": only, "is_settled": False}


def _may_ask(program: Program, failed: Mapping[str, Collection[str]]) -> dict[str, frozenset[str] | None]:
    """By step the items that may be asked; None for all.

    An item of a list is asked from the step on that failed. What reads the answers of all items reads other ones now.
    """
    linked, needs = program.linked, needs_by_step(program.linked)
    by_lane: dict[str, set[str]] = {}
    for name, items in failed.items():
        if name in program.steps:
            by_lane.setdefault(linked.steps[name].lane, set()).update(items)
    may: dict[str, frozenset[str] | None] = {}
    for name in (name for stage in linked.stages for name in stage.steps):
        step = linked.steps[name]
        changed = {need for need in needs[name] if may[need] is None or may[need]}
        if any(need in step.barriers or linked.steps[need].lane != step.lane or may[need] is None for need in changed):
            may[name] = None
        elif changed or name in failed:
            may[name] = frozenset(by_lane[step.lane])
        else:
            may[name] = frozenset()
    return may
