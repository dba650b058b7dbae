"""Who asks which question now, among the processes of a machine that share a store: a small database beside it.

Nothing in it outlives its owners, so it need not survive a power cut. A lease ends when its owner gives it up, when
its process is gone (after kill -9, say), or when the owner was not heard of for a while: an owner counts its beats,
and who waits counts the time between two of them by its own clock. Nobody's time of day is compared.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.core.frozen import dataclass
from runner.store.lock import one_at_a_time
from runner.store.process import Process, has_ended, this_process
from runner.store.trouble import told

LEASES: Final = "leases-1.db"
LEASE_S: Final = 30.0
"""How long an owner of whom nothing is heard keeps what it claimed."""
LONGEST_LOOK_S: Final = 2.0
"""What a pause between two looks counts at most: a waiter that was stopped learns nothing about others by it."""

_LEFT: Final[set[str]] = set()
"""Owners of this process who have ended, and could not write so."""
_BATCH = 250
_TABLES = (
    "CREATE TABLE lease (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE owner (id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL,"
        " beat INTEGER NOT NULL) WITHOUT ROWID"
    ),
)


@dataclass(frozen=True, slots=True)
class _Owner:
    id: str
    process: Process
    beat: int


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last beat that was heard of an owner, how long ago, and when that was looked at."""

    beat: int
    silent_s: float
    looked_at: float


class LocalLeases:
    """Fills `core.ports.Leases` in the folder of a store. Made without touching the disk; usable from any thread."""

    def __init__(
        self,
        folder: Path,
        *,
        wait_s: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
        has_ended: Callable[[Process], bool] = has_ended,
    ) -> None:
        self._folder = folder
        self._wait_s = wait_s
        self._monotonic = monotonic
        self._has_ended = has_ended
        self._id = secrets.token_hex(8)
        self._using = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._heard: dict[str, _Heard] = {}
        self._refused: set[str] = set()

    def claim(self, keys: Sequence[str], *, release: Iterable[str] = ()) -> set[str]:
        """Give up what is released, and take what nobody else has; which of the keys are ours now."""
        released = [(key, self._id) for key in release]
        with self._using, told(self._folder):
            database = self._open()
            # What was refused is looked at first: who only waits keeps nobody from writing.
            held = self._held(database, [key for key in keys if key in self._refused])[0]
            wanted = [key for key in keys if key not in held]
            if not wanted and not released:
                return set()
            database.execute("BEGIN IMMEDIATE")
            try:
                database.executemany("DELETE FROM lease WHERE key = ? AND owner = ?", released)
                granted = self._take(database, wanted)
                database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                raise
            self._refused.difference_update(granted)
            self._refused.update(key for key in wanted if key not in granted)
            return granted

    def renew(self) -> None:
        """Let others know that this owner is there."""
        with self._using, told(self._folder):
            database = self._open()
            if not database.execute("UPDATE owner SET beat = beat + 1 WHERE id = ?", (self._id,)).rowcount:
                self._enter(database)  # others took it for gone; what it had may be theirs now

    def close(self) -> None:
        """Give up everything; may be repeated. What cannot be written is left for other processes to find out."""
        with self._using, suppress(sqlite3.Error):
            database, self._connection = self._connection, None
            if database is None:
                return
            _LEFT.add(self._id)  # a disk that is full or broken must not keep this process from asking again
            try:
                self._forget(database, self._id)
            finally:
                database.close()
            _LEFT.discard(self._id)

    # Within a transaction

    def _take(self, database: sqlite3.Connection, keys: Sequence[str]) -> set[str]:
        if not keys:
            return set()
        self._enter(database)
        granted = self._insert(database, keys)
        rest = [key for key in keys if key not in granted]
        if rest:
            held, over = self._held(database, rest)
            for owner in over:
                self._evict(database, owner)
            granted |= self._insert(database, [key for key in rest if key not in held])
        return granted

    def _enter(self, database: sqlite3.Connection) -> None:
        """Say who claims. Whoever was taken for gone comes back with another beat than it had."""
        values = (self._id, self._process.host, self._process.pid, self._process.started, secrets.randbits(48))
        database.execute("INSERT INTO owner VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values)

    def _insert(self, database: sqlite3.Connection, keys: Sequence[str]) -> set[str]:
        """Those that were free, ours already, or of somebody who has left."""
        insert = (
            "INSERT INTO lease VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET owner = excluded.owner"
            " WHERE owner = excluded.owner OR owner NOT IN (SELECT id FROM owner)"
        )
        return {key for key in keys if database.execute(insert, (key, self._id)).rowcount == 1}

    def _held(self, database: sqlite3.Connection, keys: Sequence[str]) -> tuple[set[str], set[_Owner]]:
        """The keys that others have, and owners who are gone: what these had is free."""
        held: dict[str, _Owner] = {}
        for start in range(0, len(keys), _BATCH):
            some = list(keys[start : start + _BATCH])
            marks = ",".join("?" * len(some))
            select = (
                "SELECT key, id, host, pid, started, beat FROM lease JOIN owner ON owner.id = lease.owner"  # noqa: S608 - no values in the text
                f" WHERE key IN ({marks}) AND id <> ?"
            )
            for key, owner, host, pid, started, beat in database.execute(select, (*some, self._id)):
                held[key] = _Owner(owner, Process(host, pid, started), beat)
        over = {owner for owner in set(held.values()) if self._is_over(owner)}
        return {key for key, owner in held.items() if owner not in over}, over

    def _is_over(self, owner: _Owner) -> bool:
        now = self._monotonic()
        heard = self._heard.get(owner.id)
        if heard is None or heard.beat != owner.beat:
            heard = _Heard(owner.beat, 0.0, now)
        silent_s = heard.silent_s + min(now - heard.looked_at, LONGEST_LOOK_S)
        self._heard[owner.id] = _Heard(owner.beat, silent_s, now)
        return silent_s >= LEASE_S or owner.id in _LEFT or self._has_ended(owner.process)

    def _evict(self, database: sqlite3.Connection, owner: _Owner) -> None:
        self._forget(database, owner.id)
        del self._heard[owner.id]

    def _forget(self, database: sqlite3.Connection, owner: str) -> None:
        database.execute("DELETE FROM owner WHERE id = ?", (owner,))
        database.execute("DELETE FROM lease WHERE owner = ?", (owner,))

    # The file

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            with one_at_a_time(self._folder / "open.lock", wait_s=self._wait_s):
                self._connection = self._connect()
            self._process = this_process()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        """The database, made anew where the file is none of ours: all that is lost is who asks what."""
        path = self._folder / LEASES
        if not path.is_symlink():
            connection = _try_to_open(path, self._wait_s)
            if connection is not None:
                return connection
        for name in (LEASES, f"{LEASES}-wal", f"{LEASES}-shm"):
            (self._folder / name).unlink(missing_ok=True)
        connection = _try_to_open(path, self._wait_s)
        if connection is None:
            raise sqlite3.DatabaseError("it changes while it is made")
        return connection


def _try_to_open(path: Path, wait_s: float) -> sqlite3.Connection | None:
    """A connection to a database that holds our tables and nothing else, else None."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("trusted_schema = OFF", "journal_mode = WAL", "synchronous = OFF"):
            connection.execute(f"PRAGMA {pragma}").close()
        if not _parts(connection):
            for table in _TABLES:
                connection.execute(table)
        if _parts(connection) == _TABLES:
            return connection
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError:
        pass  # no database at all, or a damaged one
    connection.close()
    return None


def _parts(connection: sqlite3.Connection) -> tuple[str, ...]:
    return tuple(sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master ORDER BY name"))
