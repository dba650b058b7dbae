"""`check` reads the rows as a run does, and says what is wrong with them before one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from runner.app import api, data
from runner.core.problem import render_all
from runner.rows import repeats
from runner.rows.read import ReadRow, read_jsonl

SCHEMA = "{type: object, properties: {id: {type: string}, stars: {type: integer}}, required: [stars]}"
FLOW = "data:\n  rows: {file: %s%s}\nsteps:\n  a: {model: scripted/a.jsonl, for_each: data.rows, prompt: x}\n"
Told = Callable[..., str]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """What `check` says of a workflow that walks the rows of one file."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a.jsonl").write_text('{"answer": "x"}\n', "utf-8")

    def tell(file: str, content: str | bytes, *, more: str = ", key: id", flow: str = FLOW) -> str:
        (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        (tmp_path / "flow.yaml").write_text(flow % (file, more), "utf-8")
        report = api.check([tmp_path / "flow.yaml"])
        return render_all(report.problems, report.sources)

    return tell


def lines(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def whole(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


READ_BY = "\n  read by:  data.rows, flow.yaml:2:3"
DIFFER = "\n  fix:      make the keys differ, or leave key out: a row is then named by a digest of it"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("rows.jsonl", '{"id": "a", "stars": 1}\n\n{"id": 7, "stars": 2}\n'),
        ("rows.csv", "id,stars\na,1\nb,2\n"),
        ("rows.json", '[{"id": "a", "stars": 1}]'),
        ("rows.yaml", "- {id: a, stars: 1}\n- {id: b, stars: 2}\n"),
    ],
)
def test_nothing_is_said_of_good_rows(told: Told, file: str, content: str) -> None:
    schema = "{type: object, properties: {stars: {type: integer}}, required: [stars]}"
    assert told(file, content, more=f", key: id, schema: {schema}") == ""
    assert told(file, content, more="") == ""


def test_bad_rows_are_told_with_their_line_and_key(told: Told) -> None:
    rows = '{"id": "a", "stars": 4}\n{"id": "b", "stars": "two"}\n{"id": "c", "stars":\n{"stars": true}\n'
    assert told("rows.jsonl", rows, more=f", key: id, schema: {SCHEMA}") == (
        f"rows.jsonl:2:1: bad-row: row 'b' of data.rows is bad: /stars is \"two\", expected an integer{READ_BY}\n\n"
        f"rows.jsonl:3:1: bad-row: row 3 of data.rows is bad: not JSON: unexpected end of data (column 1){READ_BY}\n\n"
        f"rows.jsonl:4:1: bad-row: row 4 of data.rows is bad: /stars is true, expected an integer{READ_BY}"
    )


def test_bad_rows_without_a_key_are_told_by_their_line(told: Told) -> None:
    assert told("rows.csv", "id,stars\na,1\nb,two\n", more=f", schema: {SCHEMA}") == (
        f"rows.csv:3:1: bad-row: row 3 of data.rows is bad: column 'stars': 'two' is not integer{READ_BY}"
    )


def test_a_row_of_a_list_is_told_where_the_list_is_named(told: Told) -> None:
    assert told("rows.json", '[{"id": "a", "stars": 1}, {"id": "b"}, {"id": "a", "stars": 2}]', more=f", key: id, schema: {SCHEMA}") == whole(
        f"""
        flow.yaml:2:16: bad-row: row 2 ('b') of data.rows is bad: it is an object with 'id', expected a property 'stars': an integer
            2 |   rows: {{file: rows.json, key: id, schema: {SCHEMA}}}
              |                ^^^^^^^^^

        flow.yaml:2:16: repeated-key: row 3 ('a') of data.rows has a key that came before
            2 |   rows: {{file: rows.json, key: id, schema: {SCHEMA}}}
              |                ^^^^^^^^^
          first:    row 1
          fix:      make the keys differ, or leave key out: a row is then named by a digest of it
        """
    )  # fmt: skip


def test_a_key_that_comes_again_is_told_with_the_first_place(told: Told) -> None:
    rows = [{"id": "a"}, {"id": 1}, {"id": "b"}, {"id": "a"}, {"id": "1"}, {"id": "a"}]
    assert told("rows.jsonl", lines(rows)) == "\n\n".join(
        f"rows.jsonl:{line}:1: repeated-key: row '{key}' of data.rows has a key that came before\n"
        f"  first:    rows.jsonl:{first}{READ_BY}{DIFFER}"
        for line, key, first in ((4, "a", 1), (5, "1", 2), (6, "a", 1))
    )


def test_a_long_key_is_cut(told: Told) -> None:
    assert told("rows.jsonl", lines([{"id": "x" * 100}] * 2)).startswith(
        f"rows.jsonl:2:1: repeated-key: row '{'x' * 60}…' of data.rows has a key that came before\n"
    )


def test_rows_without_a_key_are_told_with_the_reason(told: Told) -> None:
    rows = [{"id": "a"}, {"name": "b"}, {"id": None}, 3]
    assert told("rows.jsonl", lines(rows)) == "\n\n".join(
        f"rows.jsonl:{line}:1: row-without-key: row {line} of data.rows has no key: {reason}{READ_BY}"
        for line, reason in (
            (2, "the field 'id' is missing"),
            (3, "the field 'id' holds neither text nor a number"),
            (4, "it is no mapping, so it has no field 'id'"),
        )
    )


def test_a_key_that_no_row_has_is_told_once_where_it_is_named(told: Told) -> None:
    assert told("rows.csv", "ident,stars\na,1\nb,x\n", more=f", key: idnt, schema: {SCHEMA}") == (
        "flow.yaml:2:31: row-without-key: no row of data.rows has the field 'idnt', which is to be its key\n"
        f"    2 |   rows: {{file: rows.csv, key: idnt, schema: {SCHEMA}}}\n"
        "      |                               ^^^^\n"
        "  expected: a field of rows.csv: ident, stars\n"
        "  nearest:  ident\n"
        "  fix:      key: ident\n\n"
        f"rows.csv:3:1: bad-row: row 3 of data.rows is bad: column 'stars': 'x' is not integer{READ_BY}"
    )
    assert told("rows.jsonl", "{}\n{}\n", flow=FLOW) == (
        "flow.yaml:2:33: row-without-key: no row of data.rows has the field 'id', which is to be its key\n"
        "    2 |   rows: {file: rows.jsonl, key: id}\n"
        "      |                                 ^^"
    )


def test_ten_findings_are_told_and_the_others_counted(told: Told) -> None:
    rows: list[Any] = [{"id": str(number % 20), "stars": None if number < 6 else 1} for number in range(40)]
    found = told("rows.jsonl", lines(rows), more=f", key: id, schema: {SCHEMA}").split("\n\n")
    assert [one.split(":")[1] for one in found] == ["1", "2", "3", "4", "5", "6", "27", "28", "29", "30", "31"]
    assert found[-1] == "rows.jsonl:31:1: bad-row: 10 more rows of data.rows are bad"


def test_one_more_is_one_row(told: Told) -> None:
    found = told("rows.jsonl", "x\n" * 11).split("\n\n")
    assert found[10:] == ["rows.jsonl:11:1: bad-row: 1 more row of data.rows is bad"]


def test_only_the_first_repeats_are_looked_for(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "RUN", 7)
    found = told("rows.jsonl", lines({"id": number % 100} for number in range(200))).split("\n\n")
    assert [one.split(":")[1] for one in found] == [str(number) for number in range(101, 112)]
    assert found[-1] == "rows.jsonl:111:1: bad-row: 90 more rows of data.rows are bad"


@pytest.mark.parametrize("file", ["rows.jsonl", "rows.csv", "rows.json"])
def test_a_file_without_rows_is_a_warning(told: Told, file: str) -> None:
    assert told(file, "[]" if file.endswith("json") else "", more="") == (
        f"flow.yaml:2:16: warning: no-rows: data.rows has no rows: '{file}' is empty\n"
        f"    2 |   rows: {{file: {file}}}\n"
        f"      |                {'^' * len(file)}"
    )


def test_what_ends_a_file_early_comes_beside_what_was_found_before(told: Told) -> None:
    assert told("rows.csv", 'id,stars\na,1\na,2\n"b"x,3\n') == (
        "flow.yaml:2:16: bad-data: 'rows.csv' cannot be read as CSV: line 4: not CSV: ',' expected after '\"'\n"
        "    2 |   rows: {file: rows.csv, key: id}\n"
        "      |                ^^^^^^^^\n\n"
        "rows.csv:3:1: repeated-key: row 'a' of data.rows has a key that came before\n"
        f"  first:    rows.csv:2{READ_BY}{DIFFER}"
    )


def test_a_document_that_is_no_list_is_told_at_its_name(told: Told) -> None:
    assert told("rows.yaml", "a: 1\n") == (
        "flow.yaml:2:16: bad-data: 'rows.yaml' cannot be read as YAML: a list of rows is needed at the top\n"
        "    2 |   rows: {file: rows.yaml, key: id}\n"
        "      |                ^^^^^^^^^"
    )


def test_what_the_checks_tell_is_not_told_again(told: Told, tmp_path: Path) -> None:
    assert told("rows.jsonl", "x\n", more=", schema: {type: intteger}").count("bad-row") == 0
    (tmp_path / "rows.jsonl").unlink()
    report = api.check([tmp_path / "flow.yaml"])
    assert sorted(problem.code for problem in report.problems) == ["invalid-schema", "missing-file"]


def test_standard_input_and_sources_that_nothing_walks_are_not_read(told: Told) -> None:
    assert told("rows.jsonl", "", flow=FLOW.replace("%s%s", "'-'} #%s%s")) == ""
    found = told(
        "rows.jsonl",
        "x\n",
        more="}\n  other: {file: '-'",
        flow=FLOW.replace("for_each: data.rows", "for_each: data.other"),
    )
    assert "bad-row" not in found
    assert "unused-data" in found
    assert "unknown-data" in told("rows.jsonl", "x\n", flow=FLOW.replace("for_each: data.rows", "for_each: data.no"))


def test_rows_that_two_workflows_share_are_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "rows.jsonl").write_text("x\n", "utf-8")
    (tmp_path / "shared.yaml").write_text("data:\n  rows: {file: rows.jsonl}\n", "utf-8")
    for name in ("one", "two"):
        text = "include: [shared.yaml]\nsteps:\n  a: {model: local/smollm2-135m, for_each: data.rows, prompt: x}\n"
        (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
    opened = []

    def read(stream: BinaryIO) -> Iterator[ReadRow]:
        opened.append(stream)
        return read_jsonl(stream)

    monkeypatch.setattr(data, "read_jsonl", read)
    report = api.check([tmp_path / "one.yaml", tmp_path / "two.yaml"])
    assert [problem.code for problem in report.problems if problem.code == "bad-row"] == ["bad-row"]
    assert len(opened) == 1


@pytest.mark.slow
def test_a_million_rows_need_no_more_memory_than_ten_thousand(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    measure = (
        "import resource, sys; from runner.app import api; from pathlib import Path; "
        "print([p.code for p in api.check([Path(sys.argv[1])]).problems],"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def used(count: int) -> int:
        with (tmp_path / "rows.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(f'{{"id": "r{number % (count - 1)}", "stars": 1}}\n' for number in range(count))
        text = FLOW.replace("scripted/a.jsonl", "local/smollm2-135m") % ("rows.jsonl", f", key: id, schema: {SCHEMA}")
        (tmp_path / "flow.yaml").write_text(text, "utf-8")
        command = [sys.executable, "-c", measure, str(tmp_path / "flow.yaml")]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        codes, _, memory = said.rpartition(" ")
        assert "repeated-key" in codes
        return int(memory)

    assert used(1_000_000) < 1.2 * used(10_000)
