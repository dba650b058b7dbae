from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.problem import Problem
from runner.core.span import Span

Cli = Callable[..., Any]

ERROR = Problem("unknown-key", "unknown key 'repiar'", Span("workflows/a.yaml", 1, 1, 6), nearest="repair")
WARNING = Problem("unused", "step 'x' is not used", Span("workflows/a.yaml", 2, 1), severity="warning")
SOURCES = {"workflows/a.yaml": "repiar: 1\nx: 2\n"}


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "a.yaml").write_text("steps: {}\n", encoding="utf-8")
    return folder


def test_findings_are_the_result_and_exit_1(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (ERROR, WARNING), SOURCES
    said = cli("check")
    assert said.code == 1
    assert said.out == (
        "workflows/a.yaml:1:1: unknown-key: unknown key 'repiar'\n"
        "    1 | repiar: 1\n"
        "      | ^^^^^^\n"
        "  nearest:  repair\n"
        "\n"
        "workflows/a.yaml:2:1: warning: unused: step 'x' is not used\n"
        "    2 | x: 2\n"
        "      | ^\n"
    )
    assert said.err == "1 error, 1 warning in 1 file · nothing was called\n"


def test_warnings_alone_are_exit_0(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (WARNING,), SOURCES
    said = cli("check")
    assert (said.code, said.err) == (0, "1 warning in 1 file · nothing was called\n")


def test_no_finding_prints_no_result(cli: Cli, app: Any) -> None:
    said = cli("check", "workflows/a.yaml", "--model", "fast=gemini/x")
    assert (said.code, said.out, said.err) == (0, "", "no mistakes in 1 file · nothing was called\n")
    assert app.asked == ({"fast": "gemini/x"},)


@pytest.mark.parametrize("words", [["--json"], ["--format", "json"], ["--format=json"]])
def test_json_is_one_document(cli: Cli, app: Any, words: list[str]) -> None:
    app.problems, app.sources = (ERROR, WARNING), SOURCES
    said = cli("check", *words)
    document = said.document
    assert (said.code, document["exit_code"], document["errors"], document["warnings"]) == (1, 1, 1, 1)
    assert document["files"] == ["workflows/a.yaml"]
    assert document["problems"][0] == {
        "code": "unknown-key",
        "severity": "error",
        "message": "unknown key 'repiar'",
        "file": "workflows/a.yaml",
        "line": 1,
        "column": 1,
        "length": 6,
        "nearest": "repair",
    }


NOTE = Problem("unread-field", "nothing reads 'x'", Span("workflows/a.yaml", 2, 1), severity="note")


def test_notes_are_shown_where_more_is_asked_for(cli: Cli, app: Any) -> None:
    app.notes, app.sources = (NOTE,), SOURCES
    assert cli("check").out == ""
    said = cli("check", "-v")
    assert said.code == 0
    assert said.out == ("workflows/a.yaml:2:1: note: unread-field: nothing reads 'x'\n    2 | x: 2\n      | ^\n")
    assert said.err.endswith("no mistakes in 1 file · nothing was called\n")
    assert [note["severity"] for note in cli("check", "--json").document["notes"]] == ["note"]


def test_github_format_is_annotations(cli: Cli, app: Any) -> None:
    app.problems, app.sources = (ERROR,), SOURCES
    said = cli("check", "--format", "github")
    assert said.out == (
        "::error file=workflows/a.yaml,line=1,col=1,endColumn=6,title=unknown-key"
        "::unknown key 'repiar'%0Anearest: repair\n"
    )


def test_in_a_ci_job_annotations_are_told_beside_the_text(cli: Cli, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    app.problems, app.sources = (ERROR,), SOURCES
    said = cli("check")
    assert said.out.startswith("workflows/a.yaml:1:1: unknown-key")
    assert said.err.startswith("::error file=workflows/a.yaml,line=1")


def test_the_default_is_the_workflows_folder_then_the_current_one(
    cli: Cli, app: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("check").code == 0
    assert app.checked == [Path("workflows/a.yaml")]
    monkeypatch.chdir(project)
    assert cli("check").code == 0
    assert app.checked == [Path("a.yaml")]


def test_nothing_found_is_exit_5(cli: Cli, app: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = cli("check", "empty")
    assert (said.code, said.out) == (5, "")
    assert said.err == ("no-workflow: no workflow file was found in 'empty'\n  expected: YAML files with 'steps'\n")


def test_a_file_that_is_missing_is_exit_2_with_the_nearest(cli: Cli, app: Any) -> None:
    said = cli("check", "workflows/aa.yaml")
    assert (said.code, said.err) == (
        2,
        "missing-file: there is no file workflows/aa.yaml\n  nearest:  workflows/a.yaml\n",
    )
    assert cli("check", "nowhere/x.yaml").err == "missing-file: there is no file nowhere/x.yaml\n"


def test_folders_give_workflows_and_suites_and_leave_the_rest(
    cli: Cli, app: Any, project: Path, tmp_path: Path
) -> None:
    files = {
        "workflows/deep/b.yml": "name: b\n'steps':\n  x: {}\n",
        "workflows/misspelt.yaml": "stpes: {}\n",
        "workflows/broken.yaml": ":\n",
        "workflows/shared.yaml": "models: {}\nx-anchor: 1\n",
        "workflows/a.suite.yaml": "cases: {}\n",
        "workflows/more-cases.yaml": "cases: {}\njudges: {}\n",
        "other/b.suite.yml": "workflow: x.yaml\n",
        "other/foreign.suite.yaml": "tests: []\n",
        "other/compose.yaml": "services: {}\n",
        "other/flow.yaml": "# a comment\nsteps: {}\n",
        "other/binary.yaml": "\0\0",
        ".github/workflows/ci.yaml": "steps: {}\n",
        "runner.yaml": "models: {}\n",
        "env/pyvenv.cfg": "",
        "env/x.yaml": "steps: {}\n",
        "node_modules/x.yaml": "steps: {}\n",
        "notes.txt": "steps: {}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "linked").symlink_to(tmp_path / "other")
    (project / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (tmp_path / "other/gone.suite.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert cli("check", ".", "workflows/a.yaml").code == 0
    assert [path.as_posix() for path in app.checked] == [
        "other/b.suite.yml",
        "other/flow.yaml",
        "workflows/a.suite.yaml",
        "workflows/a.yaml",
        "workflows/broken.yaml",
        "workflows/deep/b.yml",
        "workflows/gone.yaml",
        "workflows/misspelt.yaml",
    ]
