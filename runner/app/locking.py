"""`--locked` and `--update-lock`: whether a workflow is what `runner.lock` says, and writing it there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.app.preparing import Prepared
from runner.app.project import Project
from runner.app.types import RunOptions
from runner.core.canonical import digest
from runner.core.errors import CallNeeded
from runner.core.events import AttemptMade, Event
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import Step
from runner.plan.program import Program, StepProgram
from runner.record.lock_file import LOCK_NAME, LockedStep, changes_of, read_lock, write_lock
from runner.record.summary import RunSummary
from runner.store.lock import one_at_a_time

WAIT_S = 10.0


def made_of(program: Program) -> dict[str, LockedStep]:
    """What each step is made of now."""
    return {name: _made_of(step) for name, step in program.asked.items()}


def _made_of(step: StepProgram) -> LockedStep:
    fixed = step.fixed_ingredients
    # The files of a provider (weights, written answers) are part of what answers.
    files = {name: value for name, value in step.route.provider.settings.items() if name.endswith("sha256")}
    settings = {
        "dialect": fixed["dialect"],
        "thinking": fixed.get("thinking"),
        **fixed.get("options", {}),
        "enforce": fixed.get("enforce"),
        "salt": fixed.get("salt"),
        **files,
    }
    return LockedStep(
        model=str(fixed["model"]),
        # As written, then the files that they include.
        prompts=tuple(map(digest, step.texts)),
        schema=str(fixed.get("schema", "")),
        settings={name: value for name, value in settings.items() if value is not None},
    )


def ensure_locked(prepared: Prepared, options: RunOptions) -> Mapping[str, LockedStep] | None:
    """What is locked, with `--locked`. Raises CallNeeded when there is no lock, or another than the files say, and
    FileError for one that cannot be read, also where it is to be written.
    """
    project, workflow = prepared.project, prepared.project.workflow
    assert workflow is not None
    is_read = options.is_locked or options.updates_lock
    lock = read_lock(project.files.root / LOCK_NAME) if is_read else None
    if not options.is_locked:
        return None
    fix = f"runner run {workflow.file} --update-lock"
    if lock is None:
        raise CallNeeded(Problem("stale-lock", f"--locked needs {LOCK_NAME}, and there is none", fix=fix))
    if workflow.file not in lock:
        raise CallNeeded(Problem("stale-lock", f"{LOCK_NAME} does not have {workflow.file}", fix=fix))
    problems = list(_stale(prepared, lock[workflow.file], fix))
    if problems:
        raise CallNeeded(problems, project.sources)
    return lock[workflow.file]


def _stale(prepared: Prepared, locked: Mapping[str, LockedStep], fix: str) -> Iterator[Problem]:
    workflow = prepared.project.workflow
    assert workflow is not None
    yield from stale_steps(workflow.asked, made_of(prepared.program), locked, fix, "the workflow")


def stale_steps(
    written: Mapping[str, Step], now: Mapping[str, LockedStep], locked: Mapping[str, LockedStep], fix: str, whole: str
) -> Iterator[Problem]:
    """Where the files say something else than the lock; `whole` is what has the steps."""
    for name, step in written.items():
        if name not in locked:
            yield Problem("stale-lock", f"step '{name}' is not in {LOCK_NAME}", step.span, fix=fix)
            continue
        for change in changes_of(locked[name], now[name]):
            message = f"step '{name}' is not what {LOCK_NAME} says: {change}"
            yield Problem("stale-lock", message, _place(step.spans, step.span, change.name), fix=fix)
    for name in locked.keys() - written.keys():
        yield Problem("stale-lock", f"{LOCK_NAME} has step '{name}', which {whole} does not have", fix=fix)


def _place(spans: Mapping[str, Span], whole: Span, name: str) -> Span:
    """Where the author wrote it: a prompt may be `messages`, a schema may be `fields`."""
    names = {"prompt": ("prompt", "messages", "system"), "schema": ("schema", "fields")}.get(name, (name,))
    return next((spans[one] for one in names if one in spans), whole)


class VersionWatch:
    """An EventSink that sees answers of other model versions than the locked ones."""

    def __init__(self, locked: Mapping[str, LockedStep] | None) -> None:
        self._locked = locked or {}
        self._moved: dict[tuple[str, str], tuple[str, int]] = {}

    def __call__(self, event: Event, /) -> None:
        if not isinstance(event, AttemptMade) or not event.attempt.model:
            return
        step = self._locked.get(event.step)
        if step is not None and step.answered_by and event.attempt.model not in step.answered_by:
            pair = (event.step, event.attempt.model)
            first, count = self._moved.get(pair, (event.item, 0))
            self._moved[pair] = (first, count + 1)

    def problems(self, program: Program) -> tuple[Problem, ...]:
        """One for each step and version."""
        return self.moved({name: step.linked.step for name, step in program.steps.items()})

    def moved(self, written: Mapping[str, Step]) -> tuple[Problem, ...]:
        return tuple(self._problem(written[pair[0]], *pair, *told) for pair, told in self._moved.items())

    def _problem(self, step: Step, name: str, model: str, first: str, count: int) -> Problem:
        where = f"{name}[{first}]" if first else name
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        locked = ", ".join(self._locked[name].answered_by)
        return Problem(
            "model-moved",
            f"{where}{more} was answered by {model}, and {LOCK_NAME} has {locked}",
            _place(step.spans, step.span, "model"),
            notes=(("kept", "the answer is stored; nothing that it cost is lost"),),
            fix="look at the answers, then run with --update-lock, or name the version in the model",
        )


def update_lock(project: Project, program: Program, summary: RunSummary) -> list[str]:
    """Write what the steps are made of and who answered; what has changed, a sentence each. Raises RunnerError."""
    workflow = project.workflow
    assert workflow is not None
    answered = {step.step: step.answered_by for step in summary.steps}
    old, new = write_locked(project.files.root, workflow.file, made_of(program), answered)
    return list(told_changes(old, new)) or [f"{LOCK_NAME} is as it was"]


def write_locked(
    root: Path, file: str, made: Mapping[str, LockedStep], answered: Mapping[str, tuple[str, ...]]
) -> tuple[Mapping[str, LockedStep], Mapping[str, LockedStep]]:
    """Write the steps of one file, the others stay; what was locked, and what is now. Raises RunnerError."""
    path = root / LOCK_NAME
    with one_at_a_time(root, wait_s=WAIT_S):
        lock = {name: steps for name, steps in (read_lock(path) or {}).items() if (root / name).is_file()}
        old = lock.get(file, {})
        new = {
            name: replace(step, answered_by=answered.get(name) or _kept(old.get(name), step))
            for name, step in made.items()
        }
        write_lock(path, {**lock, file: new})
    return old, new


def _kept(old: LockedStep | None, new: LockedStep) -> tuple[str, ...]:
    """Who answered the same model before, where nobody has answered now."""
    return old.answered_by if old is not None and old.model == new.model else ()


def told_changes(old: Mapping[str, LockedStep], new: Mapping[str, LockedStep]) -> Iterator[str]:
    for name, step in new.items():
        before = old.get(name)
        if before is None:
            yield f"{name}: new, {step.model}{_by(step.answered_by)}"
            continue
        yield from (f"{name}: {change}" for change in changes_of(before, step))
        if sorted(before.answered_by) != sorted(step.answered_by):
            yield f"{name}: answered by: {_names(before.answered_by)} → {_names(step.answered_by)}"
    yield from (f"{name}: no longer a step" for name in old if name not in new)


def _by(versions: Sequence[str]) -> str:
    return f", answered by {_names(versions)}" if versions else ""


def _names(versions: Iterable[str]) -> str:
    return ", ".join(sorted(versions)).replace("\n", "\\n") or "(not known)"
