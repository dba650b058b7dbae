"""The Python interface: `import runner; runner.run("workflows/triage.yaml", inputs={...})`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path

from runner.app import api
from runner.app.types import CheckReport, RunOptions, RunResult
from runner.core.budget import Limit
from runner.core.canonical import Json
from runner.core.errors import FileError
from runner.core.ports import EventSink
from runner.core.workflow import Workflow

Name = str | PathLike[str]


def load(path: Name) -> Workflow:
    """Read a workflow file with its includes. Raises FileError with all mistakes of its structure."""
    from runner.config.load import load_workflow

    loaded = load_workflow(Path(path))
    errors = [replace(problem, edits=()) for problem in loaded.problems if problem.is_error]
    if errors or loaded.workflow is None:
        raise FileError(errors, loaded.sources)
    return loaded.workflow


def check(*paths: Name, models: Mapping[str, str] | None = None) -> CheckReport:
    """All findings of some workflow files. Nothing is called, no key is read."""
    return api.check([Path(path) for path in paths], models=models)


def run(
    path: Name,
    *,
    inputs: Mapping[str, Json] | None = None,
    data: Mapping[str, Name] | None = None,
    models: Mapping[str, str] | None = None,
    offline: bool = False,
    refresh: Collection[str] = (),
    select: Sequence[str] = (),
    locked: bool = False,
    record: bool = False,
    use_cache: bool = True,
    fail_fast: bool = False,
    parallel: int = 8,
    trust: Collection[str] = (),
    max_cost: float | None = None,
    consent: bool = False,
    metrics: Name | None = None,
    sinks: Sequence[EventSink] = (),
) -> RunResult:
    """Run a workflow and give its outputs, exit code and summary.

    `inputs` are JSON values; `models` maps an alias to `provider/model`; `data` maps a source to a file; `refresh`
    names steps to ask again ("*" for all), `select` the steps that may be asked; with `locked` all
    must be as `runner.lock` says; `sinks` are called with every event; `metrics` names a file that keeps the state
    of the run for Prometheus. The run stops where it has spent
    `max_cost` US dollars; without it, one that may cost more than 1 USD (or the budget of the files), or something that
    is not known, needs `consent`. Mistakes that are found before the first call raise RunnerError; what goes wrong
    later is in the result (`is_good`, `exit_code`, `problems`).
    """
    options = _options(locals())
    with _watched(metrics, options, sinks) as (options, sinks):
        return api.run(Path(path), options, sinks)


async def arun(
    path: Name,
    *,
    inputs: Mapping[str, Json] | None = None,
    data: Mapping[str, Name] | None = None,
    models: Mapping[str, str] | None = None,
    offline: bool = False,
    refresh: Collection[str] = (),
    select: Sequence[str] = (),
    locked: bool = False,
    record: bool = False,
    use_cache: bool = True,
    fail_fast: bool = False,
    parallel: int = 8,
    trust: Collection[str] = (),
    max_cost: float | None = None,
    consent: bool = False,
    metrics: Name | None = None,
    sinks: Sequence[EventSink] = (),
) -> RunResult:
    """`run` on the caller's event loop."""
    options = _options(locals())
    with _watched(metrics, options, sinks) as (options, sinks):
        return await api.arun(Path(path), options, sinks)


@contextmanager
def _watched(
    metrics: Name | None, options: RunOptions, sinks: Sequence[EventSink]
) -> Iterator[tuple[RunOptions, Sequence[EventSink]]]:
    """With the file that keeps how the run stands, if one is wanted."""
    if metrics is None:
        yield options, sinks
        return
    from warnings import warn

    from runner.app.metrics_file import MetricsFile

    path = Path(metrics)
    with MetricsFile(path, lambda reason: warn(f"metrics: {reason}", RuntimeWarning, stacklevel=2)) as file:
        yield replace(options, watch=file.watch, writes={"metrics": path}), (*sinks, file.sink())


def _options(given: Mapping[str, Json]) -> RunOptions:
    """The keyword arguments of `run` and `arun`, which are the same, as options."""
    return RunOptions(
        inputs=given["inputs"] or {},
        data={name: Path(file) for name, file in (given["data"] or {}).items()},
        models=given["models"] or {},
        is_offline=given["offline"],
        refresh=frozenset(given["refresh"]),
        select=tuple(given["select"]),
        is_locked=given["locked"],
        is_recording=given["record"],
        use_cache=given["use_cache"],
        is_fail_fast=given["fail_fast"],
        max_parallel=given["parallel"],
        trust=frozenset(given["trust"]),
        max_cost=None if given["max_cost"] is None else Limit(given["max_cost"], "max_cost"),
        has_consent=given["consent"],
    )
