"""Findings for services that show them in a repository: their paths are told from the top of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main
from runner.cli.repository import folder_in_repository

WRONG = "steps: {a: {model: local/smollm2-135m, prompt: '{{ inputs.topic }}'}}\n"
LINE = "::error file={}flow.yaml,line=1,col="


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a subfolder of a repository, where the user is."""
    folder = tmp_path / "repository" / "services" / "texts"
    folder.mkdir(parents=True)
    (folder / "runner.yaml").touch()
    (folder / "flow.yaml").write_text(WRONG)
    monkeypatch.chdir(folder)
    for name in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_the_checkout_of_a_service_is_the_top(project: Path) -> None:
    top = str(project.parents[1])
    assert folder_in_repository(project, {"GITHUB_WORKSPACE": top}) == "services/texts/"
    assert folder_in_repository(project, {"CI_PROJECT_DIR": top}) == "services/texts/"
    assert folder_in_repository(project, {"GITHUB_WORKSPACE": str(project)}) == ""


def test_a_checkout_elsewhere_says_nothing_and_git_does(project: Path) -> None:
    elsewhere = {"GITHUB_WORKSPACE": str(project / "other")}
    assert folder_in_repository(project, elsewhere) == ""
    (project.parents[1] / ".git").mkdir()
    assert folder_in_repository(project, elsewhere) == "services/texts/"
    assert folder_in_repository(project, {}) == "services/texts/"


def test_annotations_are_told_from_the_top_of_the_repository(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.parents[1]))
    assert main(["check", "flow.yaml"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("flow.yaml:1:")
    assert LINE.format("services/texts/") in said.err
    main(["check", "flow.yaml", "--format", "github"])
    assert capsys.readouterr().out.startswith(LINE.format("services/texts/"))


def test_several_projects_are_told_from_the_top_too(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    other = project.with_name("other")
    other.mkdir()
    (other / "runner.yaml").touch()
    (other / "flow.yaml").write_text(WRONG)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.parents[1]))
    main(["check", "flow.yaml", "../other/flow.yaml", "--format", "github"])
    shown = capsys.readouterr().out
    assert LINE.format("services/texts/") in shown
    assert LINE.format("services/other/") in shown


def test_other_services_count_from_the_top_too(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("CI_PROJECT_DIR", str(project.parents[1]))
    main(["check", "flow.yaml", "--format", "gitlab"])
    assert json.loads(capsys.readouterr().out)[0]["location"]["path"] == "services/texts/flow.yaml"
    main(["check", "flow.yaml", "--format", "sarif", "-o", "found.sarif"])
    shown = json.loads(capsys.readouterr().out)
    written = json.loads((project / "found.sarif").read_text())
    for document in (shown, written):
        place = document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "services/texts/flow.yaml"
        assert place["region"]["startLine"] == 1


def test_a_failed_run_is_annotated_from_the_top(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (project / "runner.yaml").write_text("providers: {me: {dialect: scripted, file: answers.jsonl, price: free}}\n")
    (project / "answers.jsonl").write_text('{"answer": "no JSON"}\n')
    (project / "flow.yaml").write_text("steps: {a: {model: me/x, prompt: x, fields: {n: integer}}}\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.parents[1]))
    assert main(["run", "flow.yaml"]) == 1
    assert LINE.format("services/texts/") in capsys.readouterr().err
