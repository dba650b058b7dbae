"""The file of a suite's snapshots, beside the recordings: one JSON document, to be reviewed as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from runner.app.keeping import RECORDINGS
from runner.core.canonical import Json
from runner.core.errors import FileError
from runner.core.problem import Problem
from runner.record.folders import write_record_file

FORMAT = 1
FOLDER = RECORDINGS / "snapshots"


def read_snapshots(root: Path, place: str) -> dict[str, dict[str, Json]]:
    """The recorded values by case; nothing where there is no file. Raises FileError for one that is damaged."""
    shown = (FOLDER / f"{place}.json").as_posix()
    try:
        document = json.loads((root / shown).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        document = None
    match document:
        case {"format": 1, "cases": dict() as cases} if all(isinstance(case, dict) for case in cases.values()):
            return cases
    fix = "restore it from git, or write it anew with runner test --record"
    raise FileError(Problem("damaged-snapshots", f"{shown} does not hold snapshots of format {FORMAT}", fix=fix))


def write_snapshots(root: Path, place: str, cases: Mapping[str, Mapping[str, Json]]) -> None:
    """Whole or not at all; a suite without snapshots has no file. Raises StorageError."""
    path = root / FOLDER / f"{place}.json"
    if not cases:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"format": FORMAT, "cases": {name: cases[name] for name in sorted(cases)}}
    write_record_file(path, (json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())
