from __future__ import annotations

import gc
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import StorageError
from runner.rows import aside
from runner.rows.aside import OnDisk, Spool, WideTable


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("IN_MEMORY", 16), ("WRITTEN_AT_ONCE", 8), ("MOST_ENTRIES", 2)):
        monkeypatch.setattr(aside, name, size)


@given(st.lists(st.binary(max_size=12)), st.integers(0, 40), st.integers(0, 20))
def test_pieces_come_back_whether_or_not_they_were_written(pieces: list[bytes], memory: int, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aside, "IN_MEMORY", memory)
        patch.setattr(aside, "WRITTEN_AT_ONCE", at_once)
        spool = Spool(None)
        places = [spool.put(piece) for piece in pieces]
        assert [spool.get(place, len(piece)) for place, piece in zip(places, pieces, strict=True)] == pieces


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1))
def test_where_a_place_cannot_be_read_at_once_pieces_come_back_between_writes(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aside, "IN_MEMORY", 0)
        patch.setattr(aside, "WRITTEN_AT_ONCE", 0)
        patch.setattr(aside, "_read", aside._seek_and_read)
        spool = Spool(None)
        places = []
        for piece in pieces:
            places.append(spool.put(piece))
            assert spool.get(places[0], len(pieces[0])) == pieces[0]
        assert [spool.get(place, len(piece)) for place, piece in zip(places, pieces, strict=True)] == pieces


@given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2))), st.integers(0, 4))
def test_a_wide_table_is_a_table(entries: list[tuple[str, str]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aside, "MOST_ENTRIES", most)
        table = WideTable(None)
        for number, (key, value) in enumerate(entries):
            table[key] = value
            assert {one: table.get(one) for one, _ in entries[: number + 1]} == dict(entries[: number + 1])
        assert table.get("not there") is None
        assert sorted(table.keys()) == sorted(dict(entries))


@pytest.mark.usefixtures("little_memory")
def test_what_is_put_aside_has_no_name_on_disk_and_ends_with_its_owner(tmp_path: Path) -> None:
    spool = OnDisk(tmp_path).pieces()
    gc.collect()  # of what other tests left
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- the descriptors themselves
    spool.put(b"x" * 100)
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before + 1  # noqa: PTH208
    del spool
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.usefixtures("little_memory")
def test_where_the_folder_takes_no_file_the_system_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "not-there", refusing(tmp_path, monkeypatch)):
        spool = OnDisk(folder).pieces()
        place = spool.put(b"y" * 100)
        assert spool.get(place, 100) == b"y" * 100


def refusing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tempfile.TemporaryFile

    def refuse(*, dir: Path | None = None) -> object:  # noqa: A002 -- the library's name
        if dir == folder:
            raise PermissionError(13, "Permission denied")
        return made()

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    return folder


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch, little_memory: None) -> Iterator[None]:
    def write(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        yield


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize(
    ("has_folder", "where"), [(True, "in '{folder}'"), (False, "in the folder for temporary files")]
)
def test_a_full_disk_is_told(tmp_path: Path, has_folder: bool, where: str) -> None:
    with pytest.raises(StorageError) as raised:
        OnDisk(tmp_path if has_folder else None).pieces().put(b"z" * 100)
    said = (
        f"what a run needs until its end cannot be put aside {where.format(folder=tmp_path)}: No space left on device"
    )
    assert (raised.value.problems[0].code, raised.value.problems[0].message) == ("unwritable", said)


@pytest.mark.usefixtures("little_memory")
def test_a_disk_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = OnDisk().pieces()
    place = spool.put(b"z" * 100)

    def read(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(aside, "_read", read)
    with pytest.raises(StorageError, match="cannot be put aside in the folder for temporary files: Input/output error"):
        spool.get(place, 100)


@pytest.mark.usefixtures("little_memory")
def test_a_table_that_finds_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    table = OnDisk().table()

    def connect(*_: object, **__: object) -> object:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite3, "connect", connect)
    table["a"], table["b"] = "", ""
    with pytest.raises(
        StorageError, match="cannot be put aside in the folder for temporary files: database or disk is"
    ):
        table["c"] = ""
