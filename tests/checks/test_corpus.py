"""Whole files as their authors write them: each seeded mistake is found where it is, and nothing else is.

A mistake is a file in `mistakes/`, with what is expected in comments on top; a folder of the same name holds its
further files. What is right stands in `correct/`, where `given.json` has the inputs and the standard input of those
that need some.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import runner.app.project
from runner.app import api
from runner.app.codes import codes
from runner.app.types import RunOptions
from runner.core.problem import Problem, render_all

HERE = Path(__file__).parent
MISTAKES = sorted((HERE / "mistakes").glob("*.yaml"))
CORRECT = sorted((HERE / "correct").glob("*.yaml"))
GIVEN = json.loads((HERE / "correct" / "given.json").read_text("utf-8"))
SETTINGS = "providers: {me: {dialect: scripted, file: data/answers.jsonl}}\n"
TODAY = "2026-11-22"
EXPECTED = re.compile(r"^# expect: ([a-z-]+) (.+)$", re.MULTILINE)
# A file of 10 MB would have to be in the corpus.
NOT_SEEDED = {"too-large"}


def _name(path: Path) -> str:
    return path.name.partition(".")[0]


def _expected(path: Path) -> list[tuple[str, str]]:
    """Code and `file:line:column`; a place without a file is one in the file itself."""
    found = EXPECTED.findall(path.read_text("utf-8"))
    return [(code, place if place.count(":") > 1 else f"{path.name}:{place}") for code, place in found]


def _told(problem: Problem) -> tuple[str, str]:
    return problem.code, str(problem.span or "")


@pytest.mark.parametrize("path", MISTAKES, ids=_name)
def test_a_mistake_is_found_where_it_is_and_nothing_else(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.app.project, "today", lambda: TODAY)
    (tmp_path / "runner.yaml").touch()
    further = path.with_name(_name(path))
    if further.is_dir():
        shutil.copytree(further, tmp_path, dirs_exist_ok=True)
    # A file that is named in an expectation shall not count as used.
    (tmp_path / path.name).write_bytes(re.sub(rb"(?m)^# expect: .*$", b"#", path.read_bytes()))
    expected = _expected(path)
    report = api.check([tmp_path / path.name], folders=[tmp_path])
    notes = [note for note in report.notes if note.code in {code for code, _ in expected}]
    found = [*report.problems, *notes]
    assert sorted(map(_told, found)) == sorted(expected), render_all(found, report.sources)


def test_there_are_many_mistakes_and_every_code_is_among_them() -> None:
    assert len(MISTAKES) >= 240
    seeded = {code for path in MISTAKES for code, _ in _expected(path)}
    known = {code.name for code in codes().values() if code.seen == "check"}
    assert known - seeded - NOT_SEEDED == set()
    assert seeded - known == set()


def test_every_mistake_says_in_words_what_it_is() -> None:
    wordless = [
        path.name for path in MISTAKES if not re.match(r"# (?!expect:)\S.*\n# expect: ", path.read_text("utf-8"))
    ]
    assert wordless == []


# What is right


@pytest.fixture(scope="module")
def correct_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All correct workflows as one project."""
    root = tmp_path_factory.mktemp("correct")
    shutil.copytree(HERE / "correct", root, dirs_exist_ok=True)
    (root / "runner.yaml").write_text(SETTINGS, "utf-8")
    (root / "data" / "answers.jsonl").write_text("", "utf-8")
    return root


@pytest.mark.parametrize("name", [path.name for path in CORRECT])
def test_nothing_is_said_of_a_correct_workflow_even_strictly(
    name: str, correct_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.app.project, "today", lambda: TODAY)
    report = api.check([correct_project / name], is_strict=True)
    assert render_all(report.problems, report.sources) == ""


@pytest.mark.parametrize("name", [path.name for path in CORRECT])
def test_a_correct_workflow_is_planned_with_its_own_data(
    name: str, correct_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.app.project, "today", lambda: TODAY)
    given = GIVEN.get(name, {})
    stdin = {source: text.encode() for source, text in given.get("stdin", {}).items()}
    report = api.plan(correct_project / name, RunOptions(inputs=given.get("inputs", {}), stdin=stdin, environ={}))
    assert [step.failure for step in report.plan.steps if step.failure] == []
    assert sum(step.calls + step.skipped + len(step.after) for step in report.plan.steps) > 0


def test_there_are_many_correct_workflows() -> None:
    assert len(CORRECT) >= 67
