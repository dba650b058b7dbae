"""The folders of runs: `.runner/runs/r1`, `r2`, …, and what is said when one cannot be written."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.core.errors import StorageError
from runner.core.problem import Problem

JOURNAL: Final = "journal.jsonl"
SUMMARY: Final = "summary.json"
_RUN_ID = re.compile(r"r([1-9][0-9]{0,17})\Z")


def new_run_folder(runs: Path) -> tuple[str, Path]:
    """The next run's id and its folder, made exclusively: two processes never get the same. Raises StorageError."""
    try:
        _make_runs(runs)
        number = max((_number(run) for run in list_runs(runs)), default=0)
        while True:
            number += 1
            folder = runs / f"r{number}"
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                return folder.name, folder
    except OSError as error:
        raise unwritable_record(runs, error) from error


def list_runs(runs: Path) -> list[str]:
    """The ids of all runs, the oldest first."""
    try:
        names = os.listdir(runs)  # noqa: PTH208 - names are all that is needed, of possibly many
    except OSError:
        return []
    return sorted((name for name in names if _RUN_ID.match(name)), key=_number)


def run_folder(runs: Path, run: str) -> Path | None:
    """The folder of a run by its id, None for anything that is not a run's id or is not there."""
    folder = runs / run
    return folder if _RUN_ID.match(run) and folder.is_dir() else None


def write_record_file(path: Path, data: bytes) -> None:
    """All or nothing, through a file of a random name beside it. Raises StorageError."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise unwritable_record(path, error) from error


def unwritable_record(path: Path, error: OSError) -> StorageError:
    is_in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
    reason = "a file is in the way" if is_in_the_way else error.strerror or error
    return StorageError(
        Problem(
            code="record-unwritable",
            message=f"the run record {path} cannot be written: {reason}",
            fix="free space or make the folder writable, then run again; answers that were stored are kept",
        )
    )


def _make_runs(runs: Path) -> None:
    home = runs.parent
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    runs.mkdir(mode=0o700, exist_ok=True)
    ignore = home / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def _number(run: str) -> int:
    return int(run[1:])
