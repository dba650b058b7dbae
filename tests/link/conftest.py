from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runner.config.load import Loaded, ProjectFiles, load_workflow
from runner.core.problem import render_all
from runner.link.linked import Linked, link
from runner.templates.environment import make_environment

LinkText = Callable[..., Linked]
LoadAndLink = Callable[[str, Mapping[str, str] | None], tuple[Loaded, Linked]]
MODEL = "defaults: {model: scripted/m}\n"


@pytest.fixture
def load_and_link(tmp_path: Path) -> LoadAndLink:
    """Links a workflow text, with further files beside it; every step has a model."""

    def load(text: str, files: Mapping[str, str] | None) -> tuple[Loaded, Linked]:
        for name, content in {
            "pyproject.toml": "",
            "flow.yaml": textwrap.dedent(text) + MODEL,
            **(files or {}),
        }.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        loaded = load_workflow(tmp_path / "flow.yaml")
        assert loaded.problems == ()
        assert loaded.workflow is not None
        read = ProjectFiles(tmp_path).read
        return loaded, link(loaded.workflow, make_environment(read), read)

    return load


@pytest.fixture
def linked(load_and_link: LoadAndLink) -> LinkText:
    """Links a workflow text that has no mistakes."""

    def link_text(text: str, files: Mapping[str, str] | None = None) -> Linked:
        _, found = load_and_link(text, files)
        assert found.problems == ()
        return found

    return link_text


@pytest.fixture
def complaints(load_and_link: LoadAndLink) -> Callable[..., str]:
    """All that link finds wrong with a workflow text, as it is shown."""

    def complain(text: str, files: Mapping[str, str] | None = None) -> str:
        loaded, found = load_and_link(text, files)
        assert found.stages == () or not any(problem.is_error for problem in found.problems)
        return render_all(found.problems, {**(files or {}), **loaded.sources})

    return complain
