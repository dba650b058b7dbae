"""Which answer was last used at a place, and what it was made of: read only when a miss has to be explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final, TypeAlias

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import ANSWER_KINDS, in_turn
from runner.record.folders import JOURNAL, list_runs
from runner.record.journal import read_journal

Place: TypeAlias = tuple[str, str, int, int]
"""Step, item, sample and repair."""

MAX_RUNS: Final = 20
# Half of a journal are outcomes, which say nothing of places.
_TELLING: Final = (b'"started"', b'"attempt"')


@dataclass(frozen=True, slots=True)
class PlaceEntry:
    """The answer last used at a place; `run` is "" when only a recording knows."""

    key: str
    ingredients: Mapping[str, Json] = field(default_factory=dict)
    run: str = ""


class PlaceIndex(Mapping[Place, PlaceEntry]):
    """The latest entry of every place of a workflow. Journals are read one by one, the newest first, and only as far
    as needed: the last 20 runs of the workflow, then the places of the recordings.
    """

    def __init__(self, runs: Path, workflow: str, recorded: Path | None = None) -> None:
        self._entries: dict[Place, PlaceEntry] = {}
        self._sources = _sources(runs, workflow, recorded)

    def __getitem__(self, place: Place) -> PlaceEntry:
        while place not in self._entries and self._read_on():
            pass
        return self._entries[place]

    def __iter__(self) -> Iterator[Place]:
        self._read_all()
        return iter(self._entries)

    def __len__(self) -> int:
        self._read_all()
        return len(self._entries)

    def _read_all(self) -> None:
        while self._read_on():
            pass

    def _read_on(self) -> bool:
        older = next(self._sources, None)
        if older is None:
            return False
        for place, entry in older.items():
            self._entries.setdefault(place, entry)
        return True


def places_of(runs: Path, workflow: str, recorded: Path | None = None) -> Mapping[Place, PlaceEntry]:
    """The index of a workflow's places; nothing is read before it is asked. `recorded` is the recordings' file."""
    return PlaceIndex(runs, workflow, recorded)


def _sources(runs: Path, workflow: str, recorded: Path | None) -> Iterator[dict[Place, PlaceEntry]]:
    read = 0
    for run in reversed(list_runs(runs)):
        records = read_journal(runs / run / JOURNAL, _TELLING)
        if next(records, {}).get("workflow") != workflow:
            continue
        yield _latest(records, run)
        read += 1
        if read == MAX_RUNS:
            break
    if recorded is not None:
        yield _latest(read_journal(recorded), "")


def _latest(records: Iterator[Mapping[str, Json]], run: str) -> dict[Place, PlaceEntry]:
    found: dict[Place, PlaceEntry] = {}
    for record in records:
        match record:
            case {"event": "attempt", "failure": failure} if failure is not None and failure not in ANSWER_KINDS:
                continue
            case {"event": "attempt"}:
                spelled = record
            case {"place": dict() as spelled}:
                pass
            case _:
                continue
        place = _read_place(spelled)
        key, ingredients = record.get("key"), record.get("ingredients")
        if place and isinstance(key, str) and isinstance(ingredients, dict):
            found[place] = PlaceEntry(key, ingredients, run)
    return found


def _read_place(spelled: Mapping[str, Json]) -> Place | None:
    match spelled:
        case {"part": str() as step, "item": str() as item, "sample": int() as sample, "repair": int() as repair}:
            turn = spelled.get("turn")
            return (step, in_turn(item, turn if isinstance(turn, int) else 0), sample, repair)
        case {"step": str() as step, "item": str() as item, "sample": int() as sample, "repair": int() as repair}:
            return (step, item, sample, repair)
    return None
