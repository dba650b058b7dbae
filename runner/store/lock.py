"""A lock on a folder that ends with the process: many hold it together, or one alone."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import StorageError
from runner.store.trouble import busy

try:
    import fcntl
except ImportError:  # pragma: no cover - systems without flock: runs are not kept apart there
    fcntl = None  # type: ignore[assignment]

_PAUSE_S = 0.01
_REFUSED = frozenset({errno.EACCES, errno.EAGAIN})


class FolderLock:
    """Held by everyone who has the folder open; `alone` waits for no one and fails while others hold it.

    Where a lock file cannot be made (a read-only folder) or locked (some network folders) nothing is held.
    """

    def __init__(self, path: Path, *, wait_s: float) -> None:
        self._path = path
        self._wait_s = wait_s
        self._fd = _open_lock_file(path)

    def share(self) -> None:
        """Raises StorageError when somebody holds the folder alone for longer than the wait."""
        if not _wait_for(self._fd, is_shared=True, wait_s=self._wait_s):
            self.release()
            raise StorageError(busy(self._path.parent))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else has the folder open. Raises StorageError when somebody has."""
        if not _wait_for(self._fd, is_shared=False, wait_s=0):
            # A refused change of the lock may have dropped the shared one.
            self.share()
            raise StorageError(busy(self._path.parent))
        try:
            yield
        finally:
            self.share()

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@contextmanager
def one_at_a_time(path: Path, *, wait_s: float) -> Iterator[None]:
    """Processes pass one by one as far as locks work; after the wait a process passes all the same.

    `path` is a lock file, or a folder that exists.
    """
    fd = _open_lock_file(path)
    try:
        _wait_for(fd, is_shared=False, wait_s=wait_s)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _open_lock_file(path: Path) -> int | None:
    if path.is_dir():
        return os.open(path, os.O_RDONLY)
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            return os.open(path, flags, 0o600)
        except OSError:
            continue
    return None


def _wait_for(fd: int | None, *, is_shared: bool, wait_s: float) -> bool:
    """Whether the lock was had, or cannot exist here."""
    if fd is None or fcntl is None:
        return True
    mode = (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, mode)
            return True
        except OSError as error:
            if error.errno not in _REFUSED:
                return True
        if time.monotonic() >= until:
            return False
        time.sleep(_PAUSE_S)
