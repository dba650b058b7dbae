from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.app.project import catalogue
from runner.catalog.resolve import resolve
from runner.checks import check
from runner.checks.context import CheckContext
from runner.checks.models import model_notes
from runner.checks.unread import unread_fields
from runner.config.load import ProjectFiles, load_workflow
from runner.core.errors import FileError
from runner.core.frozen import replace
from runner.core.model import ModelFacts, Price, Provider, Route
from runner.core.problem import Problem, render_all
from runner.core.span import Span
from runner.dialects import ASKED
from runner.dialects.embedding import EMBEDDINGS
from runner.link.linked import link
from runner.templates.environment import make_environment


@dataclass(frozen=True)
class Told:
    """What the checks find, and what they read."""

    problems: tuple[Problem, ...]
    sources: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return render_all(self.problems, self.sources)


FACTS = {
    "counting": ModelFacts(
        "openai", "counting", thinking_levels=("low", "high"), default_thinking="low", is_thinking_in_cap=True
    ),
    "small": ModelFacts("openai", "small", refuses=("temperature", "stop"), max_output_tokens=4000),
    "short": ModelFacts("openai", "short", context_tokens=8),
    "old": ModelFacts("openai", "old", retired="2027-01-01", replacement="new"),
    "older": ModelFacts("openai", "older", retired="2027-01-01"),
    "thinker": ModelFacts(
        "openai", "thinker", thinking_levels=("low", "high"), default_thinking="low", price=Price(1, 2)
    ),
}


DIALECT_OF = {"openai": "openai-chat", "me": "scripted"}


@pytest.fixture
def findings(tmp_path: Path) -> Callable[..., str]:
    """What the checks say about a workflow text; its models are `openai/small`, `openai/thinker` and `me/any`."""

    def find(
        text: str,
        *,
        files: Mapping[str, str] | None = None,
        given: frozenset[str] = frozenset(),
        is_reading: bool = True,
        with_notes: bool = False,
        named_elsewhere: frozenset[str] = frozenset(),
    ) -> str:
        for name, content in {"pyproject.toml": "", "flow.yaml": textwrap.dedent(text), **(files or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        loaded = load_workflow(tmp_path / "flow.yaml")
        assert loaded.workflow is not None
        assert loaded.problems == (), render_all(loaded.problems, loaded.sources)
        project = ProjectFiles(tmp_path)
        linked = link(loaded.workflow, make_environment(project.read), project.read)
        assert linked.problems == (), render_all(linked.problems, loaded.sources)

        def locate(path: str) -> Problem | None:
            try:
                project.locate(path)
            except FileError as error:
                return error.problems[0]
            return None

        models = {name: alias.use for name, alias in loaded.workflow.models.items()}
        named = {name: _end_of(step.model, models) for name, step in loaded.workflow.asked.items()}
        routes = {name: _route(model) for name, model in named.items() if model != "lost/one"}
        for name, step in loaded.workflow.asked.items():
            if step.is_embedding and name in routes:
                provider = routes[name].provider
                provider = replace(provider, dialect=EMBEDDINGS[provider.dialect])
                routes[name] = replace(routes[name], provider=provider)
        context = CheckContext(
            linked,
            routes,
            lambda route: ASKED[route.provider.dialect],
            find=locate,
            files=frozenset(loaded.files),
            given=given,
            read=project.read if is_reading else None,
            is_named_elsewhere=named_elsewhere.__contains__,
        )
        return str(
            Told(
                (*check(context), *unread_fields(context), *model_notes(context)) if with_notes else check(context),
                loaded.sources,
            )
        )

    return find


def _end_of(name: str, aliases: Mapping[str, str]) -> str:
    return _end_of(aliases[name], aliases) if name in aliases else name


def _route(name: str) -> Route:
    provider, _, model = name.partition("/")
    if provider not in DIALECT_OF or model in catalogue().models_of(provider):
        found = resolve(name, aliases={}, overrides={}, providers={}, catalog=catalogue(), span=Span("", 1, 1))
        assert isinstance(found, Route), found
        return found
    dialect = DIALECT_OF[provider]
    return Route(name, Provider(provider, dialect), model, FACTS.get(model, ModelFacts(provider, model)))
