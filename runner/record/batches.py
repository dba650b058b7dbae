"""Batch jobs on disk, `.runner/batches/NAME`: what was asked, and the ids of file and job as soon as they are known.

A folder appears whole or not at all. It goes when its job is harvested; the line in `closed.jsonl` stays, so that the
same questions, asked anew, make a job of another name.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import orjson

from runner.core.canonical import Json, digest
from runner.core.errors import StorageError
from runner.core.frozen import dataclass, replace
from runner.core.long_text import CHUNK, LONG, Body, LongBody, chunks_of
from runner.core.problem import Problem
from runner.record.folders import write_record_file

INPUT: Final = "input.jsonl"
ROWS: Final = "rows.jsonl"
JOB: Final = "job.json"
CLOSED: Final = "closed.jsonl"
DIGITS: Final = 40


@dataclass(frozen=True, slots=True)
class SpooledRow:
    """One request of a job: what is needed to keep its answer. Its body stands in the input from `offset` on, or, where the
    input shows files in it, here as `body`.
    """

    key: str
    step: str
    item: str
    reason: str
    ingredients: Mapping[str, Json]
    sample: int
    salt: str
    repair: int
    offset: int
    length: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A job: its name with the provider, where it goes, and the ids that the provider gave so far. With `names_files` its
    input holds names of uploaded files, which the provider forgets.
    """

    name: str
    route: str
    dialect: str
    provider: str
    endpoint: str
    run: str
    made_at: float
    file: str = ""
    job: str = ""
    names_files: bool = False


class BatchFolder:
    """The jobs of a project. Every method raises StorageError when the disk does not do its part."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def lock(self) -> Path:
        """The file on which those who submit wait for one another."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self.path / ".lock"

    def open_jobs(self) -> list[BatchRecord]:
        """The jobs that are not harvested, the oldest first; a folder that cannot be read is none."""
        found = []
        closed = self._closed()
        for folder in self.path.glob("*/"):
            with suppress(OSError, ValueError, TypeError):
                record = BatchRecord(**orjson.loads((folder / JOB).read_bytes()))
                if record.name in closed:  # the process died before it could go
                    self.drop(record)
                else:
                    found.append(record)
        return sorted(found, key=lambda record: (record.made_at, record.name))

    def rows(self, record: BatchRecord) -> dict[str, SpooledRow]:
        """What was asked, by key. Raises StorageError."""
        try:
            data = (self.path / record.name / ROWS).read_bytes()
            return {row.key: row for row in (SpooledRow(**orjson.loads(line)) for line in data.splitlines())}
        except (OSError, ValueError, TypeError) as error:
            raise _unwritable(self.path / record.name, error) from error

    def bodies(self, record: BatchRecord, rows: Iterable[SpooledRow]) -> Iterator[tuple[SpooledRow, Body]]:
        """The requests as they are keyed; long ones are read when they are needed."""
        path = self.input(record)
        try:
            with path.open("rb") as file:
                for row in rows:
                    if row.body or row.length >= LONG:
                        yield row, row.body.encode() or _BodyInFile(path, row.offset, row.length)
                        continue
                    file.seek(row.offset)
                    yield row, file.read(row.length)
        except OSError as error:
            raise _unwritable(self.path / record.name, error) from error

    def input(self, record: BatchRecord) -> Path:
        return self.path / record.name / INPUT

    def name_for(self, keys: Iterable[str]) -> str:
        """What a job over these questions is called, everywhere and always; another name once such a job was closed."""
        stem = digest("\n".join(sorted(keys)))[:DIGITS]
        return f"runner-{stem}-{sum(name.startswith(f'runner-{stem}-') for name in self._closed())}"

    def spool(self, record: BatchRecord, lines: Iterable[tuple[Body, SpooledRow]]) -> None:
        """Write a job to disk before anything is sent. `offset` of a row is that in its own line.

        What a line raises while it is read is raised here, and then there is no job.
        """
        aside = self.path / f".{record.name}.{secrets.token_hex(8)}.tmp"
        try:
            aside.mkdir(mode=0o700, parents=True)
            place = 0
            with _private(aside / INPUT) as requests, _private(aside / ROWS) as rows:
                for line, row in lines:
                    for chunk in chunks_of(line):
                        requests.write(chunk)
                    requests.write(b"\n")
                    rows.write(orjson.dumps(replace(row, offset=place + row.offset)) + b"\n")
                    place += len(line) + 1
            write_record_file(aside / JOB, orjson.dumps(record))
            target = self.path / record.name
            if target.exists():
                shutil.rmtree(target)
            aside.rename(target)
        except (OSError, StorageError) as error:
            raise _unwritable(self.path, error) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def save(self, record: BatchRecord) -> None:
        """Note an id, before anything is done with it."""
        try:
            write_record_file(self.path / record.name / JOB, orjson.dumps(record))
        except StorageError as error:
            raise _unwritable(self.path / record.name, error) from error

    def close(self, record: BatchRecord) -> None:
        """All answers are kept: the job is done with."""
        try:
            with (self.path / CLOSED).open("ab") as file:
                file.write(orjson.dumps({"name": record.name, "job": record.job, "run": record.run}) + b"\n")
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.drop(record)

    def drop(self, record: BatchRecord) -> None:
        """Forget a job. First the file that makes it one goes: a death on the way leaves no half of it."""
        folder = self.path / record.name
        with suppress(OSError):
            (folder / JOB).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _closed(self) -> set[str]:
        try:
            lines = (self.path / CLOSED).read_bytes().splitlines()
        except OSError:
            return set()
        names = set()
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):
                names.add(str(orjson.loads(line)["name"]))
        return names


class _BodyInFile(LongBody):
    """A part of a file, read each time that it is needed."""

    __slots__ = ("_at", "_path")

    def __init__(self, path: Path, at: int, size: int) -> None:
        super().__init__(size)
        self._path, self._at = path, at

    def chunks(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(self._at)
            left = len(self)
            while chunk := file.read(min(left, CHUNK)):
                left -= len(chunk)
                yield chunk


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def _unwritable(path: Path, error: Exception) -> StorageError:
    cause = error.__cause__ if isinstance(error, StorageError) else error
    reason = getattr(cause, "strerror", None) or cause
    return StorageError(
        Problem(
            "batch-unwritable",
            f"the batch job in {path} cannot be read or written: {reason}",
            fix="free space or make the folder writable, then run again; a job that was submitted is found by its name",
        )
    )
