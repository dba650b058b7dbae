"""`runner.yaml` checked by itself: its grammar, and the models that its names stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.app import project
from runner.app.ignoring import without_ignored
from runner.catalog.resolve import resolve, warnings_for
from runner.config.load import LoadedSettings, load_settings
from runner.core.frozen import replace
from runner.core.problem import Problem, in_order
from runner.core.workflow import Settings


def open_settings(root: Path, changed: Mapping[Path, bytes], *, is_strict: bool) -> LoadedSettings:
    """The settings of the project that stands in a folder, with all that is wrong with them."""
    loaded = load_settings(root, changed)
    found = (*loaded.problems, *_models(loaded.settings))
    left = without_ignored(found, loaded.sources, is_strict=is_strict)
    return replace(loaded, problems=tuple(in_order(left)))


def _models(settings: Settings) -> Iterator[Problem]:
    """Names that lead to no model; where they lead to one, what is to be said of it."""
    for name, alias in settings.models.items():
        found = resolve(
            name,
            aliases=settings.models,
            overrides={},
            providers=settings.providers,
            catalog=project.catalogue(),
            span=alias.at("use"),
            given=settings.facts,
            prices=settings.prices,
        )
        if isinstance(found, Problem):
            yield found
        else:
            yield from warnings_for(found, project.catalogue(), project.today(), alias.at("use"))
