"""A declarative prompt runner: typed, cached, reproducible answers from YAML workflows.

The public names, loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.app.public import arun as arun
    from runner.app.public import check as check
    from runner.app.public import load as load
    from runner.app.public import run as run
    from runner.app.types import CheckReport as CheckReport
    from runner.app.types import RunResult as RunResult
    from runner.core.errors import RunnerError as RunnerError
    from runner.core.problem import Problem as Problem
    from runner.record.spans import Spans as Spans
    from runner.record.summary import RunSummary as RunSummary

_PLACES = {
    "CheckReport": "runner.app.types",
    "Problem": "runner.core.problem",
    "RunResult": "runner.app.types",
    "RunSummary": "runner.record.summary",
    "RunnerError": "runner.core.errors",
    "Spans": "runner.record.spans",
    "arun": "runner.app.public",
    "check": "runner.app.public",
    "load": "runner.app.public",
    "run": "runner.app.public",
}

__all__ = ["CheckReport", "Problem", "RunResult", "RunSummary", "RunnerError", "Spans", "arun", "check", "load", "run"]


def __getattr__(name: str) -> object:
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'runner' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
