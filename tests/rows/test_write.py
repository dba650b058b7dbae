from __future__ import annotations

import csv
import errno
import io
import json
import os
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.core.errors import StorageError
from runner.rows import write
from runner.rows.write import TableWriter, csv_cell, csv_line, open_table, write_text


class FullDisk(io.BytesIO):
    """A file that takes nothing: writing and closing fail."""

    def write(self, data: object, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def _full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_beside(path: Path) -> tuple[Path, IO[bytes]]:
        temporary = path.with_name(f".{path.name}.part")
        temporary.touch()
        return temporary, FullDisk()

    monkeypatch.setattr(write, "open_beside", open_beside)


def told(error: pytest.ExceptionInfo[StorageError]) -> str:
    assert error.value.problems[0].code == "unwritable"
    return error.value.problems[0].message


# Tables


def test_a_table_of_json_lines_has_one_object_per_row_with_all_columns(tmp_path: Path) -> None:
    path = tmp_path / "out" / "deep" / "table.jsonl"
    with TableWriter(path, ("id", "label")) as table:
        table.write({"id": "r1", "label": {"a": [1, None]}})
        table.write({"id": "r2", "more": "left out"})
    assert path.read_text() == '{"id":"r1","label":{"a":[1,null]}}\n{"id":"r2","label":null}\n'
    assert table.rows == 2


def test_a_table_of_csv_has_a_header(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with TableWriter(path, ("id", "label", "stars")) as table:
        table.write({"id": "r1", "label": 'say "hi", then\nleave', "stars": 5})
        table.write({"id": "r2", "label": None, "stars": [1, 2]})
    assert path.read_text() == 'id,label,stars\nr1,"say ""hi"", then\nleave",5\nr2,,"[1,2]"\n'


@pytest.mark.parametrize(("name", "content"), [("t.csv", "id\n7\n"), ("t.jsonl", '{"id":7}\n')])
def test_the_name_of_a_file_says_its_format(tmp_path: Path, name: str, content: str) -> None:
    with open_table(tmp_path / name, ("id",), {}) as table:
        table.write({"id": 7})
    assert (tmp_path / name).read_text() == content


def test_a_table_without_rows_is_written_too(tmp_path: Path) -> None:
    for name, content in (("t.csv", "id\n"), ("t.jsonl", "")):
        with TableWriter(tmp_path / name, ("id",)):
            pass
        assert (tmp_path / name).read_text() == content


def test_an_old_table_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text("old")
    with TableWriter(path, ("id",)) as table:
        table.write({"id": 1})
        assert path.read_text() == "old"
    assert path.read_text() == '{"id":1}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_is_left_by_an_error_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fill() -> None:
        with TableWriter(path, ("id",)) as table:
            table.write({"id": 1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    path = tmp_path / "out" / "table.jsonl"
    with pytest.raises(StorageError) as error:
        TableWriter(path, ("id",))
    assert told(error) == f"'{path}' cannot be written: a file is in the way"


def test_a_table_cannot_replace_a_folder_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.mkdir()
    with pytest.raises(StorageError) as error, TableWriter(path, ("id",)):
        pass
    assert told(error) == f"'{path}' cannot be written: Is a directory"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("_full_disk")
@pytest.mark.parametrize("name", ["table.csv", "table.jsonl"])
def test_a_full_disk_is_told_as_such_and_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(StorageError) as error, TableWriter(path, ("id",)) as table:
        table.write({"id": 1})
    assert told(error) == f"'{path}' cannot be written: No space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_at_the_end_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "table.jsonl"
    with pytest.raises(StorageError) as error, TableWriter(path, ("id",)):
        pass
    assert told(error) == f"'{path}' cannot be written: [Errno 5] "
    assert list(tmp_path.iterdir()) == []


# Texts


def test_a_text_is_written_whole_into_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "pages" / "a.html"
    write_text(path, "grüße\n")
    write_text(path, "<p>\n")
    assert path.read_bytes() == b"<p>\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_text_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "pages").touch()
    path = tmp_path / "pages" / "a.html"
    with pytest.raises(StorageError) as error:
        write_text(path, "x")
    assert told(error) == f"'{path}' cannot be written: a file is in the way"


@pytest.mark.usefixtures("_full_disk")
def test_a_text_on_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("old")
    with pytest.raises(StorageError) as error:
        write_text(path, "x")
    assert told(error) == f"'{path}' cannot be written: No space left on device"
    assert list(tmp_path.iterdir()) == [path]


# Cells


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("plain", "plain"),
        ("", ""),
        (True, "true"),
        (-3, "-3"),
        (0.5, "0.5"),
        ({"a": "é"}, '{"a":"é"}'),
        (["=x"], '["=x"]'),
    ],
)
def test_text_stands_as_it_is_and_all_else_as_json(value: Json, cell: str) -> None:
    assert csv_cell(value) == cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        " =1",
        "\u200b=1",
        "\u200c\u200d\u2060=1",
        "\ufeff\u00a0@x",
        "\u202e=1",
        "\u3000=1",
        "\x00=1",
        "\t\u200b =1",
        "＝1",
        "＋x",
        "－x",
        "＠x",
        "﹢x",
        "\u200b＝1",
        "-inf",
        "+",
        "=",
    ],
)
def test_text_that_a_spreadsheet_would_run_gets_a_quote(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+1", "-.5", "+1.25e3", "3-4", "a=b", "'=1", "−5", "\u200b", "–"])
def test_numbers_and_harmless_text_are_kept(text: str) -> None:
    assert csv_cell(text) == text


@given(st.text(" \t\r\n\u200b\ufeff=+-@＝＋x5.", max_size=8))
def test_no_cell_starts_a_formula(text: str) -> None:
    shown = csv_cell(text).lstrip(" \t\r\n\u200b\ufeff")
    assert not shown.startswith(("=", "@", "＝", "＋")) or csv_cell(text).startswith("'")
    if shown.startswith(("+", "-")):
        float(shown)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1))
def test_a_line_of_cells_is_read_back(cells: list[str]) -> None:
    assert list(csv.reader(io.StringIO(csv_line(cells).decode(), newline=""))) == [cells]


@settings(deadline=None)  # every table is flushed to the disk
@given(st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(-9, 9) | st.text(max_size=5)))
def test_a_row_of_json_lines_is_read_back(tmp_path_factory: pytest.TempPathFactory, cells: dict[str, Json]) -> None:
    path = tmp_path_factory.mktemp("table") / "t.jsonl"
    with TableWriter(path, ("a", "b", "c")) as table:
        table.write(cells)
    assert json.loads(path.read_text()) == {"a": None, "b": None, "c": None} | cells
