"""A workflow file loaded, linked and checked: everything that is known before a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import runner.catalog
from runner.app.ignoring import without_ignored
from runner.app.media import MediaFiles
from runner.app.shapes import with_shapes
from runner.app.surroundings import Surroundings
from runner.app.takers import models_taking
from runner.catalog.facts import Catalog, parse_catalog
from runner.catalog.resolve import resolve, warnings_for
from runner.checks import check as run_checks
from runner.checks.context import CheckContext
from runner.config.load import ProjectFiles, load_settings, load_workflow
from runner.config.shipped import load_shipped
from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.letters import with_letters
from runner.core.model import Provider, Route
from runner.core.ports import Dialect
from runner.core.problem import Problem, in_order
from runner.core.span import Span
from runner.core.workflow import ModelAlias, Settings, Step, Workflow
from runner.dialects import ASKED
from runner.dialects.embedding import EMBEDDINGS
from runner.link.linked import Linked, link
from runner.link.tools import bind_tools
from runner.templates.environment import make_environment


@dataclass(frozen=True, slots=True)
class Project:
    """What a command knows of one workflow. `linked` and `workflow` are None when the file cannot be read as one."""

    files: ProjectFiles
    path: Path
    workflow: Workflow | None
    settings: Settings
    linked: Linked | None
    routes: Mapping[str, Route]
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    read_files: tuple[str, ...]
    context: CheckContext | None = None

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)


@cache
def catalogue() -> Catalog:
    """The model facts that the package ships."""
    source = Path(runner.catalog.__file__).with_name("models.yaml")
    return parse_catalog(load_shipped(source.read_bytes()))


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def open_project(
    path: Path,
    models: Mapping[str, str],
    complete: Callable[[Route, ProjectFiles], Route | Problem],
    given: frozenset[str] = frozenset(),
    *,
    changed: Mapping[Path, bytes] | None = None,
    is_strict: bool = False,
    around: Callable[[Path], Surroundings] = Surroundings,
) -> Project:
    """Load, link and check one workflow file. Problems are gathered, not raised.

    `given` names the inputs and data sources that the command line replaces; `complete` adds to a route what only the disk knows (the digest of a model's weights, of a file of answers); `changed` is what some files, by their real paths, are taken to hold. With
    `is_strict` comments that silence nothing are findings too. `around` gives what lies about below a root.
    """
    loaded = load_workflow(path, changed=changed)
    files = ProjectFiles(loaded.root, changed or {})
    settings = load_settings(loaded.root, changed)
    problems = [*loaded.problems, *settings.problems]
    sources = {**settings.sources, **loaded.sources}
    linked, context, workflow = None, None, None
    routes: dict[str, Route] = {}
    if loaded.workflow is not None:
        reader = Recorder(files, sources)
        environment = make_environment(reader.read)
        workflow, unbound = bind_tools(with_shapes(loaded.workflow, files, given), settings.settings)
        linked = link(workflow, environment, reader.read)
        problems += [*unbound, *linked.problems]
        routes, wrong = routes_of(workflow, settings.settings, models, files, complete)
        problems += wrong
        context = CheckContext(
            linked,
            routes,
            dialect_of,
            find=lambda name: find_file(files, name),
            files=frozenset(loaded.files),
            given=given,
            read=reader.read,
            is_whole=not any(problem.is_error for problem in loaded.problems),
            settings_budget=settings.settings.budget,
            look=MediaFiles(files, workflow, is_whole=False).of_step,
            is_named_elsewhere=around(loaded.root).is_in_suite,
            takers=lambda kind, provider: models_taking(kind, provider, catalogue(), today()),
        )
        problems += run_checks(context)
    return Project(
        files=files,
        path=path,
        workflow=workflow,
        settings=settings.settings,
        linked=linked,
        routes=routes,
        problems=tuple(with_letters(in_order(without_ignored(problems, sources, is_strict=is_strict)), sources)),
        sources=sources,
        read_files=loaded.files,
        context=context,
    )


def find_file(files: ProjectFiles, path: str) -> Problem | None:
    try:
        files.locate(path)
    except FileError as error:
        return error.problems[0]
    return None


class Recorder:
    """Reads files for templates and schemas, keeping texts so that problems can show their lines."""

    def __init__(self, files: ProjectFiles, sources: dict[str, str]) -> None:
        self._files = files
        self._sources = sources

    def read(self, path: str) -> bytes:
        data = self._files.read(path)
        self._sources.setdefault(path, data.decode("utf-8-sig", "replace"))
        return data


def dialect_of(route: Route) -> Dialect:
    return ASKED[route.provider.dialect]


def routes_of(
    workflow: Workflow,
    settings: Settings,
    models: Mapping[str, str],
    files: ProjectFiles,
    complete: Callable[[Route, ProjectFiles], Route | Problem],
) -> tuple[dict[str, Route], list[Problem]]:
    """The route of each step; equal names are resolved once, and a wrong one is told at each place."""
    aliases = {**settings.models, **workflow.models}
    providers: dict[str, Provider] = dict(settings.providers)
    routes: dict[str, Route] = {}
    problems: list[Problem] = []
    completed: dict[str, Route | Problem] = {}
    for asked, step in workflow.asked.items():
        if step.call is not None and step.call.tool in step.toolbox:
            routes[asked] = step.toolbox[step.call.tool].route
        if not step.model:
            continue
        found = resolve(
            step.model,
            aliases=aliases,
            overrides=models,
            providers=providers,
            catalog=catalogue(),
            span=step.at("model"),
            given=settings.facts,
            prices=settings.prices,
        )
        name, named_at = _named_at(step, aliases, models)
        if isinstance(found, Route):
            if found.name not in completed:
                completed[found.name] = complete(found, files)
            whole = completed[found.name]
            found = (
                replace(whole, span=_place_of_file(found.provider, settings) or named_at)
                if isinstance(whole, Problem)
                else replace(found, provider=whole.provider)
            )
        if isinstance(found, Route) and step.is_embedding:
            found = _embedding(found, step)
        if isinstance(found, Route) and any(tool.own for tool in step.toolbox.values()):
            found = _unpriced(found)
        if isinstance(found, Problem):
            problems += () if _is_told_of_provider(found, name, settings) else (found,)
        else:
            routes[asked] = found
            problems += warnings_for(found, catalogue(), today(), named_at)
    return routes, problems


def _unpriced(route: Route) -> Route:
    """Searches and containers are billed beside the tokens, and no answer says for how much."""
    price = route.facts.price
    return route if price is None or price.is_free else replace(route, facts=replace(route.facts, price=None))


def _embedding(route: Route, step: Step) -> Route | Problem:
    """The route to the interface that gives vectors."""
    provider = route.provider
    dialect = EMBEDDINGS.get(provider.dialect)
    if dialect is None:
        return Problem(
            "cannot-embed",
            f"step '{step.name}' wants a vector, and '{provider.name}' gives none",
            step.at("embed"),
            expected="a model of gemini, vertex, openai, openai-chat, local, or of a provider of your own that speaks like one of them",
        )
    return replace(route, provider=replace(provider, dialect=dialect))


def _is_told_of_provider(found: Problem, model: str, settings: Settings) -> bool:
    """Whether the model is not known only because of what is told of its provider in `runner.yaml`."""
    owner = model.partition("/")[0]
    is_broken = f"providers.{owner}" in settings.spans and owner not in settings.providers
    return is_broken and found.code == "unknown-model"


def _named_at(step: Step, aliases: Mapping[str, ModelAlias], overrides: Mapping[str, str]) -> tuple[str, Span]:
    """The model of a step as it is written at the end of its aliases, and where: there it is told once."""
    name, span = step.model, step.at("model")
    seen = set()
    while name in aliases and name not in overrides and name not in seen:
        seen.add(name)
        name, span = aliases[name].use, aliases[name].at("use")
    return overrides.get(name, name), span


def _place_of_file(provider: Provider, settings: Settings) -> Span | None:
    """Where `runner.yaml` names the weights or the answers of a provider of the project's own."""
    places = (f"providers.{provider.name}.{key}" for key in ("model_path", "file"))
    return next((settings.spans[place] for place in places if place in settings.spans), None)
