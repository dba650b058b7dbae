"""Whole files as their authors write them: each seeded mistake is found where it is, and nothing else is.

A mistake is a file in `mistakes/`, with what is expected in comments on top; a folder of the same name holds its
further files.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import runner.app.project
from runner.app import api
from runner.app.codes import codes
from runner.core.problem import Problem, render_all

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))
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
