"""What the commands and the Python interface call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.types import CheckReport, RunOptions, RunResult
from runner.core.canonical import Json
from runner.core.errors import FileError, RunnerError, UsageError
from runner.core.ports import EventSink
from runner.core.problem import Problem

if TYPE_CHECKING:
    from runner.app.cache_files import Carried, Collected
    from runner.app.cache_proving import Proof
    from runner.app.fixing import FixReport
    from runner.app.planning import OnCall, PlanReport, StepList
    from runner.app.session import Session
    from runner.core.answer import StoredAnswer
    from runner.record.command import CommandLine

INTERRUPTED = 130
DEFECT = 70


def check(
    paths: Sequence[Path],
    *,
    models: Mapping[str, str] | None = None,
    folders: Sequence[Path] = (),
    is_strict: bool = False,
) -> CheckReport:
    """All findings of workflow and suite files, without any call, network or key. What `fix` would repair has edits.

    `folders` are those that were searched for the files: where one holds a whole project, files that nothing uses are
    found too.
    """
    from runner.app.findings import look, mend

    found = look(paths, models or {}, {}, folders=folders, is_strict=is_strict)
    return found.report(mend(found).problems)


def fix(
    paths: Sequence[Path],
    *,
    models: Mapping[str, str] | None = None,
    folders: Sequence[Path] = (),
    is_strict: bool = False,
    is_writing: bool = True,
) -> FixReport:
    """Repair what is safe in these files and in those they name, and say what is left. Raises RunnerError."""
    from runner.app.fixing import fix as repair

    return repair(paths, models or {}, folders, is_strict=is_strict, is_writing=is_writing)


def run(path: Path, options: RunOptions, sinks: Sequence[EventSink] = ()) -> RunResult:
    """Run a workflow. Raises RunnerError before any call; what happens later is in the result.

    Stored answers are walked without an event loop; one is started only when a call is needed. The first interrupt
    stops new calls and waits for those in flight, the second ends at once (KeyboardInterrupt).
    """
    from runner.app.session import prepare

    session = prepare(path, options, sinks)
    with _abandoning(session):
        if not session.drive.replay():
            from runner.app.looping import run_in_loop

            _refuse_inside_a_loop()
            run_in_loop(_ask_interruptibly(session))
        return session.finish()


def _refuse_inside_a_loop() -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    message = "run was called inside a running event loop, which it would block"
    raise UsageError(Problem("running-loop", message, fix="await runner.arun(…)"))


async def arun(path: Path, options: RunOptions, sinks: Sequence[EventSink] = ()) -> RunResult:
    """`run` on the caller's loop. Cancelling it ends the run as an interrupt does."""
    import asyncio

    from runner.app.session import prepare

    session = await asyncio.to_thread(prepare, path, options, sinks)
    with _abandoning(session):
        if not await asyncio.to_thread(session.drive.replay):
            await session.ask()
        return await asyncio.to_thread(session.finish)


@contextmanager
def _abandoning(session: Session) -> Iterator[None]:
    """Closes a session's record when an error leaves the block."""
    try:
        yield
    except RunnerError as error:
        session.abandon(error.exit_code)
        raise
    except Exception:
        session.abandon(DEFECT)
        raise
    except BaseException:  # an interrupt, or the cancellation of the caller's task
        session.abandon(INTERRUPTED)
        raise


async def _ask_interruptibly(session: Session) -> None:
    """Handle SIGINT and SIGTERM: once to stop new calls, twice to end at once."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        if session.drive.is_interrupted:
            task.cancel()
        session.interrupt()

    handled = []
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, on_signal)
            handled.append(number)
        except (NotImplementedError, ValueError, RuntimeError):
            break  # not on this platform, or not in the main thread: the default handling stays
    try:
        await session.ask()
    except asyncio.CancelledError:
        if session.drive.is_interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def plan(path: Path, options: RunOptions, why: str | None = None, on_call: OnCall | None = None) -> PlanReport:
    """What a run would call, why, and what it would cost. Calls and writes nothing. Raises RunnerError."""
    from runner.app.planning import plan_workflow

    return plan_workflow(path, options, why, on_call)


def list_steps(path: Path, options: RunOptions) -> StepList:
    """The steps of a workflow with model, tags and description; no items, no stored answers. Raises RunnerError."""
    from runner.app.planning import list_steps as listed

    return listed(path, options)


# Looking around


def find_project_root(start: Path) -> Path:
    from runner.config.load import find_root

    return find_root(start)


def models() -> tuple[dict[str, Json], ...]:
    """The models that the catalogue and the project around the current folder list, each as a plain mapping.

    Raises FileError for a `runner.yaml` that is wrong.
    """
    from runner.app.listing import model_rows
    from runner.config.load import find_root, load_settings

    loaded = load_settings(find_root(Path.cwd()))
    if any(problem.is_error for problem in loaded.problems):
        raise FileError(loaded.problems, loaded.sources)
    return model_rows(os.environ, loaded.settings)


def pull_weights(name: str, progress: Callable[[str], None]) -> Path:
    """Fetch the weights of a local model into the user's cache folder. Raises RunnerError."""
    from runner.app.listing import pull_model

    return pull_model(name, progress)


def command_of(root: Path, run: str) -> CommandLine:
    """The command line of a run that handed over batch jobs. Raises NothingSelected and UsageError."""
    from runner.app.resuming import command_of as found

    return found(root, run)


def list_runs(root: Path) -> tuple[dict[str, Json], ...]:
    from runner.app.showing import list_runs as listed

    return listed(root)


def show(root: Path, run: str | None, step: str | None = None, item: str | None = None) -> dict[str, Json]:
    """A run's summary and exchanges. Raises NothingSelected when there is no such run."""
    from runner.app.showing import show_run

    return show_run(root, run, step, item)


def cache_stats(root: Path) -> dict[str, Json]:
    from runner.app.showing import cache_stats as stats

    return stats(root)


def cache_entries(root: Path) -> Iterator[StoredAnswer]:
    from runner.app.showing import cache_entries as entries

    return entries(root)


def cache_verify(root: Path, workflows: Sequence[Path] = (), found: Sequence[Path] = ()) -> Proof:
    """What is wrong with stored answers. Raises RunnerError for a named workflow that cannot be planned."""
    from runner.app.showing import cache_verify as verify

    return verify(root, workflows, found)


def cache_export(root: Path, target: Path, workflows: Sequence[Path] = ()) -> Carried:
    from runner.app.cache_files import export_cache

    return export_cache(root, target, workflows)


def cache_import(root: Path, source: Path, *, is_dry: bool = False) -> Carried:
    from runner.app.cache_files import import_cache

    return import_cache(root, source, is_dry=is_dry)


def cache_gc(
    root: Path, *, older_than_s: float | None = None, workflows: Sequence[Path] = (), is_dry: bool = False
) -> Collected:
    from runner.app.cache_files import collect_garbage

    return collect_garbage(root, now=time.time(), older_than_s=older_than_s, workflows=workflows, is_dry=is_dry)
