"""diskcache with everything taken away that reads pickles, names files or throws answers out.

Imported only when something is written: the library takes longer to load than a cached run takes in all.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

import diskcache

from runner.store.rows import DATABASE, RAW_MODE

_NO_LIMIT = 2**62
LONG_BYTES: Final = 1 << 20
_SETTINGS: Final[dict[str, str | int]] = {
    "statistics": 0,
    "tag_index": 0,
    "eviction_policy": "none",
    "size_limit": _NO_LIMIT,
    "cull_limit": 0,
    "sqlite_auto_vacuum": 0,
    "sqlite_cache_size": 1000,  # pages of 4 kB: more of them fill with rows, and save no time, as keys come in any order
    "sqlite_journal_mode": "wal",
    "sqlite_mmap_size": 0,
    "sqlite_synchronous": 1,
    "disk_min_file_size": _NO_LIMIT,
    "disk_pickle_protocol": 0,
}
_COUNTS = frozenset({"count", "size", "hits", "misses"})


class BytesOnlyDisk(diskcache.Disk):  # type: ignore[misc]  # the library ships no types
    """Keys are text, values are bytes, and both stand in the row itself; anything else is refused or reads as None."""

    def __init__(self, directory: str, min_file_size: int = 0, pickle_protocol: int = 0, **_unknown: object) -> None:
        super().__init__(directory, min_file_size=min_file_size, pickle_protocol=pickle_protocol)

    def put(self, key: object) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError("a key of the cache is text")
        return key, True

    def get(self, key: object, raw: object) -> str | None:
        return key if raw and isinstance(key, str) else None

    def store(self, value: object, read: object, key: object = None) -> tuple[int, int, None, sqlite3.Binary]:  # noqa: ARG002 - the library's signature
        if read or not isinstance(value, bytes):
            raise TypeError("a value of the cache is bytes")
        return 0, RAW_MODE, None, sqlite3.Binary(value)

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes | None:
        is_plain = mode == RAW_MODE and filename is None and not read
        return value if is_plain and isinstance(value, bytes) else None

    def filename(self, key: object = None, value: object = None) -> tuple[str, str]:  # noqa: ARG002 - the library's
        raise TypeError("the cache keeps no files beside its database")

    def remove(self, file_path: object) -> None:
        """A row may name any file: none is ever deleted."""


class SteadyCache(diskcache.Cache):  # type: ignore[misc]  # the library ships no types
    """Takes its settings from us alone: the library would read them from the file, as SQL and as attributes.

    All threads share one connection, so that closing closes it: the store lets in one thread at a time.
    """

    _connection: sqlite3.Connection | None = None

    @property
    def _con(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                Path(self._directory) / DATABASE,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.execute("PRAGMA trusted_schema = OFF").close()
            for name in _SETTINGS:
                if name.startswith("sqlite_"):
                    self.reset(name, update=False)
        return self._connection

    def put(self, key: str, value: bytes) -> None:
        """Within a transaction. A long value is written in pieces: given at once, the database would copy it twice."""
        if len(value) < LONG_BYTES:
            self.set(key, value)
            return
        self.set(key, b"")
        room = "UPDATE Cache SET value = zeroblob(?) WHERE key = ? AND raw = 1 RETURNING rowid"
        (row,) = self._con.execute(room, (len(value), key)).fetchall()[0]
        with self._con.blobopen("Cache", "value", row) as blob:
            for start in range(0, len(value), LONG_BYTES):
                blob.write(memoryview(value)[start : start + LONG_BYTES])

    def compact(self) -> None:
        """Outside a transaction."""
        for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            self._con.execute(statement).close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def reset(self, key: str, value: Any = None, update: bool = True) -> Any:  # noqa: ARG002 - the library's signature
        if key in _SETTINGS:
            return super().reset(key, _SETTINGS[key], update)
        return super().reset(key) if key in _COUNTS else None


def open_cache(folder: Path, *, timeout_s: float) -> SteadyCache:
    """The writing side of the database in a folder that exists."""
    return SteadyCache(str(folder.absolute()), timeout=timeout_s, disk=BytesOnlyDisk, **_SETTINGS)
