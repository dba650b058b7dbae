"""Every call that the store makes to its databases fails once, one after the other: one story, no half entry, no lie."""

from __future__ import annotations

import functools
import sqlite3
from dataclasses import dataclass
from typing import Any

import pytest

from runner.app import api
from runner.cli.main import main

FLOW = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    prompt: "tag {{ item.id }}"
    fields: {word: string}
outputs:
  count: steps.tag.outputs | length
"""
FAULTS = {
    "ENOSPC": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "EIO": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "EROFS": (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
}


@dataclass
class Fault:
    """Fails at one call, and counts them."""

    code: int
    said: str
    at: int
    lasts: bool
    calls: int = 0

    def pass_by(self) -> None:
        self.calls += 1
        if self.calls == self.at or (self.lasts and self.calls > self.at):
            error = sqlite3.OperationalError(self.said)
            error.sqlite_errorcode = self.code  # as the library sets it
            raise error

    @property
    def was_met(self) -> bool:
        return self.calls >= self.at


class Failing(sqlite3.Connection):
    """A connection to a database on a disk that fails."""

    fault: Fault

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self.fault.pass_by()
        return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        self.fault.pass_by()
        return super().executemany(*args)


@pytest.fixture
def lane(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    project.workflow(FLOW)
    project.write("rows.jsonl", "".join(f'{{"id": "r{number}"}}\n' for number in range(2)))
    project.server.respond = lambda *_: project.Answer(text='{"word": "fine"}')
    monkeypatch.chdir(project.root)
    return project


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lasts"), [(name, lasts) for name in FAULTS for lasts in (False, True)])
def test_a_store_that_fails_at_any_call_gives_one_story_and_keeps_no_half(
    lane: Any, name: str, lasts: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = 0
    while True:
        at += 1
        lane.server.forget()
        lane.write("flow.yaml", FLOW.replace("tag {{", f"{name} {lasts} {at} {{{{"))  # new questions each time
        fault = Fault(*FAULTS[name], at, lasts)
        failing = type("FailingNow", (Failing,), {"fault": fault})
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=failing))
            code = main(["run", "flow.yaml", "--no-progress"])
        said = capsys.readouterr().err
        assert code in (0, 3), said
        assert "Traceback" not in said
        assert "defect" not in said
        assert max(lane.server.by_prompt.values(), default=0) <= 1
        if code == 3:
            assert api.cache_verify(lane.root).doubts == ()
            # What was received and could not be kept is asked again; nothing else is wrong.
            assert main(["run", "flow.yaml", "--no-progress", "-q"]) == 0
            capsys.readouterr()
        if not fault.was_met:
            break
    assert at > 20
