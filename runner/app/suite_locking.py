"""`--locked` and `--update-lock` for a suite: its steps and judges in every cell against `runner.lock`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.app.locking import VersionWatch, stale_steps, told_changes, write_locked
from runner.app.locking import made_of as made_of_program
from runner.app.suite_units import PreparedSuite
from runner.app.types import RunOptions
from runner.core.errors import CallNeeded
from runner.core.problem import Problem
from runner.core.workflow import Step
from runner.plan.program import Program
from runner.record.lock_file import LOCK_NAME, LockedStep, read_lock


def step_in_cell(step: str, cell: str) -> str:
    """What a step is called in the lock."""
    return f"{step}[{cell}]" if cell else step


def _programs(suite: PreparedSuite) -> Iterator[tuple[str, Program]]:
    yield from zip(suite.steps, suite.programs(), strict=True)


def _made(suite: PreparedSuite) -> dict[str, LockedStep]:
    return {
        step_in_cell(name, cell): step
        for cell, program in _programs(suite)
        for name, step in made_of_program(program).items()
    }


def _written(suite: PreparedSuite) -> dict[str, Step]:
    return {
        step_in_cell(name, cell): program.asked[name].linked.step
        for cell, program in _programs(suite)
        for name in program.asked
    }


def ensure_suite_locked(suite: PreparedSuite, options: RunOptions) -> Mapping[str, LockedStep] | None:
    """What is locked, with `--locked`. Raises CallNeeded where the lock is missing or says something else."""
    if not (options.is_locked or options.updates_lock):
        return None
    lock = read_lock(suite.project.files.root / LOCK_NAME)
    if not options.is_locked:
        return None
    file = suite.suite.file
    fix = f"runner test {file} --update-lock"
    if lock is None:
        raise CallNeeded(Problem("stale-lock", f"--locked needs {LOCK_NAME}, and there is none", fix=fix))
    if file not in lock:
        raise CallNeeded(Problem("stale-lock", f"{LOCK_NAME} does not have {file}", fix=fix))
    problems = list(stale_steps(_written(suite), _made(suite), lock[file], fix, "the suite"))
    if problems:
        raise CallNeeded(problems, suite.sources)
    return lock[file]


def moved_models(suite: PreparedSuite, versions: VersionWatch) -> tuple[Problem, ...]:
    return versions.moved(_written(suite))


def update_suite_lock(suite: PreparedSuite, answered: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Write what the steps of all cells are made of and who answered; a sentence for each change."""
    old, new = write_locked(suite.project.files.root, suite.suite.file, _made(suite), answered)
    return list(told_changes(old, new)) or [f"{LOCK_NAME} is as it was"]
