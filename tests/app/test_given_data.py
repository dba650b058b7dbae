"""What is wrong with a file that the command line gives for a source is told of that file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import FileError, RunnerError, UsageError
from runner.core.problem import render_all

FLOW = """
format: 1
data: {rows: {file: rows.csv}}
steps:
  tag: {for_each: data.rows, model: box/small, prompt: "ask {{ item.text }}"}
"""


@pytest.fixture
def given(project: Any) -> Any:
    project.workflow(FLOW)
    project.write("rows.csv", "id,text\na,x\n")
    return project


def refused(project: Any, path: Path, kind: type[RunnerError] = FileError) -> str:
    with pytest.raises(kind) as caught:
        project.run(data={"rows": path})
    assert project.server.count == 0
    return render_all(caught.value.problems, caught.value.sources)


def test_a_file_that_ends_early_is_its_own_place(given: Any) -> None:
    path = given.write("given.csv", 'id,text\n"a')
    words = f"'{path}' cannot be read as CSV: line 2: not CSV: unexpected end of data"
    assert refused(given, path) == f"{path}:2:1: bad-data: {words}"


def test_a_document_that_is_no_list_is_its_own_place(given: Any) -> None:
    path = given.write("given.json", "{}")
    assert refused(given, path).startswith(f"{path}:1:1: bad-data: '{path}' cannot be read as JSON")


def test_what_cannot_be_opened_is_its_own_place(given: Any) -> None:
    assert refused(given, given.root) == (
        f"{given.root}:1:1: unreadable: '{given.root}' cannot be read: Is a directory"
    )


def test_a_link_that_leads_nowhere_is_told_as_one(given: Any) -> None:
    path = given.root / "given.csv"
    path.symlink_to("gone.csv")
    assert refused(given, path, UsageError) == (
        f"missing-file: --data rows: {path} is a link to 'gone.csv', where there is no file"
    )


def test_the_file_of_the_workflow_is_told_where_it_is_named(given: Any) -> None:
    given.write("rows.csv", 'id,text\n"a')
    with pytest.raises(FileError) as caught:
        given.run()
    assert str(caught.value.problems[0].span) == "flow.yaml:3:21"
