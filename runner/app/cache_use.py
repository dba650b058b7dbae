"""Which stored answers a workflow uses: by the records of its runs, and by what it would look up today."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.app.explaining import RUNS
from runner.app.looking import look_around
from runner.app.preparing import prepare_program
from runner.app.types import RunOptions
from runner.core.answer import StoredAnswer
from runner.core.errors import FileError, RunnerError
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.plan.plan import make_plan
from runner.plan.stages import RunState
from runner.record.folders import JOURNAL, list_runs
from runner.record.journal import read_journal

SUITE_ENDING = ".suite.yaml"


@dataclass(frozen=True, slots=True)
class Used:
    """Keys that are used, and why more may be."""

    keys: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def used_by(root: Path, workflows: Sequence[Path]) -> Used:
    """The answers that workflows and suites have used, or would use with their own inputs. Raises FileError."""
    keys: set[str] = set()
    notes: list[str] = []
    for path in workflows:
        if not path.is_file():
            raise FileError(Problem("missing-file", f"there is no file {path}"))
        keys |= _recorded(root, path)
        if path.name.endswith(SUITE_ENDING):
            continue
        try:
            keys |= _looked_up(path)
        except RunnerError as error:
            notes.append(f"of {path} only what its recorded runs used is known: {error.problems[0].message}")
    return Used(frozenset(keys), tuple(notes))


def _recorded(root: Path, path: Path) -> set[str]:
    """What all runs used that have a record; there is no other trace of inputs that were typed."""
    name = path.resolve().relative_to(root.resolve()).as_posix() if _is_below(path, root) else str(path)
    keys: set[str] = set()
    for run in list_runs(root / RUNS):
        is_own = False
        for record in read_journal(root / RUNS / run / JOURNAL, (b'"started"', b'"attempt"')):
            if record.get("event") == "started":
                is_own = record.get("file") == name
            elif is_own and isinstance(key := record.get("key"), str):
                keys.add(key)
    return keys


def _is_below(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _looked_up(path: Path) -> set[str]:
    options = RunOptions()
    prepared = prepare_program(path, options)
    keys: set[str] = set()
    with look_around(prepared, options) as look:

        def lookup(wanted: Sequence[str]) -> dict[str, StoredAnswer]:
            keys.update(wanted)
            return look.answers.lookup(wanted)

        make_plan(RunState(prepared.program, prepared.data), lookup, lambda _: "")
    return keys
