"""Which process this is, and whether another one is certainly gone."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

from runner.core.frozen import dataclass

_PROC: Final = Path("/proc")
_GONE_STATES = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Process:
    """`host` names the machine and, on Linux, the space in which the number counts; `started` may be unknown ("")."""

    host: str
    pid: int
    started: str


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(_host(), pid, (_stat(pid) or ("", ""))[1])


def has_ended(process: Process) -> bool:
    """Whether it is certain that a process runs no more; of another machine's nothing is certain."""
    if process.host != _host():
        return False
    if _PROC.joinpath("self", "stat").exists():
        found = _stat(process.pid)
        return found is None or found[0] in _GONE_STATES or found[1] != process.started
    if os.name != "posix":
        return False  # a signal would end it there
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _host() -> str:
    """Two containers may call themselves the same and count their processes apart."""
    try:
        space = str((_PROC / "self" / "ns" / "pid").readlink())
    except OSError:
        space = ""
    return f"{platform.node()} {space}".strip()


def _stat(pid: int) -> tuple[str, str] | None:
    """State and time of start (since when the machine runs); None if there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return fields[0], fields[19]
