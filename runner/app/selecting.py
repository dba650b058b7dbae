"""What `-s` selects, and whether the selected steps can run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner.app.looking import look_around, plan_of
from runner.app.preparing import Prepared, prepare_program
from runner.app.types import RunOptions
from runner.core.errors import CallNeeded
from runner.plan.selection import choose, read_selector, select, selection_problems


def prepare_selected(path: Path, options: RunOptions) -> Prepared:
    """A program in which only the selected steps may be asked. Raises RunnerError."""
    selectors = [read_selector(text) for text in options.select]
    prepared = prepare_program(path, options)
    if not selectors:
        return prepared

    def find_changed() -> frozenset[str]:
        with look_around(prepared, options) as look:
            plan, _ = plan_of(prepared, look)
        return frozenset(step.step for step in plan.steps if step.calls)

    chosen = choose(selectors, prepared.program, find_changed)
    return replace(prepared, program=select(prepared.program, chosen))


def ensure_selected_can_run(prepared: Prepared, options: RunOptions) -> None:
    """Raises CallNeeded when a selected step reads what is neither selected nor stored, as far as is known by now."""
    if not options.select:
        return
    with look_around(prepared, options) as look:
        _, state = plan_of(prepared, look)
        problems = selection_problems(state)
    if problems:
        raise CallNeeded(problems, prepared.project.sources)
