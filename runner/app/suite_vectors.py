"""The vectors that a suite compares: the steps that ask for them, and what is wrong with their models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from runner.app.project import Project, routes_of
from runner.app.suite_files import document
from runner.checks.suite_texts import assertions_of
from runner.config.load import ProjectFiles
from runner.core.errors import RunnerError
from runner.core.frozen import replace
from runner.core.model import Route
from runner.core.problem import Problem
from runner.core.suite import SimilarityCheck, Suite
from runner.core.workflow import Step, Workflow
from runner.suites.similarity import is_vector, vector_steps

MISSING = "missing-file"
Complete = Callable[[Route, ProjectFiles], Route | Problem]


def asked_vectors(
    suite: Suite, workflow: Workflow, project: Project, models: Mapping[str, str], complete: Complete
) -> tuple[dict[str, Step], tuple[Problem, ...]]:
    """The steps of all comparisons by vectors, and what is wrong with the models that they name."""
    steps: dict[str, Step] = {}
    problems: dict[Problem, None] = {}
    for title, assertion in assertions_of(suite):
        if isinstance(assertion, SimilarityCheck) and assertion.by:
            try:
                own = vector_steps([assertion], lambda path: document(project.files, path))
            except RunnerError as error:
                problems |= dict.fromkeys(one for one in error.problems if one.code != MISSING)  # told of the value
                continue
            steps |= own
            problems |= dict.fromkeys(_of_models(title, own, workflow, project, models, complete))
    return steps, tuple(problems)


def _of_models(
    title: str,
    steps: Mapping[str, Step],
    workflow: Workflow,
    project: Project,
    models: Mapping[str, str],
    complete: Complete,
) -> Iterator[Problem]:
    name, step = next(iter(steps.items()))
    alone = replace(workflow, steps={name: step})
    routes, wrong = routes_of(alone, project.settings, models, project.files, complete)
    yield from (replace(one, message=one.message.replace(f"step '{name}'", title)) for one in wrong)
    route = routes.get(name)
    if route is not None and route.facts.gives == "text":
        message = f"{title} compares vectors, and {route.name} answers in words"
        fix = "leave 'by' out: letters are compared then"
        yield Problem("cannot-embed", message, step.at("model"), expected="an embedding model", fix=fix)


def written_of(workflow: Workflow) -> Workflow:
    """The workflow without the steps that ask for vectors."""
    return replace(workflow, steps={name: step for name, step in workflow.steps.items() if not is_vector(name)})
