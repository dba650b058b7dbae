"""The state of a run in a file, through the Python interface."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app.metrics_file import MetricsFile
from runner.core.errors import FileError, StorageError
from runner.core.events import RunStarted
from runner.core.problem import Problem

FLOW = "format: 1\nsteps: {a: {model: box/small, prompt: ask}}\n"


def test_a_run_keeps_its_metrics_in_a_file(project: Any) -> None:
    project.workflow(FLOW)
    path = project.root / "run.prom"
    assert project.run(metrics=path).exit_code == 0
    told = path.read_text()
    assert 'runner_run_info{run="r1",workflow="flow",status="done"} 1\n' in told
    assert 'runner_calls_total{step="a"} 1\n' in told
    assert 'runner_requests_in_flight{model="box/small"} 0\n' in told


def test_arun_does_too(project: Any) -> None:
    path = project.root / "run.prom"
    asyncio.run(runner.arun(project.workflow(FLOW), metrics=path))
    assert 'runner_calls_total{step="a"} 1\n' in path.read_text()


def test_a_file_that_the_workflow_reads_is_not_written_over(project: Any) -> None:
    path = project.workflow(FLOW)
    with pytest.raises(FileError) as caught:
        runner.run(path, metrics=path)
    assert caught.value.problems[0].code == "overwrites"


def test_trouble_with_the_file_is_a_warning(project: Any) -> None:
    project.workflow(FLOW)
    (project.root / "file").touch()
    with pytest.warns(RuntimeWarning, match="metrics: .* cannot be written: a file is in the way"):
        assert project.run(metrics=project.root / "file" / "run.prom").exit_code == 0


def test_how_long_a_run_took_stands_still_when_it_has_ended(project: Any) -> None:
    project.workflow(FLOW)
    now = iter(range(100))
    file = MetricsFile(project.root / "run.prom", pytest.fail, now=lambda: float(next(now)))
    sinks = [file.sink(), file.sink()]
    runner.run(project.root / "flow.yaml", sinks=sinks[:1])
    file.write()
    first = (project.root / "run.prom").read_text()
    file.write()
    assert (project.root / "run.prom").read_text() == first
    assert "runner_run_seconds 1\n" in first, "a run that never began is not told"


def test_trouble_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []

    def refuse(_path: Path, _text: str) -> None:
        raise StorageError(Problem("unwritable", "no space"))

    file = MetricsFile(tmp_path / "run.prom", told.append, write=refuse)
    file.sink()(RunStarted("r1", "w", "w.yaml", {}, "0.1.0"))
    file.write()
    file.write()
    assert told == ["no space"]
