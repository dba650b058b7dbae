"""Reading the rows of a diskcache database, without diskcache: nothing is unpickled, no file that a row names is opened.

A second connection for reading keeps a cached run free of writes and of the library's start-up time, and reads many
keys with one statement. The file may have come with a clone, so neither its rows nor its schema are trusted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from runner.core.errors import StorageError
from runner.store.entry import MAX_ENTRY_BYTES
from runner.store.trouble import damaged, told

DATABASE: Final = "cache.db"
RAW_MODE: Final = 1
_BATCH = 250
_COLUMNS = frozenset({"key", "raw", "mode", "filename", "value"})
_PARTS = {
    "table": frozenset({"Settings", "Cache"}),
    "trigger": frozenset(
        f"Settings_{name}_{act}" for name in ("count", "size") for act in ("insert", "update", "delete")
    ),
}
# Of a row that is not plain bytes in the row itself, nothing but NULL is read.
_VALUE = (
    f"CASE WHEN mode = {RAW_MODE} AND filename IS NULL AND typeof(value) = 'blob'"
    f" AND length(value) <= {MAX_ENTRY_BYTES} THEN value END"
)


class Rows:
    """The reading side of one database file; usable from any thread. A file without our table reads as empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Values by key; a poisoned row gives no bytes (b""), which no entry can be."""
        found: dict[str, bytes] = {}
        with self._lock, told(self._folder):
            connection = self._connect()
            if connection is None:
                return found
            for start in range(0, len(keys), _BATCH):
                some = list(keys[start : start + _BATCH])
                marks = ",".join("?" * len(some))
                select = f"SELECT key, {_VALUE} FROM Cache WHERE raw = 1 AND key IN ({marks})"  # noqa: S608 - no values in the text
                found.update((key, value or b"") for key, value in connection.execute(select, some))
        return found

    def scan(self) -> Iterator[tuple[str, bytes]]:
        """All rows in the order of their making; a row without a readable key is called by its number."""
        select = (
            "SELECT rowid, CASE WHEN raw = 1 AND typeof(key) = 'text' AND length(key) <= 200 THEN key END,"  # noqa: S608
            f" {_VALUE} FROM Cache WHERE rowid > ? ORDER BY rowid LIMIT {_BATCH}"
        )
        last = -(2**63)
        while True:
            with self._lock, told(self._folder):
                connection = self._connect()
                batch = connection.execute(select, (last,)).fetchall() if connection else []
            if not batch:
                return
            for row, key, value in batch:
                last = row
                yield (f"row-{row}", b"") if key is None else (key, value or b"")

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connect(self) -> sqlite3.Connection | None:
        if self._connection is None:
            path = self._folder / DATABASE
            self._connection = _open_for_reading(path) if path.exists() else None
        return self._connection


def _open_for_reading(path: Path) -> sqlite3.Connection | None:
    """A connection to a database that has our table, else None. Raises sqlite3.Error or StorageError."""
    if path.is_symlink():
        raise StorageError(damaged(path.parent, "its database is a link to another file"))
    modes = ["mode=rw", "mode=ro"]
    if not path.with_name(path.name + "-wal").exists():
        # In a read-only folder the index of the log cannot be made; without a log none is needed.
        modes.append("mode=ro&immutable=1")
    for mode in modes[:-1]:
        try:
            return _try_to_open(path, mode)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise
    return _try_to_open(path, modes[-1])


def _try_to_open(path: Path, mode: str) -> sqlite3.Connection | None:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=30,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}").close()
        if _has_our_table(connection, path.parent):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _has_our_table(connection: sqlite3.Connection, folder: Path) -> bool:
    """Whether the plain table is there. Raises StorageError for a schema that could make a reader work for it."""
    parts = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
    if any(kind != "index" and name not in _PARTS.get(kind, ()) for kind, name in parts):
        raise StorageError(damaged(folder, "it holds tables, views or triggers that are not ours"))
    if ("table", "Cache") not in parts:
        return False
    columns = connection.execute("SELECT name, hidden FROM pragma_table_xinfo('Cache')").fetchall()
    if not _COLUMNS.issubset(name for name, _ in columns) or any(hidden for _, hidden in columns):
        raise StorageError(damaged(folder, "its table is not a cache"))
    return True
