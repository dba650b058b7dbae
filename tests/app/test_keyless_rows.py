"""A key that no row has is told once and before any call, in a run as in a check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.suite_units import prepare_suite
from runner.app.types import RunOptions
from runner.core.errors import FileError
from runner.core.problem import render_all

FLOW = """
format: 1
data: {rows: {file: rows.csv, key: ident}}
steps:
  tag: {for_each: data.rows, model: box/small, prompt: "ask {{ item.text }}"}
"""
TOLD = (
    "flow.yaml:3:36: row-without-key: no row of data.rows has the field 'ident', which is to be its key\n"
    "    3 | data: {rows: {file: rows.csv, key: ident}}\n"
    "      |                                    ^^^^^\n"
    "  expected: a field of rows.csv: id, text"
)


@pytest.fixture
def keyless(project: Any) -> Any:
    project.workflow(FLOW)
    project.write("rows.csv", "id,text\na,x\nb,y\n")
    return project


def refused(project: Any, **options: Any) -> str:
    with pytest.raises(FileError) as caught:
        project.run(**options)
    assert project.server.count == 0
    return render_all(caught.value.problems, caught.value.sources)


def test_a_column_that_is_to_be_the_key_and_is_not_there_is_told_once(keyless: Any) -> None:
    report = api.check([keyless.root / "flow.yaml"])
    assert render_all(report.problems, report.sources) == refused(keyless) == TOLD


def test_rows_of_other_formats_too(keyless: Any) -> None:
    keyless.write("rows.jsonl", '3\n{"id": "a"}\n{"id": "b"}\n')
    keyless.edit("rows.csv", "rows.jsonl")
    assert "no row of data.rows has the field 'ident'" in refused(keyless)


def test_the_file_of_the_command_line_is_named(keyless: Any) -> None:
    given = keyless.write("given.csv", "name,text\na,x\n")
    assert f"expected: a field of {given}: name, text" in refused(keyless, data={"rows": given})


def test_one_row_with_the_key_makes_the_others_bad_rows(keyless: Any) -> None:
    keyless.write("rows.jsonl", '{"id": "a"}\n{"ident": "b", "text": "x"}\n{"id": "c"}\n')
    keyless.edit("rows.csv", "rows.jsonl")
    result = keyless.run()
    assert (result.exit_code, keyless.server.count) == (1, 1)


def test_rows_that_are_no_mappings_are_bad_rows(keyless: Any) -> None:
    keyless.write("rows.jsonl", "3\n4\n")
    keyless.edit("rows.csv", "rows.jsonl")
    assert (keyless.run().exit_code, keyless.server.count) == (1, 0)


def test_an_empty_file_lacks_nothing(keyless: Any) -> None:
    keyless.write("rows.csv", "id,text\n")
    assert keyless.run().exit_code == 0


def test_cases_without_their_key_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "runner.yaml").write_text("providers: {written: {dialect: scripted, file: a.jsonl, price: free}}\n")
    (tmp_path / "a.jsonl").write_text('{"answer": "good"}\n')
    (tmp_path / "rows.csv").write_text("id,text\na,x\n")
    (tmp_path / "flow.yaml").write_text("format: 1\nsteps: {say: {model: written/x, prompt: Say.}}\n")
    suite = tmp_path / "flow.suite.yaml"
    suite.write_text(
        "format: 1\nworkflow: flow.yaml\ncases_from: {file: rows.csv, key: ident, expect: {steps.say: good}}\n"
    )
    with pytest.raises(FileError) as caught:
        prepare_suite(suite, RunOptions())
    assert [problem.message for problem in caught.value.problems] == [
        "no row of cases_from has the field 'ident', which is to be its key"
    ]
