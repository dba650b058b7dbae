from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.core.errors import StorageError
from runner.store import lock
from runner.store.lock import FolderLock, one_at_a_time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that take no time; each is noted."""
    pauses: list[float] = []
    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append))
    return pauses


def refuse_with(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(_fd: int, _mode: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_many_share_a_lock_and_one_has_it_alone(tmp_path: Path) -> None:
    one, other = (FolderLock(tmp_path / "lock", wait_s=0) for _ in range(2))
    one.share()
    other.share()
    with pytest.raises(StorageError), one.alone():
        pass
    other.release()
    other.release()
    with one.alone(), pytest.raises(StorageError):
        FolderLock(tmp_path / "lock", wait_s=0).share()
    one.release()


def test_a_lock_is_waited_for_as_long_as_was_said(tmp_path: Path, clock: list[float]) -> None:
    holder, waiting = FolderLock(tmp_path / "lock", wait_s=0), FolderLock(tmp_path / "lock", wait_s=0.05)
    with holder.alone(), pytest.raises(StorageError):
        waiting.share()
    assert clock == [0.01] * 5 or clock == [0.01] * 6
    holder.release()


def test_a_lock_that_comes_free_while_waiting_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, waiting = FolderLock(tmp_path / "lock", wait_s=0), FolderLock(tmp_path / "lock", wait_s=1)
    held = holder.alone()
    held.__enter__()
    free: Callable[[float], None] = lambda _seconds: holder.release()  # noqa: E731
    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=free))
    waiting.share()
    waiting.release()


def test_where_a_lock_file_cannot_be_made_nothing_is_held(tmp_path: Path) -> None:
    one = FolderLock(tmp_path / "missing" / "lock", wait_s=0)
    one.share()
    with one.alone():
        pass
    one.release()


def test_where_locks_do_not_work_nothing_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_with(monkeypatch, errno.ENOLCK)
    one = FolderLock(tmp_path / "lock", wait_s=0)
    one.share()
    one.release()


def test_where_locks_do_not_exist_nothing_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    one = FolderLock(tmp_path / "lock", wait_s=0)
    one.share()
    one.release()


def test_one_at_a_time_passes_after_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_with(monkeypatch, errno.EAGAIN)
    with one_at_a_time(tmp_path, wait_s=0):
        pass
    with one_at_a_time(tmp_path / "missing" / "lock", wait_s=0):
        pass


def test_one_at_a_time_keeps_threads_apart(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def pass_through() -> None:
        for _ in range(20):
            with one_at_a_time(tmp_path, wait_s=30):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=pass_through) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
