"""A file that is built beside its target and takes its place at the end: whole, or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO

from runner.core.errors import StorageError
from runner.core.problem import Problem


def open_beside(path: Path) -> tuple[Path, IO[bytes]]:
    """A new file in the target's folder, under a name that nobody can guess."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
    return temporary, os.fdopen(handle, "wb")


def discard(temporary: Path, file: IO[bytes]) -> None:
    """Away with what was built aside. On a full disk closing fails too, which must not hide why we are here."""
    with suppress(OSError):
        file.close()
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> StorageError:
    is_in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
    reason = "a file is in the way" if is_in_the_way else error.strerror or error
    return StorageError(Problem("unwritable", f"'{path}' cannot be written: {reason}"))
