"""Every answer received here: one diskcache database in a private folder.

Reading goes through `rows.py`; the library itself is loaded at the first write. A committed answer survives the
death of the process; power loss may cost the last batch.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runner.core.errors import StorageError
from runner.store.lock import FolderLock, one_at_a_time
from runner.store.rows import DATABASE, Rows
from runner.store.trouble import explain, foreign, told

if TYPE_CHECKING:
    from runner.store.disk import SteadyCache

BATCH: Final = 256


class LocalStore:
    """Fills `core.ports.Store`. While it is open nobody else can have the folder alone.

    Opening makes the folder and costs little; `put_many({})` proves that answers can be kept, before one is paid for.
    Every method may be called from any thread.
    """

    def __init__(self, folder: Path, *, wait_s: float = 30.0) -> None:
        self._folder = folder
        self._wait_s = wait_s
        self._writing = threading.Lock()
        self._cache: SteadyCache | None = None
        with told(folder):
            _make_private(folder)
            self._lock = FolderLock(folder / "lock", wait_s=wait_s)
            self._lock.share()
        self._rows = Rows(folder)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Values by key. A row that is no plain bytes (poisoned) gives b"", which no entry can be."""
        return self._rows.get_many(keys)

    def put_many(self, entries: Mapping[str, bytes]) -> None:
        pairs = iter(entries.items())
        # At least one transaction, so that writing nothing still proves that the store can be written.
        batch = list(islice(pairs, BATCH))
        while True:
            with self._transaction() as cache:
                for key, value in batch:
                    cache.put(key, value)
            batch = list(islice(pairs, BATCH))
            if not batch:
                return

    def scan(self) -> Iterator[tuple[str, bytes]]:
        """All rows; of a poisoned one no bytes, and its number for a name if the key is no text."""
        return self._rows.scan()

    def delete(self, keys: Iterable[str]) -> None:
        with self._transaction() as cache:
            for key in keys:
                cache.delete(key)

    def compact(self) -> None:
        """Give the space of deleted entries back to the disk."""
        with self._writing, told(self._folder):
            if self._cache is not None:
                self._cache.compact()

    def exclusive(self) -> AbstractContextManager[None]:
        """For maintenance: nobody else has the store open. Raises StorageError when somebody has."""
        return self._lock.alone()

    def close(self) -> None:
        """Ends the connections and gives up the lock; may be repeated."""
        with self._writing:
            if self._cache is not None:
                self._cache.close()
                self._cache = None
        self._rows.close()
        self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[SteadyCache]:
        """One transaction. After any failure the connection is dropped: the library would stay inside the transaction."""
        with self._writing:
            try:
                cache = self._cache = self._cache or self._open()
                with cache.transact():
                    yield cache
            except Exception as error:
                if self._cache is not None:
                    with suppress(sqlite3.Error):
                        self._cache.close()
                told_error = self._explain(error)
                if told_error is None:
                    raise
                raise told_error from error

    def _open(self) -> SteadyCache:
        from runner.store.disk import open_cache

        path = self._folder / DATABASE
        with one_at_a_time(self._folder / "open.lock", wait_s=self._wait_s):
            with suppress(FileExistsError):
                # Made by us before the library does, so that nobody else may read it.
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _prove_writable(path)
            # The schema is looked at before the library works with it.
            with closing(Rows(self._folder)) as rows:
                rows.get_many([""])
            return open_cache(self._folder, timeout_s=self._wait_s)

    def _explain(self, error: Exception) -> StorageError | None:
        # The library says "timeout" for everything that keeps a transaction from beginning, and hides what it was.
        cause = error.__context__ if type(error).__name__ == "Timeout" else error
        if isinstance(cause, (OSError, sqlite3.Error)):
            return explain(self._folder, cause)
        return None


def _make_private(folder: Path) -> None:
    """The folder, only for its owner, ignored by git. Raises OSError, or StorageError for somebody else's."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    if _belongs_to_another(folder):
        raise StorageError(foreign(folder))
    ignore = folder / ".gitignore"
    # A folder that cannot be written may still be read.
    with suppress(OSError):
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def _belongs_to_another(folder: Path) -> bool:
    own = os.geteuid() if hasattr(os, "geteuid") else None
    return own is not None and any(status.st_uid != own for status in (folder.lstat(), folder.stat()))


def _prove_writable(path: Path) -> None:
    """Raises OSError: the database would say only "unable to open"."""
    os.close(os.open(path, os.O_RDWR))
