"""`run --metrics FILE`."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest

from runner.app.metrics_file import MetricsFile
from runner.cli import files
from runner.cli.console import Console
from runner.cli.settings import Look
from runner.cli.watching import metrics_file
from runner.core.errors import StorageError
from runner.core.events import RunStarted, StepExpected
from runner.core.problem import Problem
from runner.core.traffic import Traffic

Cli = Callable[..., Any]
STARTED = RunStarted("r1", "w", "w.yaml", {"tag": "a/b"}, "0.1.0")


def kept(folder: Path, err: io.StringIO) -> MetricsFile:
    console = Console(Look(), stdout=io.StringIO(), stderr=err, environ={"ACME_API_KEY": "secret-value-7"})
    return metrics_file(folder / "run.prom", console)


def test_a_run_leaves_its_metrics(cli: Cli, app: Any, tmp_path: Path) -> None:
    assert cli("run", "hello.yaml", "--metrics", "run.prom").code == 0
    told = (tmp_path / "run.prom").read_text()
    assert 'runner_run_info{run="r1",workflow="hello",status="done"} 1\n' in told
    assert 'runner_items_ended_total{step="greet",outcome="done"} 1\n' in told
    assert app.options.writes == {"--metrics": Path("run.prom")}
    assert [path.name for path in tmp_path.iterdir()] == ["run.prom"]


def test_requests_under_way_are_seen_where_the_run_says(tmp_path: Path) -> None:
    metrics = kept(tmp_path, io.StringIO())
    metrics.sink()(STARTED)
    metrics.watch(lambda: (Traffic("a/b", 5),))
    metrics.write()
    assert 'runner_requests_in_flight{model="a/b"} 5\n' in (tmp_path / "run.prom").read_text()


def test_a_model_that_two_runs_ask_is_one(tmp_path: Path) -> None:
    metrics = kept(tmp_path, io.StringIO())
    for run in ("r1", "r2"):
        metrics.sink()(replace(STARTED, run=run))
        metrics.watch(lambda: (Traffic("a/b", 5, waiting=1),))
    metrics.write()
    told = (tmp_path / "run.prom").read_text()
    assert 'runner_requests_in_flight{model="a/b"} 10\n' in told
    assert 'runner_requests_waiting{model="a/b"} 2\n' in told


def test_the_file_is_renewed_while_the_run_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Signal()
    with MetricsFile(
        tmp_path / "run.prom", pytest.fail, write=lambda _path, _text: written.set(), every_s=0.001
    ) as metrics:
        metrics.sink()(STARTED)
        assert written.wait(60)


def test_a_run_that_never_began_leaves_the_file_of_the_last_one(cli: Cli, app: Any, tmp_path: Path) -> None:
    (tmp_path / "run.prom").write_text("of the last run")
    with kept(tmp_path, io.StringIO()):
        pass
    assert (tmp_path / "run.prom").read_text() == "of the last run"


def test_no_secret_is_written(tmp_path: Path) -> None:
    metrics = kept(tmp_path, io.StringIO())
    sink = metrics.sink()
    sink(STARTED)
    sink(StepExpected("secret-value-7", 1, "a/b"))
    metrics.write()
    told = (tmp_path / "run.prom").read_text()
    assert "runner_items{step=" in told
    assert "secret-value-7" not in told


def test_a_file_that_cannot_be_written_is_told_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, text: str) -> None:
        raise StorageError(Problem("unwritable-file", "run.prom cannot be written: no space left on device"))

    monkeypatch.setattr(files, "write_whole", refuse)
    err = io.StringIO()
    metrics = kept(tmp_path, err)
    metrics.sink()(STARTED)
    metrics.write()
    metrics.write()
    assert err.getvalue() == "--metrics: run.prom cannot be written: no space left on device\n"


def test_a_place_that_cannot_be_written_is_refused_first(cli: Cli, app: Any) -> None:
    said = cli("run", "x.yaml", "--metrics", "no/run.prom")
    assert (said.code, said.err) == (2, "unwritable-file: --metrics: there is no folder 'no'\n")
    assert app.options is None


def test_two_options_cannot_write_one_file(cli: Cli, app: Any) -> None:
    said = cli("run", "x.yaml", "--metrics", "a.json", "-o", "./a.json")
    assert (said.code, said.err) == (
        2,
        "usage: -o and --metrics name the same file\n  fix:      give them two names\n",
    )
