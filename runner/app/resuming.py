"""What it takes to take a run up again."""

from __future__ import annotations

from pathlib import Path

from runner.app.explaining import RUNS
from runner.core.errors import NothingSelected, UsageError
from runner.core.problem import Problem, nearest
from runner.record.command import CommandLine, read_command
from runner.record.folders import list_runs, run_folder


def command_of(root: Path, run: str) -> CommandLine:
    """The command line of a run. Raises NothingSelected where there is no such run, UsageError where it kept none."""
    folder = run_folder(root / RUNS, run)
    if folder is None:
        raise NothingSelected(
            Problem(
                "no-run", f"there is no run '{run}'", nearest=nearest(run, list_runs(root / RUNS)), fix="runner show"
            )
        )
    command = read_command(folder)
    if command is None:
        text = f"run {run} kept no command: it asked nothing, or was not started by 'runner run'"
        raise UsageError(Problem("no-resume", text, fix="give its command again; what was received is stored"))
    if command.is_piped:
        text = f"run {run} read standard input, which is gone"
        raise UsageError(Problem("no-resume", text, fix="give its command again, with the same input"))
    if not Path(command.folder).is_dir():
        text = f"run {run} was started in {command.folder}, which is gone"
        raise UsageError(Problem("no-resume", text, fix="give its command again"))
    return command
