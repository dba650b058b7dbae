"""`runner cache export`, `import` and `gc`: what carries the store elsewhere, or takes out of it."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from runner.app.cache_use import Used, used_by
from runner.app.looking import LOCAL_CACHE
from runner.core.errors import FileError, StorageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.store.archive import ArchivedEntry, read_archive, write_archive
from runner.store.entry import DamagedEntry, decode_entry
from runner.store.layers import SET_ASIDE
from runner.store.local import BATCH, LocalStore
from runner.store.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Carried:
    """What `export` wrote or `import` took over. `passed_over` are damaged answers of the store, or those that it had."""

    answers: int
    passed_over: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What `gc` took out, or would with `--dry-run`; `notes` say why the use by a workflow is not fully known."""

    removed: int
    kept: int
    removed_bytes: int
    notes: tuple[str, ...] = ()


def export_cache(root: Path, target: Path, workflows: Sequence[Path] = ()) -> Carried:
    """All whole answers received here, or those that some workflows use, as one file. Raises RunnerError."""
    used = used_by(root, workflows)
    left_out = 0

    def entries(store: LocalStore | MemoryStore, keys: Sequence[str]) -> Iterator[ArchivedEntry]:
        nonlocal left_out
        for key, data in _in_order(store, keys):
            if _is_whole(key, data):
                yield ArchivedEntry(key, data)
            else:
                left_out += 1

    with _looked_into(root) as store:
        keys = [key for key, _ in store.scan() if not key.startswith(SET_ASIDE) and (not workflows or key in used.keys)]
        aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        try:
            with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                count = write_archive(file, entries(store, sorted(keys)))
            aside.replace(target)
        except OSError as error:
            raise StorageError(_unwritable(target, error)) from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    return Carried(count, left_out, target.stat().st_size)


def import_cache(root: Path, source: Path, *, is_dry: bool = False) -> Carried:
    """Take over the answers of an archive that the store does not have. All of it is proved before any of it is used.

    Nobody else may have the store open meanwhile. Raises RunnerError.
    """
    try:
        size = _size_of_file(source)
        for _ in read_archive(source):
            pass
        if is_dry and not (root / LOCAL_CACHE).is_dir():
            return Carried(sum(1 for _ in read_archive(source)), 0, size)
        with _opened(root) as store, store.exclusive():
            taken = passed_over = 0
            entries = read_archive(source)
            while batch := {entry.key: entry.data for entry in islice(entries, BATCH)}:
                there = store.get_many(list(batch))
                new = {key: data for key, data in batch.items() if not _is_whole(key, there.get(key, b""))}
                taken += len(new)
                passed_over += len(batch) - len(new)
                if new and not is_dry:
                    store.put_many(new)
    except OSError as error:
        raise FileError(_unreadable(source, error)) from error
    return Carried(taken, passed_over, size)


def collect_garbage(
    root: Path,
    *,
    now: float,
    older_than_s: float | None = None,
    workflows: Sequence[Path] = (),
    is_dry: bool = False,
) -> Collected:
    """Take out damaged answers and, if anything is said, those that are old and that no named workflow uses.

    Nobody else may have the store open meanwhile. Raises RunnerError.
    """
    used = used_by(root, workflows)
    if not (root / LOCAL_CACHE).is_dir():
        return Collected(0, 0, 0, used.notes)
    is_choosing = bool(workflows) or older_than_s is not None
    before = now if older_than_s is None else now - older_than_s
    out: list[str] = []
    kept = removed_bytes = 0
    with _opened(root) as store, store.exclusive():
        for key, data in store.scan():
            if _is_garbage(key, data, before, used) if is_choosing else not _is_whole(key, data):
                out.append(key)
                removed_bytes += len(data)
            else:
                kept += 1
        if out and not is_dry:
            store.delete(out)
            store.compact()
    return Collected(len(out), kept, removed_bytes, used.notes)


def _is_garbage(key: str, data: bytes, before: float, used: Used) -> bool:
    try:
        answer = decode_entry(key, data)
    except DamagedEntry:
        return True
    return answer.received_at < before and key not in used.keys


def _is_whole(key: str, data: bytes) -> bool:
    try:
        decode_entry(key, data)
    except DamagedEntry:
        return False
    return True


def _in_order(store: LocalStore | MemoryStore, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    rest = iter(keys)
    while some := list(islice(rest, BATCH)):
        found = store.get_many(some)
        yield from ((key, found[key]) for key in some if key in found)


@contextmanager
def _looked_into(root: Path) -> Iterator[LocalStore | MemoryStore]:
    """The store for reading: where there is none, none is made."""
    if not (root / LOCAL_CACHE).is_dir():
        yield MemoryStore()
        return
    with _opened(root) as store:
        yield store


def _size_of_file(path: Path) -> int:
    """Raises FileError for what is no file: a pipe would be waited for, and an archive is read twice."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise FileError(Problem("bad-archive", f"{path} cannot be read: it is {kind}"))
    return found.st_size


@contextmanager
def _opened(root: Path) -> Iterator[LocalStore]:
    store = LocalStore(root / LOCAL_CACHE)
    try:
        yield store
    finally:
        store.close()


def _unwritable(path: Path, error: OSError) -> Problem:
    return Problem("export-unwritable", f"{path} cannot be written: {error.strerror or error}")


def _unreadable(path: Path, error: OSError) -> Problem:
    return Problem("bad-archive", f"{path} cannot be read: {error.strerror or error}")
