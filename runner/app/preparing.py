"""From a path and options to a program that is ready to walk: what `run` and `plan` do before they part."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from runner.app.batch_routes import in_batch, is_asked_in_batches, needs_batch
from runner.app.data import scan
from runner.app.inputs import resolve_inputs
from runner.app.media import MediaFiles
from runner.app.project import Project, catalogue, dialect_of, open_project
from runner.app.routes import complete_route
from runner.app.types import RunOptions
from runner.app.writing import check_targets, protected_files
from runner.catalog.cost import cost_usd
from runner.catalog.thinking import thinking_for
from runner.config.load import load_values
from runner.core.errors import FileError, RunnerError, UsageError
from runner.core.frozen import dataclass, replace
from runner.core.model import Route
from runner.core.problem import Problem, listed, nearest
from runner.core.response import Usage
from runner.core.workflow import Step
from runner.plan.compiling import Asked, compile_whole
from runner.plan.items import Items
from runner.plan.program import Policy, Program


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked workflow with its inputs and rows. Nothing has been called or looked up."""

    project: Project
    program: Program
    data: Mapping[str, Items]
    media: MediaFiles


def prepare_program(path: Path, options: RunOptions) -> Prepared:
    """Load, link, check, and read inputs and rows. Raises RunnerError with all that is wrong."""
    project = prepare_project(path, options)
    _check_files(project, options)
    program, data, media = _program(project, options, _environ(options))
    return Prepared(project, program, data, media)


def prepare_project(path: Path, options: RunOptions) -> Project:
    """Load, link and check a workflow file, and the names that options give. Raises RunnerError."""
    environ = _environ(options)
    given = frozenset({*options.inputs, *options.input_texts, *options.data, *options.stdin})
    project = open_project(path, options.models, lambda route, files: complete_route(route, files, environ), given)
    if project.has_errors:
        raise FileError(
            [replace(problem, edits=()) for problem in project.problems if problem.is_error], project.sources
        )
    _check_names(project, options)
    needs_batch(project, options)
    return project


def _environ(options: RunOptions) -> Mapping[str, str]:
    import os

    return os.environ if options.environ is None else options.environ


def _check_names(project: Project, options: RunOptions) -> None:
    """The names that options give: aliases, steps and providers."""
    assert project.workflow is not None
    aliases = {**project.settings.models, **project.workflow.models}
    problems = [_unknown("--model", "alias", name, aliases) for name in options.models if name not in aliases]
    steps = project.workflow.steps
    problems += [
        _unknown("--refresh", "step", name, steps) for name in sorted(options.refresh - {"*"}) if name not in steps
    ]
    providers = {**project.settings.providers, **catalogue().providers}
    problems += [
        _unknown("--trust", "provider", name, providers) for name in sorted(options.trust) if name not in providers
    ]
    if problems:
        raise UsageError(problems)


def _check_files(project: Project, options: RunOptions) -> None:
    """The files that will be written, before anything is paid for their content."""
    assert project.workflow is not None
    for option, path in options.writes.items():
        _ensure_unread(option, path, project, options)
    problems = check_targets(project.workflow, project.files.root, protected(project))
    if problems:
        raise FileError(problems, project.sources)


def _ensure_unread(option: str, path: Path, project: Project, options: RunOptions) -> None:
    """A file of the user's choice may lie anywhere, but what the project reads is not to be lost."""
    root, target = project.files.root.resolve(), path.resolve()
    given = {data.resolve() for data in options.data.values()}
    is_below = target.is_relative_to(root)
    if target in given or (is_below and target.relative_to(root).as_posix().casefold() in protected(project)):
        raise FileError(Problem("overwrites", f"{option} would write over '{path}', which this project reads"))


def protected(project: Project) -> frozenset[str]:
    assert project.workflow is not None
    return protected_files(project.workflow, (*project.read_files, *project.sources))


def _unknown(option: str, kind: str, name: str, known: Iterable[str]) -> Problem:
    known = set(known)
    return Problem(
        f"unknown-{kind}",
        f"{option} names '{name}', but no {kind} has that name",
        expected=f"{'an alias of a model' if kind == 'alias' else f'a {kind}'}: {listed(known)}" if known else "",
        nearest=nearest(name, known),
    )


def _program(
    project: Project, options: RunOptions, environ: Mapping[str, str]
) -> tuple[Program, Mapping[str, Items], MediaFiles]:
    assert project.workflow is not None
    assert project.linked is not None
    files = project.files
    try:
        inputs = resolve_inputs(project.workflow, options, environ, files.read, load_values)
        used = project.linked.files_walked
        given = {**options.data, **dict.fromkeys(options.stdin, Path("-"))}
        data = scan(project.workflow, used, given, _StandardInput(options), files)
    except RunnerError as error:
        raise type(error)(error.problems, {**project.sources, **error.sources}) from None
    policy = Policy(
        is_final=options.is_offline or options.is_locked, refresh=options.refresh, use_cache=options.use_cache
    )
    typed = frozenset({*options.inputs, *options.input_texts})
    media = MediaFiles(files, project.workflow, typed, options.data)
    lanes = project.linked.lanes
    asked = {
        name: asked_of(project.routes[name], step, is_batch=options.is_batch)
        for name, step in project.workflow.asked.items()
    }
    steps = {
        name: compile_whole(linked, asked, policy, media.of_linked(linked, lanes))
        for name, linked in project.linked.steps.items()
    }
    return Program(project.linked, steps, inputs), data, media


def asked_of(route: Route, step: Step, *, is_batch: bool = False) -> Asked:
    """How a checked step asks its model; with `is_batch` in batches where nothing else is said."""
    is_batch = is_asked_in_batches(step, route, is_default=is_batch)
    route = in_batch(route) if is_batch else route
    thinking = thinking_for(route, step.thinking, step.at("thinking"))
    assert not isinstance(thinking, Problem)
    return Asked(route, dialect_of(route), thinking, cost_of(route), is_batch)


class _StandardInput:
    """Standard input for a data source by its name; it can be read once, by whoever comes first."""

    def __init__(self, options: RunOptions) -> None:
        self._read = options.stdin
        self._reader = options.stdin_reader

    def __call__(self, name: str) -> BinaryIO:
        if name in self._read:
            return io.BytesIO(self._read[name])
        if self._reader:
            message = f"standard input is asked for twice: {self._reader} and data source '{name}'"
            raise UsageError(Problem("usage", message, fix="use a file"))
        if sys.stdin is None or sys.stdin.closed:
            raise UsageError(Problem("no-stdin", f"data source '{name}' reads standard input, which is closed"))
        self._reader = f"data source '{name}'"
        return sys.stdin.buffer


def cost_of(route: Route) -> Callable[[Usage], float | None]:
    return lambda usage: cost_usd(usage, route.facts.price)
