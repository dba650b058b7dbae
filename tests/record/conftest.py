from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.events import AttemptMade, RunStarted
from runner.core.outcome import Attempt, Source
from runner.record.folders import new_run_folder
from runner.record.journal import Journal


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / ".runner" / "runs"


@pytest.fixture
def write_run(runs: Path) -> Callable[..., str]:
    """Writes the journal of a run in which each place used a key, and gives the run's id."""

    def write(workflow: str, *places: tuple[str, str, str, dict[str, Any]], repair: int = 0) -> str:
        run, folder = new_run_folder(runs)
        journal = Journal(folder, now=lambda: 0.0)
        journal(RunStarted(run, workflow, f"workflows/{workflow}.yaml", {"ask": "scripted/parrot"}, "0.1.0"))
        for step, item, key, ingredients in places:
            journal(AttemptMade(step, item, Attempt(key, Source.FRESH, repair=repair), ingredients))
        journal.close()
        return run

    return write
