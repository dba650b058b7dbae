from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.core.frozen import replace
from runner.store import process
from runner.store.process import Process, has_ended, this_process


def child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **system: Any) -> None:
    """As on a system that shows no processes as files."""
    monkeypatch.setattr(process, "_PROC", tmp_path)
    monkeypatch.setattr(process, "os", SimpleNamespace(getpid=os.getpid, **system))


def test_this_process_runs() -> None:
    assert not has_ended(this_process())


def test_a_process_that_was_killed_has_ended_even_before_its_parent_has_looked() -> None:
    running = child()
    seen = replace(this_process(), pid=running.pid, started=process._stat(running.pid)[1])  # type: ignore[index]
    assert not has_ended(seen)
    running.kill()
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and nobody has taken note of it yet
    assert has_ended(seen)
    running.communicate()
    assert has_ended(seen)


def test_another_process_of_the_same_number_is_not_the_one() -> None:
    assert has_ended(replace(this_process(), started="1"))


def test_of_another_machine_nothing_is_certain() -> None:
    assert not has_ended(Process("elsewhere", 2**22 + 1, "1"))


def test_without_proc_a_process_is_asked_by_its_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    running = child()
    without_proc(monkeypatch, tmp_path, name="posix", kill=os.kill)
    seen = Process(process._host(), running.pid, "")
    assert not has_ended(seen)
    running.kill()
    running.communicate()
    assert has_ended(seen)
    assert this_process() == Process(process._host(), os.getpid(), "")


def test_a_process_of_another_user_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    without_proc(monkeypatch, tmp_path, name="posix", kill=refuse)
    assert not has_ended(Process(process._host(), 1, ""))


def test_no_signal_is_sent_where_it_would_end_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_proc(monkeypatch, tmp_path, name="nt")
    assert not has_ended(Process(process._host(), 1, ""))
