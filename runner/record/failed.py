"""Which items failed when a workflow last told of them, read from the journals of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from runner.core.aside import Aside, InMemory, Table
from runner.core.canonical import Json
from runner.core.outcome import UNASKED_KINDS, FailureKind, Status
from runner.record.folders import JOURNAL, list_runs
from runner.record.journal import read_journal

MAX_RUNS: Final = 20
_TELLING: Final = (b'"started"', b'"outcome"', b'"finished"')
_SAYS_NOTHING: Final = UNASKED_KINDS | {FailureKind.NEEDS_CALL, FailureKind.NOT_SELECTED}
"""What was not asked neither failed nor came out well: an older run knows."""


def last_failed(runs: Path, workflow: str, aside: Aside | None = None) -> dict[str, set[str]] | None:
    """By step the items whose last outcome was a failure, "" for a step that runs once; None without any run.

    The newest run is read, and older ones only as far as it was cut short, at most 20.
    """
    table = (aside or InMemory()).table()
    failed: dict[str, set[str]] = {}
    read = 0
    for run in reversed(list_runs(runs)):
        records = read_journal(runs / run / JOURNAL, _TELLING)
        if next(records, {}).get("workflow") != workflow:
            continue
        read += 1
        if _fold(records, failed, table) or read == MAX_RUNS:
            break
    return failed if read else None


def _fold(records: Iterator[Mapping[str, Json]], failed: dict[str, set[str]], told: Table) -> bool:
    """Note the outcomes that no newer run told of; whether this run told of every item."""
    has_ended, is_whole = False, True
    for record in records:
        if record.get("event") == "finished":
            has_ended = record.get("status") != "interrupted"
        if record.get("event") != "outcome":
            continue
        step, item = str(record.get("step")), str(record.get("item"))
        failure = record.get("failure") or {}
        if failure.get("kind") in _SAYS_NOTHING:
            is_whole = False
            continue
        spelled = f"{step}\0{item}"
        if told.get(spelled) is not None:
            continue
        told[spelled] = ""
        if record.get("status") in (Status.FAILED, Status.BLOCKED):
            failed.setdefault(step, set()).add(item)
    return has_ended and is_whole
