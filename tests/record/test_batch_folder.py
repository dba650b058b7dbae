"""Batch jobs on disk: whole or not at all, found again, gone when they are harvested; and the command to go on with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import StorageError
from runner.core.frozen import replace
from runner.core.long_text import LongBody, chunks_of
from runner.record import batches
from runner.record.batches import CLOSED, INPUT, JOB, ROWS, BatchFolder, BatchRecord, SpooledRow
from runner.record.command import COMMAND, CommandLine, read_command, write_command

RECORD = BatchRecord("runner-a-0", "box/m", "openai-chat", "box", "/chat/completions", "r1", 1.0)
FIX = "free space or make the folder writable, then run again; a job that was submitted is found by its name"


def row(key: str, offset: int, length: int) -> SpooledRow:
    return SpooledRow(key, "ask", "a", "new", {"prompt": "p"}, 0, "", 0, offset, length)


LINES = [(b'{"body":one}', row("k1", 8, 3)), (b'{"body":three}', row("k2", 8, 5))]


@pytest.fixture
def folder(tmp_path: Path) -> BatchFolder:
    return BatchFolder(tmp_path / "batches")


def said(error: StorageError) -> tuple[str, str, str | None]:
    (problem,) = error.problems
    return problem.code, problem.message, problem.fix


def unwritable(path: Path, reason: str) -> tuple[str, str, str | None]:
    return "batch-unwritable", f"the batch job in {path} cannot be read or written: {reason}", FIX


def test_a_spooled_job_gives_back_its_rows_and_the_bytes_that_were_sent(folder: BatchFolder) -> None:
    folder.spool(RECORD, LINES)
    rows = folder.rows(RECORD)
    assert rows == {"k1": row("k1", 8, 3), "k2": row("k2", 21, 5)}
    assert [(found.key, body) for found, body in folder.bodies(RECORD, rows.values())] == [
        ("k1", b"one"),
        ("k2", b"three"),
    ]
    assert folder.input(RECORD).stat().st_mode & 0o777 == 0o600
    assert folder.open_jobs() == [RECORD]


def test_what_is_keyed_is_kept_beside_a_line_that_shows_files(folder: BatchFolder) -> None:
    shown = replace(row("k1", 0, 0), body='{"mark": "Grüße"}')
    folder.spool(RECORD, [(b'{"body":{"mark":"R3L8w58="}}', shown)])
    assert folder.rows(RECORD) == {"k1": shown}
    assert [body for _, body in folder.bodies(RECORD, [shown])] == ['{"mark": "Grüße"}'.encode()]


def test_a_long_body_is_read_when_it_is_needed(folder: BatchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LONG", 4)
    monkeypatch.setattr(batches, "CHUNK", 2)
    folder.spool(RECORD, LINES)
    found = [body for _, body in folder.bodies(RECORD, folder.rows(RECORD).values())]
    assert [isinstance(body, LongBody) for body in found] == [False, True]
    assert found == [b"one", b"three"]
    assert list(chunks_of(found[1])) == [b"th", b"re", b"e"]


def test_a_line_that_cannot_be_read_leaves_no_job(folder: BatchFolder) -> None:
    class Gone(LongBody):
        def chunks(self) -> Iterator[bytes]:
            yield b"{"
            raise LookupError

    with pytest.raises(LookupError):
        folder.spool(RECORD, [*LINES, (Gone(9), row("k3", 0, 0))])
    assert list(folder.path.iterdir()) == []


def test_a_job_is_spooled_over_what_was_left_of_it(folder: BatchFolder) -> None:
    folder.spool(RECORD, LINES)
    folder.spool(RECORD, LINES[:1])
    assert list(folder.rows(RECORD)) == ["k1"]


def test_ids_are_noted_and_jobs_are_listed_by_age(folder: BatchFolder) -> None:
    younger = replace(RECORD, name="runner-0-0", made_at=2.0)
    folder.spool(younger, LINES)
    folder.spool(RECORD, LINES)
    folder.save(replace(RECORD, file="f", job="j"))
    assert folder.open_jobs() == [replace(RECORD, file="f", job="j"), younger]


def test_a_folder_that_cannot_be_read_is_no_job(folder: BatchFolder) -> None:
    assert folder.open_jobs() == []
    for name, text in {"a": b"{", "b": b"[]", "c": b'{"name":"x"}'}.items():
        (folder.path / name).mkdir(parents=True)
        (folder.path / name / JOB).write_bytes(text)
    (folder.path / "d").mkdir()
    assert folder.open_jobs() == []


def test_a_closed_job_is_gone_and_its_name_is_not_given_again(folder: BatchFolder) -> None:
    name = folder.name_for(["k2", "k1"])
    assert name == folder.name_for(["k1", "k2"])
    assert name.endswith("-0")
    record = replace(RECORD, name=name)
    folder.spool(record, LINES)
    folder.close(record)
    assert not (folder.path / name).exists()
    assert folder.name_for(["k1", "k2"]) == f"{name[:-1]}1"
    assert folder.name_for(["k1"]).endswith("-0")


def test_a_closed_job_that_could_not_go_goes_when_jobs_are_listed(folder: BatchFolder) -> None:
    folder.spool(RECORD, LINES)
    (folder.path / CLOSED).write_bytes(b'{\n[]\n{}\n{"name":"runner-a-0"}\n')
    assert folder.open_jobs() == []
    assert not (folder.path / RECORD.name).exists()


def test_the_lock_stands_in_the_folder_of_jobs(folder: BatchFolder) -> None:
    assert folder.lock == folder.path / ".lock"
    assert folder.path.is_dir()


def test_a_file_in_the_way_of_the_folder_is_told(folder: BatchFolder) -> None:
    folder.path.write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        folder.lock  # noqa: B018 - asking makes the folder
    assert said(caught.value) == unwritable(folder.path, os.strerror(17))
    with pytest.raises(StorageError) as caught:
        folder.spool(RECORD, LINES)
    assert said(caught.value) == unwritable(folder.path, os.strerror(20))
    with pytest.raises(StorageError) as caught:
        folder.close(RECORD)
    assert said(caught.value) == unwritable(folder.path, os.strerror(20))


def test_a_job_that_is_only_half_there_is_told(folder: BatchFolder) -> None:
    folder.spool(RECORD, LINES)
    place = folder.path / RECORD.name
    (place / INPUT).unlink()
    with pytest.raises(StorageError) as caught:
        list(folder.bodies(RECORD, folder.rows(RECORD).values()))
    assert said(caught.value) == unwritable(place, os.strerror(2))
    (place / ROWS).write_bytes(b"[1]\n")
    with pytest.raises(StorageError) as caught:
        folder.rows(RECORD)
    assert said(caught.value)[0] == "batch-unwritable"
    (place / ROWS).unlink()
    with pytest.raises(StorageError) as caught:
        folder.rows(RECORD)
    assert said(caught.value) == unwritable(place, os.strerror(2))


def test_a_job_that_cannot_be_dropped_is_no_error(folder: BatchFolder) -> None:
    (folder.path / RECORD.name / JOB).mkdir(parents=True)
    folder.drop(RECORD)
    assert not (folder.path / RECORD.name).exists()


def test_a_command_is_read_as_it_was_written(tmp_path: Path) -> None:
    command = CommandLine("/project", ("flow.yaml", "--batch"), is_piped=True)
    write_command(tmp_path, command)
    assert read_command(tmp_path) == command


@pytest.mark.parametrize("text", [None, b"{", b"[]", b'{"folder": "x"}', b'{"folder":"x","words":1,"is_piped":false}'])
def test_a_command_that_cannot_be_read_is_none(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / COMMAND).write_bytes(text)
    assert read_command(tmp_path) is None


def test_an_id_that_cannot_be_noted_is_told_in_the_words_of_batches(folder: BatchFolder) -> None:
    with pytest.raises(StorageError) as caught:
        folder.save(RECORD)  # its folder is not there
    assert said(caught.value) == unwritable(folder.path / RECORD.name, os.strerror(2))


def test_a_job_that_cannot_be_spooled_leaves_nothing(folder: BatchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def full(path: Any, *given: Any, **more: Any) -> int:
        if ".job.json." in str(path):
            raise OSError(28, os.strerror(28))
        return real(path, *given, **more)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StorageError) as caught:
        folder.spool(RECORD, LINES)
    assert said(caught.value) == unwritable(folder.path, os.strerror(28))
    assert list(folder.path.iterdir()) == []
