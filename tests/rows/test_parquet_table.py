"""Tables to Parquet: types from schemas and values, and a file that is whole or absent."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from runner.core.canonical import Json
from runner.core.errors import StorageError
from runner.rows import parquet_table
from runner.rows.column_kinds import Kind, ListOf
from runner.rows.parquet import read_parquet
from runner.rows.write import open_table

Rows = Sequence[Mapping[str, Json]]


def written(path: Path, rows: Rows, declared: Mapping[str, Kind] | None = None) -> Any:
    columns = tuple(dict.fromkeys(name for row in rows for name in row)) or ("id",)
    with open_table(path, columns, declared or {}) as table:
        for row in rows:
            table.write(row)
    assert table.rows == len(rows)
    return pq.read_table(path)


def types(table: Any) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def test_a_table_has_the_types_of_its_values(tmp_path: Path) -> None:
    rows: Rows = [
        {"id": "a", "n": 1, "x": 1, "b": True, "l": [1], "o": {"k": None}, "m": "text", "e": None, "big": 2**60},
        {"id": "b", "n": 2, "x": 2.5, "b": None, "l": [], "o": {"k": 1, "z": []}, "m": 7, "e": None, "big": 1},
    ]
    table = written(tmp_path / "t.parquet", rows)
    assert types(table) == {
        "id": "string",
        "n": "int64",
        "x": "double",
        "b": "bool",
        "l": "list<element: int64>",
        "o": "struct<k: int64, z: list<element: string>>",
        "m": "string",
        "e": "string",
        "big": "int64",
    }
    assert table.to_pylist() == [
        {**rows[0], "m": '"text"', "x": 1.0, "o": {"k": None, "z": None}},
        {**rows[1], "m": "7"},
    ]


def test_what_is_declared_of_a_column_holds_also_without_values(tmp_path: Path) -> None:
    declared: dict[str, Kind] = {"n": "number", "l": ListOf("integer")}
    table = written(tmp_path / "t.parquet", [{"n": 1, "l": None}], declared)
    assert types(table) == {"n": "double", "l": "list<element: int64>"}
    assert table.to_pylist() == [{"n": 1.0, "l": None}]


def test_values_that_do_not_fit_what_is_declared_widen_it(tmp_path: Path) -> None:
    table = written(tmp_path / "t.parquet", [{"n": "x"}], {"n": "number"})
    assert table.to_pylist() == [{"n": '"x"'}]


def test_a_table_without_rows_is_a_file_too(tmp_path: Path) -> None:
    table = written(tmp_path / "t.parquet", [])
    assert (types(table), table.num_rows) == ({"id": "string"}, 0)


def test_many_rows_come_back_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_table, "PIECE_BYTES", 500)
    monkeypatch.setattr(parquet_table, "GROUP_BYTES", 2000)
    path = tmp_path / "t.parquet"
    table = written(path, [{"id": f"r{number}", "n": number} for number in range(1000)])
    assert table.column("n").to_pylist() == list(range(1000))
    assert pq.ParquetFile(path).num_row_groups > 4


VALUES = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.text("aé\x00", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=5,
)


def plain(found: Json, meant: Json) -> Json:
    """A value as it was meant: JSON as text unpacked, fields that others brought left out."""
    if isinstance(found, str) and not isinstance(meant, str):
        return json.loads(found)
    if isinstance(found, str) and found.startswith('"') and found != meant:
        return json.loads(found)
    if isinstance(found, list) and isinstance(meant, list):
        return [plain(one, other) for one, other in zip(found, meant, strict=True)]
    if isinstance(found, dict) and isinstance(meant, dict):
        assert all(found[name] is None for name in found.keys() - meant.keys())
        return {name: plain(found[name], inner) for name, inner in meant.items()}
    return found


@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=5))
def test_whatever_is_written_is_read_as_it_was_meant(values: list[Json], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.parquet"
    written(path, [{"c": value} for value in values])
    with path.open("rb") as stream:
        rows = [row.value["c"] for row in read_parquet(stream)]
    assert [plain(found, meant) for found, meant in zip(rows, values, strict=True)] == values


# Whole or absent


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"old")
    with open_table(path, ("id",), {}) as table:
        table.write({"id": "a"})
        assert path.read_bytes() == b"old"
    assert pq.read_table(path).to_pylist() == [{"id": "a"}]
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_is_left_early_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"old")
    with suppress(KeyError), open_table(path, ("id",), {}) as table:
        table.write({"id": "a"})
        raise KeyError
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(StorageError) as caught:
        open_table(tmp_path / "out" / "t.parquet", ("id",), {})
    assert caught.value.problems[0].message == f"'{tmp_path}/out/t.parquet' cannot be written: a file is in the way"


class FullDisk(io.BytesIO):
    def write(self, data: object, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_beside(path: Path) -> tuple[Path, IO[bytes]]:
        temporary = path.with_name("aside")
        temporary.touch()
        return temporary, FullDisk()

    monkeypatch.setattr(parquet_table, "open_beside", open_beside)
    with pytest.raises(StorageError) as caught, open_table(tmp_path / "t.parquet", ("id",), {}) as table:
        table.write({"id": "a"})
    assert caught.value.problems[0].message == f"'{tmp_path}/t.parquet' cannot be written: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_what_the_library_cannot_write_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise pa.ArrowInvalid("no such codec")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", refuse)
    with pytest.raises(StorageError) as caught, open_table(tmp_path / "t.parquet", ("id",), {}) as table:
        table.write({"id": "a"})
    assert caught.value.problems[0].message == f"'{tmp_path}/t.parquet' cannot be written: no such codec"
