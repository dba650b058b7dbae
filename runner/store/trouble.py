"""What went wrong with a file or a database, in words the user can act on."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.problem import Problem

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_WORDS = ("disk is full",)
_IN_THE_WAY = frozenset(map(os.strerror, (errno.EEXIST, errno.ENOTDIR)))
_BUSY_WORDS = ("is locked", "is busy")
_UNWRITABLE_WORDS = ("readonly", "unable to open", "disk i/o error", "authoriz")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system says about `path` into a StorageError."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise explain(path, error) from error


def explain(path: Path, error: BaseException) -> StorageError:
    """The one problem that fits what was raised."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    words = said.lower()
    if (isinstance(error, OSError) and error.errno in _FULL) or _has(words, _FULL_WORDS):
        return StorageError(full(path))
    if isinstance(error, OSError) and said in _IN_THE_WAY:
        return StorageError(unwritable(path, "a file is in the way"))
    if isinstance(error, OSError):
        return StorageError(unwritable(path, said))
    if _has(words, _BUSY_WORDS):
        return StorageError(busy(path))
    if _has(words, _UNWRITABLE_WORDS):
        return StorageError(unwritable(path, said))
    return StorageError(damaged(path, said))


def unwritable(path: Path, said: str) -> Problem:
    return Problem(
        code="cache-unwritable",
        message=f"the cache in {path} cannot be used: {said}",
        fix="make the folder readable and writable for you, or run with --no-cache",
    )


def full(path: Path) -> Problem:
    return Problem(
        code="disk-full",
        message=f"no space is left for the cache in {path}",
        fix="free some space and run again; what was stored before is kept",
    )


def busy(path: Path) -> Problem:
    return Problem(
        code="cache-busy",
        message=f"the cache in {path} is held by another command",
        fix="wait until it has ended, then run again",
    )


def damaged(path: Path, said: str) -> Problem:
    return Problem(
        code="cache-damaged",
        message=f"the cache database in {path} is damaged: {said}",
        fix="move the folder away and run again; recordings are not affected",
    )


def foreign(path: Path) -> Problem:
    return Problem(
        code="cache-owner",
        message=f"the cache in {path} belongs to another user",
        expected="a folder of your own, since answers are read from it",
        fix="move it away and run again, or make it yours with chown",
    )


def _has(words: str, parts: tuple[str, ...]) -> bool:
    return any(part in words for part in parts)
