"""When each case last passed and what it was made of then: `.runner/passes/SUITE.json`, so that a failure can say what changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.app.suite_settings import changed_settings, shape_of
from runner.core.canonical import Json, digest, digest_of
from runner.core.events import AttemptMade
from runner.core.frozen import dataclass
from runner.core.outcome import Outcome, in_turn
from runner.plan.explain import Change
from runner.record.folders import write_record_file
from runner.store.lock import one_at_a_time
from runner.suites.cases import CaseToRun

FORMAT = 1
PASSES = Path(".runner/passes")
WAIT_S = 10.0
MOST_TOLD = 5
SHORT_DIGEST = 12


@dataclass(frozen=True, slots=True)
class Made:
    """What a case was made of: the answers by their places, and what was expected of them.

    `settings` are those that are no part of a question, `answered` has what came of each step, both as digests.
    """

    asked: Mapping[str, Json]
    expected: str
    settings: Mapping[str, str]
    answered: Mapping[str, str]

    def document(self, run: str) -> dict[str, Json]:
        made: dict[str, Json] = {"run": run, "asked": dict(self.asked), "expected": self.expected}
        return {**made, "settings": dict(self.settings), "answered": dict(self.answered)}


Differ = Callable[[Mapping[str, Json], Mapping[str, Json]], Sequence[Change]]


def made_of(
    case: CaseToRun, asked: Sequence[AttemptMade], settings: Mapping[str, str], answered: Mapping[str, str]
) -> Made:
    asked_for = {_place(event): _answer(event) for event in asked}
    return Made(asked_for, digest(shape_of(case).encode()), settings, answered)


def answer_of(outcome: Outcome) -> tuple[str, str]:
    """What came of a step: its place, and a digest."""
    said = digest_of([outcome.status, outcome.output])[:SHORT_DIGEST]
    return f"{outcome.step}[{outcome.item}]", said


def _place(event: AttemptMade) -> str:
    attempt = event.attempt
    item = in_turn(event.item, attempt.turn)
    return f"{attempt.part or event.step}[{item}] {attempt.sample} {attempt.repair}"


def _answer(event: AttemptMade) -> Json:
    return {"key": event.attempt.key, "model": event.attempt.model, "ingredients": dict(event.ingredients)}


# --- what changed since


def since(last: Mapping[str, Any] | None, now: Made, differ: Differ) -> str:
    """One line: the run in which the case last passed, and what is not as it was; "" where it never passed."""
    if last is None:
        return ""
    told = list(dict.fromkeys(_changed(last, now, differ)))
    more = f" (and {len(told) - MOST_TOLD} more)" if len(told) > MOST_TOLD else ""
    others = (
        "only the answers themselves" if last.get("answered", now.answered) != now.answered else "nothing that was kept"
    )
    words = ", ".join(told[:MOST_TOLD]) or others
    return f"last passed in run {last['run']}; changed since: {words}{more}"


def _changed(last: Mapping[str, Any], now: Made, differ: Differ) -> Iterator[str]:
    then = last["asked"]
    found: list[Change] = []
    for place, answer in now.asked.items():
        before = then.get(place)
        if before is not None and isinstance(answer, dict) and before["key"] != answer["key"]:
            found += differ(before["ingredients"], answer["ingredients"])
    # What an earlier step says differently follows from what was changed there.
    roots = [change for change in found if not change.word.startswith("upstream:")]
    yield from (str(change) for change in roots or found)
    for place, answer in now.asked.items():
        before = then.get(place)
        if before is not None and isinstance(answer, dict) and before["model"] != answer["model"]:
            yield f"model-version: {before['model']} → {answer['model']}"
    if "settings" in last:
        yield from changed_settings(last["settings"], now.settings)
    if last["expected"] != now.expected:
        yield "what is expected"


# --- the file


def read_passes(root: Path, place: str) -> dict[str, dict[str, Any]]:
    """The last pass of each case. A file that is gone or damaged says nothing of any."""
    try:
        document = json.loads(_path(root, place).read_bytes())
        if document["format"] == FORMAT:
            return {name: one for name, one in document["cases"].items() if {"run", "asked", "expected"} <= one.keys()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {}


def write_passes(root: Path, place: str, passed: Mapping[str, Made], run: str) -> None:
    """Add these to what passed before. Raises StorageError."""
    if not passed:
        return
    path = _path(root, place)
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(path.parent, wait_s=WAIT_S):
        cases = {**read_passes(root, place), **{name: made.document(run) for name, made in passed.items()}}
        write_record_file(path, json.dumps({"format": FORMAT, "cases": cases}, ensure_ascii=False).encode())


def _path(root: Path, place: str) -> Path:
    return root / PASSES / f"{place}.json"
