"""A suite file loaded, its workflow opened, and both checked together: everything that is known before a case runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from runner.app.ignoring import without_ignored
from runner.app.project import Project, Recorder, dialect_of, find_file, open_project, routes_of
from runner.app.suite_vectors import asked_vectors
from runner.app.surroundings import Surroundings
from runner.checks import check as run_checks
from runner.checks.context import CheckContext
from runner.checks.references import check_references
from runner.checks.suite_texts import CASE_NAMES, texts_of
from runner.checks.suites import SuiteContext, check_suite
from runner.config.load import LoadedSuite, ProjectFiles, load_suite
from runner.core.frozen import dataclass, replace
from runner.core.model import Route
from runner.core.problem import Problem, in_order
from runner.core.suite import Suite
from runner.core.workflow import Workflow
from runner.link.linked import Linked, link
from runner.link.parts import BESIDE
from runner.suites.cells import Cell, cells_of, vary
from runner.templates.environment import Environment, make_environment

Complete = Callable[[Route, ProjectFiles], Route | Problem]


@dataclass(frozen=True, slots=True)
class OpenedSuite:
    """What a command knows of one suite. `project` is that of its workflow, None where that cannot be found."""

    files: ProjectFiles
    suite: Suite | None
    project: Project | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    variants: tuple[Variant, ...] = ()
    environment: Environment | None = None

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Variant:
    """The workflow as one cell has it, linked together with the judges."""

    cell: Cell
    linked: Linked
    routes: Mapping[str, Route]


def open_suite(
    path: Path,
    models: Mapping[str, str],
    complete: Complete,
    *,
    changed: Mapping[Path, bytes] | None = None,
    is_strict: bool = False,
    around: Callable[[Path], Surroundings] = Surroundings,
) -> OpenedSuite:
    """Load and check one suite file with its workflow. Problems are gathered, not raised."""
    loaded = load_suite(path, changed=changed)
    files = ProjectFiles(loaded.root, changed or {})
    suite = loaded.suite
    if suite is None or not suite.workflow:
        return OpenedSuite(files, suite, None, tuple(in_order(loaded.problems)), loaded.sources)
    missing = find_file(files, suite.workflow)
    if missing is not None:
        problems = (*loaded.problems, replace(missing, span=suite.at("workflow")))
        return OpenedSuite(files, suite, None, tuple(in_order(problems)), loaded.sources)
    workflow = loaded.root / suite.workflow
    project = open_project(workflow, models, complete, changed=changed, is_strict=is_strict, around=around)
    sources = {**project.sources, **loaded.sources}
    own = loaded.problems
    variants: _Variants | None = None
    if project.workflow is not None and project.linked is not None:
        own += _findings(loaded, suite, project.workflow, project, models, complete, sources)
        variants = _Variants(suite, project.workflow, project, models, complete, sources)
        own += variants.problems
        if not any(problem.is_error for problem in (*own, *project.problems)):
            own += variants.open()
    left = without_ignored(own, loaded.sources, is_strict=is_strict)
    return OpenedSuite(
        files,
        suite,
        project,
        tuple(in_order((*left, *project.problems))),
        sources,
        tuple(variants.opened) if variants else (),
        variants.environment if variants else None,
    )


def _findings(
    loaded: LoadedSuite,
    suite: Suite,
    workflow: Workflow,
    project: Project,
    models: Mapping[str, str],
    complete: Complete,
    sources: dict[str, str],
) -> tuple[Problem, ...]:
    """What is wrong with the suite itself, in the light of its workflow."""
    reader = Recorder(project.files, sources)
    judges = {name: judge for name, judge in suite.judges.items() if name not in workflow.steps}
    judged = replace(workflow, steps={**workflow.steps, **judges})
    linked = link(judged, make_environment(reader.read), reader.read, texts=texts_of(suite), names=CASE_NAMES)
    routes, wrong = routes_of(replace(workflow, steps=judges), project.settings, models, project.files, complete)
    context = CheckContext(
        _typed(linked, is_beside=False),
        routes,
        dialect_of,
        find=lambda name: find_file(project.files, name),
        read=reader.read,
        is_whole=False,
    )
    own = [*linked.problems, *wrong, *run_checks(context)]
    found = [problem for problem in own if problem.span is not None and problem.span.file in loaded.files]
    # The rows of a case stand still, and an assertion that fails when they change has found it out.
    found = [problem for problem in found if problem.code != "index-shifts"]
    beside = check_references(replace(context, linked=_typed(linked, is_beside=True)))
    # What may be absent is what an assertion is there to find out.
    found += [problem for problem in beside if problem.code != "may-be-absent"]
    return (*found, *check_suite(SuiteContext(suite, workflow, linked, context.find, reader.read)))


class _Variants:
    """Every cell of the matrix checked as the workflow that it is: what is wrong in one is told before any call."""

    def __init__(
        self,
        suite: Suite,
        workflow: Workflow,
        project: Project,
        models: Mapping[str, str],
        complete: Complete,
        sources: dict[str, str],
    ) -> None:
        judges = {name: judge for name, judge in suite.judges.items() if name not in workflow.steps}
        self.suite = suite
        self.project = project
        self.models = models
        self.complete = complete
        self.reader = Recorder(project.files, sources)
        vectors, self.problems = asked_vectors(suite, workflow, project, models, complete)
        self.workflow = replace(workflow, steps={**workflow.steps, **judges, **vectors})
        self.environment = make_environment(self.reader.read)
        self.opened: list[Variant] = []

    def open(self) -> tuple[Problem, ...]:
        """What is wrong with cells beyond what is wrong without them; equal findings are told of the first cell."""
        told = {_identity(problem) for problem in self._variant(Cell())[1]}
        found: list[Problem] = []
        for cell in cells_of(self.suite.matrix):
            variant, problems = self._variant(cell)
            self.opened.append(variant)
            for problem in problems:
                if _identity(problem) not in told:
                    told.add(_identity(problem))
                    found.append(replace(problem, notes=(*problem.notes, ("in cell", cell.name))))
        return tuple(found)

    def _variant(self, cell: Cell) -> tuple[Variant, list[Problem]]:
        project, settings = self.project, self.project.settings
        workflow = vary(self.workflow, cell)
        linked = link(workflow, self.environment, self.reader.read, names=CASE_NAMES)
        routes, wrong = routes_of(workflow, settings, self.models, project.files, self.complete)
        context = CheckContext(
            linked,
            routes,
            dialect_of,
            find=lambda name: find_file(project.files, name),
            read=self.reader.read,
            is_whole=False,
        )
        found = [*linked.problems, *wrong, *run_checks(context)]
        return Variant(cell, linked, routes), found


def _identity(problem: Problem) -> tuple[object, ...]:
    return (problem.code, problem.message, problem.span)


def _typed(linked: Linked, *, is_beside: bool) -> Linked:
    """With the readings of the suite's texts only, or without them."""
    typing = linked.typing
    return replace(
        linked,
        typing=replace(
            typing,
            texts=tuple(text for text in typing.texts if (text.role == BESIDE) is is_beside),
            readings=tuple(one for one in typing.readings if (one.text.role == BESIDE) is is_beside),
            unequal=tuple(one for one in typing.unequal if (one.text.role == BESIDE) is is_beside),
        ),
    )
