from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runner.config.load import Loaded, LoadedSuite, load_settings, load_suite, load_workflow
from runner.config.nodes import Node
from runner.config.yaml_nodes import parse_yaml
from runner.core.problem import render_all

WriteFiles = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFiles:
    """Writes files below a fresh project root and gives the root."""

    def write_files(files: Mapping[str, str | bytes]) -> Path:
        (tmp_path / "pyproject.toml").touch()
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return tmp_path

    return write_files


@pytest.fixture
def load(write: WriteFiles) -> Callable[..., Loaded]:
    """Loads a workflow text as `flow.yaml`, with further files beside it."""

    def load_text(text: str, files: Mapping[str, str | bytes] | None = None) -> Loaded:
        root = write({"flow.yaml": text, **(files or {})})
        return load_workflow(root / "flow.yaml")

    return load_text


@pytest.fixture
def complaints(load: Callable[..., Loaded]) -> Callable[..., str]:
    """All that is wrong with a workflow text, as it is shown."""

    def complain(text: str, files: Mapping[str, str | bytes] | None = None) -> str:
        loaded = load(text, files)
        return render_all(loaded.problems, loaded.sources)

    return complain


@pytest.fixture
def settings_complaints(write: WriteFiles) -> Callable[[str], str]:
    """All that is wrong with a text as runner.yaml."""

    def complain(text: str) -> str:
        loaded = load_settings(write({"runner.yaml": text}))
        return render_all(loaded.problems, loaded.sources)

    return complain


@pytest.fixture
def load_as_suite(write: WriteFiles) -> Callable[..., LoadedSuite]:
    """Loads a text as `a.suite.yaml`, with further files beside it."""

    def load_text(text: str, files: Mapping[str, str | bytes] | None = None) -> LoadedSuite:
        return load_suite(write({"a.suite.yaml": text, **(files or {})}) / "a.suite.yaml")

    return load_text


@pytest.fixture
def read_nodes() -> Callable[[str], Node]:
    """The nodes of a text without mistakes."""

    def read(text: str) -> Node:
        node, problems = parse_yaml(text, "f.yaml")
        assert problems == []
        assert node is not None
        return node

    return read


@pytest.fixture
def yaml_complaints() -> Callable[[str | bytes], str]:
    """All that is wrong with a text as YAML."""

    def complain(text: str | bytes) -> str:
        _, problems = parse_yaml(text, "f.yaml")
        shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
        return render_all(problems, {"f.yaml": shown})

    return complain
