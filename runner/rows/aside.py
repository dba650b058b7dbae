"""What a run puts aside: in memory while it is little, else in files without a name, which end with the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from weakref import finalize

from runner.core.aside import Pieces, Table
from runner.core.errors import StorageError
from runner.core.problem import Problem

if TYPE_CHECKING:
    import sqlite3

IN_MEMORY = 2 * 2**20
WRITTEN_AT_ONCE = 2**18
MOST_ENTRIES = 8_000
_ONE_AT_A_TIME = Lock()


class Spool:
    """Pieces of bytes. Reading is safe from any thread once all is put."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._new = bytearray()
        self._written = 0
        self._fd = -1

    def put(self, data: bytes) -> int:
        place = self._written + len(self._new)
        self._new += data
        if len(self._new) > (IN_MEMORY if self._fd < 0 else WRITTEN_AT_ONCE):
            self._write()
        return place

    def get(self, place: int, size: int) -> bytes:
        if place >= self._written:  # a piece is on one side as a whole
            start = place - self._written
            return bytes(self._new[start : start + size])
        try:
            return _read(self._fd, size, place)
        except OSError as error:
            raise _no_room(self._folder, error) from None

    def _write(self) -> None:
        try:
            if self._fd < 0:
                self._fd = _nameless(self._folder)
                finalize(self, os.close, self._fd)
            left = memoryview(self._new)
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            raise _no_room(self._folder, error) from None
        self._written += len(self._new)
        self._new = bytearray()


class WideTable:
    """A table that goes to disk when it has many entries."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._few: dict[str, str] = {}
        self._many: sqlite3.Connection | None = None

    def get(self, key: str, /) -> str | None:
        found = self._few.get(key)
        if found is not None or self._many is None:
            return found
        row = self._many.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def __setitem__(self, key: str, value: str, /) -> None:
        self._few[key] = value
        if len(self._few) > MOST_ENTRIES:
            self._spill()

    def keys(self) -> Iterator[str]:
        """Each once, in any order."""
        yield from list(self._few)
        if self._many is not None:
            rows = self._many.execute("SELECT key FROM entries ORDER BY key")
            yield from (key for (key,) in rows if key not in self._few)

    def _spill(self) -> None:
        import sqlite3

        try:
            if self._many is None:
                self._many = _nameless_database()
                finalize(self, self._many.close)
            self._many.executemany("REPLACE INTO entries VALUES (?, ?)", sorted(self._few.items()))
        except sqlite3.Error as error:
            raise _no_room(self._folder, error) from None
        self._few = {}


class OnDisk:
    """Fills `core.aside.Aside`. `folder` is where files may be made, by default the system's own for such files."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder if folder is not None and folder.is_dir() else None

    def pieces(self) -> Pieces:
        return Spool(self._folder)

    def table(self) -> Table:
        return WideTable(self._folder)


def _seek_and_read(fd: int, size: int, place: int) -> bytes:
    with _ONE_AT_A_TIME:
        os.lseek(fd, place, os.SEEK_SET)
        data = os.read(fd, size)
        os.lseek(fd, 0, os.SEEK_END)  # where the next piece is written
        return data


# One call is safe from any thread; Windows does not have it.
_read: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)


def _nameless(folder: Path | None) -> int:
    """A file descriptor; in the system's folder where nothing can be made in this one."""
    from tempfile import TemporaryFile  # not before something is large

    try:
        with TemporaryFile(dir=folder) as file:
            return os.dup(file.fileno())
    except OSError:
        with TemporaryFile() as file:
            return os.dup(file.fileno())


def _nameless_database() -> sqlite3.Connection:
    """Without a name it is a private file that SQLite removes; nothing is kept, so nothing needs to be safe."""
    import sqlite3

    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2048"):
        database.execute(f"PRAGMA {setting}")
    database.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
    database.execute("BEGIN")
    return database


def _no_room(folder: Path | None, error: Exception) -> StorageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    where = f"in '{folder}'" if folder is not None else "in the folder for temporary files"
    message = f"what a run needs until its end cannot be put aside {where}: {reason}"
    return StorageError(Problem("unwritable", message))
