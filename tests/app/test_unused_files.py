"""Files of a project that nothing uses: told only when the whole project is checked, and only when it is certain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.app import api, surroundings
from runner.app.surroundings import Surroundings
from runner.core.problem import render_all

Write = Callable[[str, str], Path]
STEP = "steps:\n  a: {model: local/smollm2-135m, prompt: {file: ../prompts/used.md}, schema: ../schemas/used.json}\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, text: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    put("pyproject.toml", "")
    put("workflows/flow.yaml", STEP)
    put("prompts/used.md", "{% include 'part.md' %}")
    put("prompts/part.md", "Say something.")
    put("prompts/old.md", "x")
    put("prompts/.hidden.md", "x")
    put("schemas/used.json", '{"type": "object", "properties": {"a": {"$ref": "part.json"}}}')
    put("schemas/part.json", '{"type": "string"}')
    put("schemas/deep/old.json", "{}")
    return put


def told(root: Path, *folders: Path) -> str:
    report = api.check([root / "workflows/flow.yaml"], folders=folders)
    return render_all(report.problems, report.sources)


def test_prompts_and_schemas_that_nothing_names_are_told(write: Write, tmp_path: Path) -> None:
    found = (
        "prompts/old.md:1:1: warning: unused-file: no workflow of this project uses the prompt prompts/old.md\n"
        "  fix:      name it in a workflow, or delete it\n\n"
        "schemas/deep/old.json:1:1: warning: unused-file: no workflow of this project uses the schema schemas/deep/old.json\n"
        "  fix:      name it in a workflow, or delete it"
    )
    assert told(tmp_path, tmp_path / "workflows") == found
    assert told(tmp_path, tmp_path) == found


def test_a_file_or_a_part_of_the_project_says_nothing_of_the_rest(write: Write, tmp_path: Path) -> None:
    assert told(tmp_path) == ""
    write("workflows/more/other.yaml", "")
    assert told(tmp_path, tmp_path / "workflows/more") == ""


@pytest.mark.parametrize("name", ["tests/deep.suite.yaml", "tool.py", "examples/later.yaml"])
def test_a_name_anywhere_in_the_project_counts_as_use(write: Write, tmp_path: Path, name: str) -> None:
    write(name, "of old.md and old.json")
    assert told(tmp_path, tmp_path) == ""


@pytest.mark.parametrize(
    "name", ["README.md", "docs/use.md", "node_modules/x.py", ".old/x.py", "env/lib/x.py", "p.bin"]
)
def test_prose_and_foreign_files_say_nothing_of_use(write: Write, tmp_path: Path, name: str) -> None:
    write("env/pyvenv.cfg", "")
    write(name, "of old.md and old.json")
    assert told(tmp_path, tmp_path).count("unused-file") == 2


@pytest.mark.parametrize(("limit", "value"), [("MOST_FILES", 3), ("MOST_BYTES", 10)])
def test_in_a_project_that_is_too_large_everything_counts_as_used(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(surroundings, limit, value)
    assert told(tmp_path, tmp_path) == ""
    write("workflows/flow.suite.yaml", "workflow: flow.yaml")
    assert Surroundings(tmp_path).is_in_suite("anything")


def test_only_suites_are_read_for_the_words_of_suites(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("suites/a.suite.yaml", "a")
    read: list[str] = []

    def noted(path: Path, *_: object, **__: object) -> str:
        read.append(path.name)
        return "fast"

    monkeypatch.setattr(Path, "read_text", noted)
    assert Surroundings(tmp_path).is_in_suite("fast")
    assert read == ["a.suite.yaml"]


def test_a_word_of_a_suite_is_a_use(write: Write, tmp_path: Path) -> None:
    write("suites/a.suite.yaml", "matrix: {classify.model: [fast-one, other]}\n")
    write("suites/b.yaml", "elsewhere")
    (tmp_path / "gone.suite.yaml").symlink_to(tmp_path / "nowhere")
    found = Surroundings(tmp_path)
    assert [found.is_in_suite(name) for name in ("fast-one", "other", "classify")] == [True, True, True]
    assert [found.is_in_suite(name) for name in ("fast", "one", "elsewhere")] == [False, False, False]


def test_what_cannot_be_read_names_nothing(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("tool.py", "old.md old.json")

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert not Surroundings(tmp_path).is_named("prompts/old.md")


def test_a_name_of_a_model_that_only_a_suite_uses_is_used(write: Write, tmp_path: Path) -> None:
    write("workflows/flow.yaml", "models: {other: local/smollm2-135m}\n" + STEP)
    assert "unused-model" in told(tmp_path)
    write("workflows/flow.suite.yaml", "matrix: {a.model: [other]}\n")
    assert told(tmp_path) == ""
