"""The event loop of a run."""

from __future__ import annotations

import asyncio
import sys

import pytest
import uvloop

from runner.app.looping import run_in_loop


async def loop_in_use() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_a_run_takes_the_quick_loop() -> None:
    assert isinstance(run_in_loop(loop_in_use()), uvloop.Loop)


def test_a_run_takes_pythons_own_loop_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert not isinstance(run_in_loop(loop_in_use()), uvloop.Loop)
