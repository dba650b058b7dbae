"""What happened in a run, appended line by line to `journal.jsonl`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final

from runner.core.canonical import Json
from runner.core.events import AttemptMade, ContextKept, Event, Settled
from runner.core.outcome import Source
from runner.record.folders import JOURNAL, unwritable_record
from runner.record.lines import read_line, to_line, to_record

__all__ = ["Journal", "read_journal", "read_placed", "read_record_at"]

MAX_WAITING: Final = 256
MAX_LINE_BYTES: Final = 64 * 2**20


class Journal:
    """An EventSink. A line about something new is written at once; a line that a rerun would give again from the
    store (a stored answer, and what became of it) may wait for the next one, at most 256 of them.

    With `flush_soon` it is called where lines would be written at once, and sees to it that `flush` is: in a loop, what
    comes in one turn is written together.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time) -> None:
        self._path = folder / JOURNAL
        self._now = now
        self._waiting: list[bytes] = []
        self._is_due = False
        self.flush_soon: Callable[[], object] | None = None
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            self._is_torn = _ends_torn(self._fd)
        except OSError as error:
            raise unwritable_record(self._path, error) from error

    def __call__(self, event: Event, /) -> None:
        """Raises StorageError when the line cannot be written."""
        self._waiting.append(to_line(to_record(event, at=self._now())))
        # What was kept is remembered next, and would be taken for told.
        if len(self._waiting) >= MAX_WAITING or isinstance(event, ContextKept):
            self.flush()
        elif self._is_due or _may_be_lost(event):
            return
        elif self.flush_soon is None:
            self.flush()
        else:
            self._is_due = True
            self.flush_soon()

    def flush(self) -> None:
        """Everything told so far is in the file when this returns. Raises StorageError."""
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._is_due = False
        if self._is_torn:
            data = b"\n" + data
        self._is_torn = True
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise unwritable_record(self._path, error) from error
        self._is_torn = False

    def close(self) -> None:
        """Raises StorageError when the last lines cannot be written; the file is closed all the same."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._fd)
            self._fd = -1


def read_journal(path: Path, words: tuple[bytes, ...] = ()) -> Iterator[Mapping[str, Json]]:
    """The records in their order; a line that a killed run left torn is passed over. No file: no records.

    With `words`, lines that hold none of them are passed over unread.
    """
    return (record for _, record in read_placed(path, words))


def read_placed(path: Path, words: tuple[bytes, ...] = ()) -> Iterator[tuple[int, dict[str, Json]]]:
    """The records, each with its place in the file."""
    place = 0
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        while line := file.readline(MAX_LINE_BYTES):
            start, place = place, place + len(line)
            if words and not any(word in line for word in words):
                continue
            record = read_line(line)
            if record is not None:
                yield start, record


def read_record_at(path: Path, place: int) -> dict[str, Json] | None:
    """The record at a place that was found by reading; None where the file has changed since."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(place)
        return read_line(file.readline(MAX_LINE_BYTES))
    return None


def _may_be_lost(event: Event) -> bool:
    match event:
        case AttemptMade(attempt=attempt):
            return attempt.source is not Source.FRESH
        case Settled(outcome=outcome):
            return bool(outcome.attempts) and all(attempt.source is not Source.FRESH for attempt in outcome.attempts)
        case _:
            return False


def _ends_torn(fd: int) -> bool:
    if os.fstat(fd).st_size == 0:
        return False
    os.lseek(fd, -1, os.SEEK_END)
    return os.read(fd, 1) != b"\n"
