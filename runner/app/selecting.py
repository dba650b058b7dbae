"""What `-s` selects, and whether the selected steps can run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner.app.data import aside_of
from runner.app.explaining import RUNS
from runner.app.looking import look_around, plan_of
from runner.app.preparing import Prepared, prepare_program
from runner.app.types import RunOptions
from runner.core.errors import CallNeeded, NothingSelected
from runner.core.problem import Problem
from runner.plan.failed_before import only_failed
from runner.plan.program import Program
from runner.plan.selection import choose, read_selector, select, selection_problems


def prepare_selected(path: Path, options: RunOptions) -> Prepared:
    """A program in which only the selected steps may be asked. Raises RunnerError."""
    selectors = [read_selector(text) for text in options.select]
    prepared = prepare_program(path, options)
    if options.is_only_failed:
        prepared = replace(prepared, program=_only_failed(prepared))
    if not selectors:
        return prepared

    def find_changed() -> frozenset[str]:
        with look_around(prepared, options) as look:
            plan, _ = plan_of(prepared, look)
        return frozenset(step.step for step in plan.steps if step.calls)

    chosen = choose(selectors, prepared.program, find_changed)
    return replace(prepared, program=select(prepared.program, chosen))


def _only_failed(prepared: Prepared) -> Program:
    """The program in which only what failed the last time may be asked. Raises NothingSelected."""
    from runner.record.failed import last_failed

    assert prepared.project.workflow is not None
    root, name = prepared.project.files.root, prepared.project.workflow.name
    failed = last_failed(root / RUNS, name, aside_of(root))
    if failed is None:
        message = f"--only failed selects nothing: there is no run of '{name}' yet"
        raise NothingSelected(Problem("nothing-selected", message, fix="leave --only failed out"))
    program = only_failed(prepared.program, failed)
    if program is None:
        message = f"--only failed selects nothing: nothing of '{name}' failed the last time"
        raise NothingSelected(Problem("nothing-selected", message, fix="leave --only failed out"))
    return program


def ensure_selected_can_run(prepared: Prepared, options: RunOptions) -> None:
    """Raises CallNeeded when a selected step reads what is neither selected nor stored, as far as is known by now."""
    if not options.select:
        return
    with look_around(prepared, options) as look:
        _, state = plan_of(prepared, look)
        problems = selection_problems(state)
    if problems:
        raise CallNeeded(problems, prepared.project.sources)
