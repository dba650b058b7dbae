"""Parquet files as sources of rows and as tables, through the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

import runner
from runner.app import api
from runner.app.types import RunOptions
from runner.core.errors import FileError
from runner.core.problem import render_all
from runner.rows import parquet

FLOW = """
format: 1
data:
  rows: {file: data/rows.parquet, key: id}
steps:
  tag:
    for_each: data.rows
    model: written/x
    prompt: "%s"
    fields: {label: string, tags: [string]}
outputs:
  table: {rows: data.rows, file: out/table.parquet, columns: {id: item.id, at: item.at, label: steps.tag.output.label, tags: steps.tag.output.tags}}
"""
ROWS = {
    "id": ["a", "b", "c"],
    "text": ["x", None, "z"],
    "at": pa.array([0, 1, 2], pa.timestamp("s", "UTC")),
    "meta": [{"lang": "en"}] * 3,
    "raw": [b"1", b"2", b"3"],
}
Told = Callable[[str], str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "runner.yaml").write_text("providers: {written: {dialect: scripted, file: a.jsonl, price: free}}\n")
    (tmp_path / "a.jsonl").write_text('{"answer": {"label": "good", "tags": []}}\n')
    (tmp_path / "data").mkdir()
    write(tmp_path, ROWS)
    return tmp_path


def write(root: Path, columns: dict[str, Any], name: str = "data/rows.parquet") -> Path:
    pq.write_table(pa.table(columns), root / name)
    return root / name


@pytest.fixture
def told(project: Path) -> Told:
    """What `check` says of a prompt over the rows."""

    def tell(prompt: str) -> str:
        (project / "flow.yaml").write_text(FLOW % prompt)
        report = api.check([project / "flow.yaml"])
        return render_all(report.problems, report.sources)

    return tell


def flow(project: Path, prompt: str = "Say {{ item.id }}.") -> Path:
    path = project / "flow.yaml"
    path.write_text(FLOW % prompt)
    return path


# Checking


def test_the_columns_of_a_file_are_known_before_the_run(told: Told) -> None:
    assert told("{{ item.meta.lang }} {{ item.at }} {{ item.text | default('', true) }}") == ""


def test_a_column_that_the_file_lacks_is_told_with_those_that_it_has(told: Told) -> None:
    assert told("{{ item.txt }}") == (
        "flow.yaml:9:22: unknown-field: a row of 'rows' has no field 'txt'\n"
        '    9 |     prompt: "{{ item.txt }}"\n'
        "      |                      ^^^\n"
        "  expected: a property of data/rows.parquet: at, id, meta, text\n"
        "  nearest:  text\n"
        "  fix:      {{ item.text }}, or add 'txt' to data/rows.parquet"
    )


def test_a_field_inside_a_column_is_known_too(told: Told) -> None:
    assert told("{{ item.meta.long }}").startswith(
        "flow.yaml:9:27: unknown-field: 'meta' in a row of 'rows' has no field 'long'"
    )


def test_a_column_with_nulls_may_be_null(told: Told) -> None:
    assert told("{{ item.text }}").startswith(
        "flow.yaml:9:22: warning: may-be-absent: 'text' in a row of 'rows' may be null, and a value is needed here"
    )


def test_a_schema_of_the_author_is_what_counts(project: Path) -> None:
    path = flow(project)
    path.write_text(path.read_text().replace("key: id}", "key: id, schema: {type: object, properties: {text: {}}}}"))
    path.write_text(path.read_text().replace("item.id }}", "item.text }}"))
    assert api.check([path]).problems == ()


def test_rows_that_do_not_fit_the_authors_schema_are_told(project: Path) -> None:
    path = flow(project)
    schema = "schema: {type: object, properties: {text: {type: string}}}"
    path.write_text(path.read_text().replace("key: id}", f"key: id, {schema}}}"))
    report = api.check([path])
    assert [str(problem.message) for problem in report.problems] == [
        "row 2 ('b') of data.rows is bad: /text is null, expected text"
    ]


def test_what_is_no_parquet_file_is_told_once(project: Path) -> None:
    (project / "data/rows.parquet").write_text("id,text\n")
    report = api.check([flow(project, "{{ item.anything }}")])
    assert render_all(report.problems, report.sources) == (
        "flow.yaml:4:16: bad-data: 'data/rows.parquet' cannot be read as Parquet: it does not end as a Parquet file "
        "does; is it cut off, or of another kind?\n"
        "    4 |   rows: {file: data/rows.parquet, key: id}\n"
        "      |                ^^^^^^^^^^^^^^^^^"
    )


def test_a_missing_file_is_told_as_any_other(project: Path) -> None:
    (project / "data/rows.parquet").unlink()
    assert [problem.code for problem in api.check([flow(project)]).problems] == ["missing-file"]


@pytest.fixture
def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "find_spec", lambda _: None)


@pytest.mark.usefixtures("_no_library")
def test_without_the_library_check_says_how_to_get_it(project: Path) -> None:
    report = api.check([flow(project)])
    assert render_all(report.problems, report.sources) == (
        "flow.yaml:4:16: missing-library: 'data/rows.parquet' is a Parquet file, which needs the library pyarrow, "
        "which is not installed\n"
        "    4 |   rows: {file: data/rows.parquet, key: id}\n"
        "      |                ^^^^^^^^^^^^^^^^^\n"
        "  fix:      pip install 'runner[parquet]'"
    )


@pytest.mark.usefixtures("_no_library")
def test_without_the_library_no_call_is_made_for_a_table(project: Path) -> None:
    (project / "rows.jsonl").write_text('{"id": "a", "at": 1}\n')
    path = flow(project)
    path.write_text(path.read_text().replace("data/rows.parquet", "rows.jsonl"))
    with pytest.raises(FileError) as caught:
        runner.run(path)
    assert [problem.message for problem in caught.value.problems] == [
        "'out/table.parquet' is a Parquet file, which needs the library pyarrow, which is not installed"
    ]
    assert not (project / "out").exists()


# Running


def test_rows_of_a_parquet_file_become_a_parquet_table(project: Path) -> None:
    result = runner.run(flow(project))
    assert result.outputs == {"table": {"file": "out/table.parquet", "rows": 3, "failed": 0}}
    table = pq.read_table(project / "out/table.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "id": "string",
        "at": "string",
        "label": "string",
        "tags": "list<element: string>",
    }
    assert table.to_pylist()[1] == {"id": "b", "at": "1970-01-01T00:00:01Z", "label": "good", "tags": []}
    again = runner.run(flow(project))
    assert again.summary.calls == 0


def test_rows_in_another_order_or_with_more_among_them_are_not_asked_again(project: Path) -> None:
    runner.run(flow(project))
    more = {"id": ["new", "c", "b", "a"], "at": pa.array([9, 2, 1, 0], pa.timestamp("s", "UTC"))}
    write(project, more)
    assert runner.run(flow(project)).summary.calls == 1
    assert pq.read_table(project / "out/table.parquet").column("id").to_pylist() == more["id"]


def test_another_file_may_be_given_and_is_not_typed_by_the_first(project: Path) -> None:
    given = write(project, {"id": ["q"], "at": ["t"], "other": ["o"]}, "given.parquet")
    result = runner.run(flow(project, "{{ item.other }}"), data={"rows": given})
    assert (result.exit_code, result.summary.calls) == (0, 1)


def test_a_row_that_json_cannot_say_is_one_bad_item(project: Path) -> None:
    write(project, {"id": ["a", "b"], "at": [1.0, float("nan")]})
    result = runner.run(flow(project))
    assert (result.exit_code, result.failed_files) == (1, ("out/table.parquet.failed.jsonl",))
    assert pq.read_table(project / "out/table.parquet").num_rows == 1


def test_cases_of_a_suite_come_from_a_parquet_file(project: Path) -> None:
    path = project / "one.yaml"
    path.write_text(
        "format: 1\ninputs: {word: {type: string}}\n"
        "steps: {say: {model: written/x, prompt: 'Say {{ inputs.word }}', fields: {label: string, tags: [string]}}}\n"
    )
    suite = project / "one.suite.yaml"
    suite.write_text(
        "format: 1\nworkflow: one.yaml\n"
        "cases_from: {file: data/rows.parquet, key: id, with: {word: {from: case.id}}, "
        "expect: {steps.say: {label: good}}}\n"
    )
    assert api.check([suite]).problems == ()


def test_a_parquet_file_may_be_piped(project: Path) -> None:
    piped = {"rows": (project / "data/rows.parquet").read_bytes()}
    assert api.run(flow(project), RunOptions(stdin=piped)).summary.calls == 3
    with pytest.raises(FileError) as caught:
        api.run(flow(project), RunOptions(stdin={"rows": b"id,text"}))
    assert caught.value.problems[0].message == (
        "standard input cannot be read as Parquet: it does not end as a Parquet file does; is it cut off, or of another kind?"
    )


def test_rows_made_from_those_of_a_parquet_file_are_typed_too(project: Path) -> None:
    path = flow(project, "{{ item.langs }}")
    made = "  made: {rows: data.rows, columns: {id: item.id, at: item.at, lang: item.meta.lang}}\nsteps:"
    path.write_text(path.read_text().replace("steps:", made, 1).replace("for_each: data.rows", "for_each: data.made"))
    path.write_text(path.read_text().replace("table: {rows: data.rows", "table: {rows: data.made"))
    assert [problem.message for problem in api.check([path]).problems] == ["a row of 'made' has no field 'langs'"]
