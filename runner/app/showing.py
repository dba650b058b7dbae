"""`runner show` and `runner cache`: looking into the record and the store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from runner.app.explaining import RUNS
from runner.app.keeping import RECORDINGS, recordings_of
from runner.app.looking import LOCAL_CACHE
from runner.app.told import no_exchange, read_told
from runner.core.answer import StoredAnswer
from runner.core.canonical import Json
from runner.core.errors import NothingSelected
from runner.core.problem import Problem, nearest
from runner.dialects import ASKED
from runner.record.folders import JOURNAL, run_folder
from runner.record.folders import list_runs as run_ids
from runner.record.journal import read_journal
from runner.record.summary import RunSummary, read_summary, summary_to_json
from runner.store.layers import LayeredAnswers
from runner.store.local import LocalStore
from runner.store.memory import MemoryStore

if TYPE_CHECKING:
    from runner.app.cache_proving import Proof


def list_runs(root: Path) -> tuple[dict[str, Json], ...]:
    """The runs, newest first, each as its summary."""
    rows = []
    for run in reversed(run_ids(root / RUNS)):
        summary = _summary(root / RUNS / run)
        row: dict[str, Json] = {"run": run, "status": "unfinished"}
        if summary is not None:
            row |= {
                "workflow": summary.workflow,
                "status": summary.status,
                "exit_code": summary.exit_code,
                "calls": summary.calls,
                "cached": summary.cached + summary.recorded,
                "cost_usd": summary.cost_usd,
                "seconds": summary.seconds,
            }
        rows.append(row)
    return tuple(rows)


def _summary(folder: Path) -> RunSummary | None:
    """None for a run that has not ended, and for a summary that is damaged or of another format."""
    try:
        return read_summary(folder)
    except ValueError:
        return None


def show_run(root: Path, run: str | None, step: str | None, item: str | None) -> dict[str, Json]:
    """Summary and exchanges of a run (default: the last), of one step, of one item. Raises NothingSelected."""
    runs = root / RUNS
    name = run or _last_told(runs)
    folder = run_folder(runs, name) if name else None
    if name is None or folder is None:
        known = run_ids(runs)
        raise NothingSelected(
            Problem(
                "no-run",
                f"there is no run '{run}'" if run else "there is no run yet",
                nearest=nearest(run, known) if run else "",
                fix="runner show --list" if known else "runner run FLOW",
            )
        )
    told = read_told(folder / JOURNAL, step, item)
    if step is not None and not told.attempts and not told.outcomes:
        raise NothingSelected(no_exchange(folder / JOURNAL, name, step, item))
    summary = _summary(folder)
    with _Answers(root) as answers:
        found = answers.lookup([str(line["key"]) for line in told.attempts])
    return {
        "run": name,
        "summary": summary_to_json(summary) if summary else {"run": name, "status": "unfinished"},
        "attempts": [_exchange(line, found.get(str(line["key"]))) for line in told.attempts],
        "outcomes": list(told.outcomes),
    }


def _last_told(runs: Path) -> str | None:
    """The newest run in which something happened; one that a missing key stopped hides none before it."""
    known = list(reversed(run_ids(runs)))
    return next((run for run in known if _has_told(runs / run)), known[0] if known else None)


def _has_told(folder: Path) -> bool:
    if any(line.get("event") in ("attempt", "outcome") for line in read_journal(folder / JOURNAL)):
        return True
    summary = _summary(folder)
    return summary is not None and summary.status == "done"


def _exchange(line: dict[str, Json] | object, answer: StoredAnswer | None) -> dict[str, Json]:
    assert isinstance(line, dict)
    shown = {name: value for name, value in line.items() if name not in ("event", "format")}
    if answer is None:
        return {**shown, "request": None, "answer": None}
    text, thoughts = _said(answer)
    thought = {"thoughts": thoughts} if thoughts else {}
    return {
        **shown,
        "request": _document(bytes(answer.body)),
        **thought,
        "answer": text,
        "payload": _document(answer.payload),
    }


def _document(data: bytes) -> Json:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")


def _said(answer: StoredAnswer) -> tuple[Json, str]:
    """The answer's text, and the summary of what the model thought."""
    from runner.core.ports import CallFailed

    if answer.dialect not in ASKED:
        return None, ""
    try:
        response = ASKED[answer.dialect].decode(answer.payload)
    except CallFailed as error:
        return error.failure.message, ""
    return response.text, response.thoughts


class _Answers:
    """The layered answers of a project, for looking only: no cache folder is made."""

    def __init__(self, root: Path) -> None:
        self.damage: list[str] = []
        folder = root / LOCAL_CACHE
        self._store = LocalStore(folder) if folder.is_dir() else MemoryStore()
        self._layers = LayeredAnswers(recordings_of(root), self._store, self.damage.append)

    def __enter__(self) -> LayeredAnswers:
        return self._layers

    def __exit__(self, *_: object) -> None:
        self._store.close()


def cache_stats(root: Path) -> dict[str, Json]:
    """How much is stored, by layer and by provider."""
    layers: dict[str, dict[str, Json]] = {}
    with _Answers(root) as answers:
        for entry in answers.scan():
            layer = layers.setdefault(str(entry.source), {"answers": 0, "failures": 0, "damaged": 0, "bytes": 0})
            layer["bytes"] += entry.size_bytes
            if entry.answer is None:
                layer["damaged"] += 1
            else:
                layer["failures" if entry.answer.failure else "answers"] += 1
    return {**layers, "folders": {"local": str(LOCAL_CACHE), "recordings": str(RECORDINGS)}}


def cache_entries(root: Path) -> Iterator[StoredAnswer]:
    """Every stored answer that is whole."""
    with _Answers(root) as answers:
        yield from (entry.answer for entry in answers.scan() if entry.answer is not None)


def cache_verify(root: Path, workflows: Sequence[Path] = (), found: Sequence[Path] = ()) -> Proof:
    """What is wrong with stored answers: damage, keys, and of the workflows' answers what does not fit any more."""
    from runner.app.cache_proving import prove

    with _Answers(root) as answers:
        return prove(root, answers, os.environ, workflows, found)
