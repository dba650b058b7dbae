"""Files that the user names on the command line: read as text, written whole."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from runner.core.errors import FileError, StorageError, UsageError
from runner.core.problem import Problem, nearest

# Far beyond what a model reads; keeps a slip of the finger from filling the memory.
MOST_BYTES = 64 * 1024 * 1024


def read_text(path: Path, what: str) -> str:
    """The file as text. Raises FileError."""
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise FileError(Problem("too-large", f"{what}: {path} is larger than {MOST_BYTES // 2**20} MiB"))
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileError(Problem("missing-file", f"{what}: there is no file {path}", nearest=_beside(path))) from None
    except OSError as error:
        raise FileError(Problem("unreadable-file", f"{what}: {path} cannot be read: {_reason(error)}")) from None
    return decoded(data, f"{what}: {path}")


def _beside(path: Path) -> str:
    names = [one.name for one in path.parent.iterdir() if one.is_file()] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    return str(path.with_name(near)) if near else ""


def decoded(data: bytes, what: str) -> str:
    """UTF-8 text, with or without a byte-order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(Problem("not-text", f"{what} is not text in UTF-8")) from None


def read_stdin() -> bytes:
    """All of standard input; called only where the user wrote `-`."""
    if sys.stdin is None:
        raise UsageError(Problem("no-input", "'-' was given, but there is no standard input"))
    return sys.stdin.buffer.read()


def ensure_writable(path: Path, option: str = "-o") -> None:
    """Refuse a place that cannot be written before anything is called. Raises FileError."""
    if path.is_dir():
        raise FileError(Problem("unwritable-file", f"{option}: {path} is a folder"))
    if not path.parent.is_dir():
        raise FileError(Problem("unwritable-file", f"{option}: there is no folder '{path.parent}'"))
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FileError(Problem("unwritable-file", f"{option}: {path} cannot be written: no permission"))


def write_whole(path: Path, text: str) -> None:
    """Write beside and replace, so that the file is never half; links, pipes and devices are written as they are."""
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8")
            return
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(Problem("unwritable-file", f"{path} cannot be written: {_reason(error)}")) from None


def add_to(path: Path, text: str) -> None:
    """Write behind what is there. Raises StorageError."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(Problem("unwritable-file", f"{path} cannot be written: {_reason(error)}")) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
