"""Which answer was last used at a place, and what it was made of: read only when a miss has to be explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from runner.core.aside import Aside, InMemory, Table
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import ANSWER_KINDS, in_turn
from runner.record.folders import JOURNAL, list_runs
from runner.record.journal import read_placed, read_record_at

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
    as needed: the last 20 runs of the workflow, then the places of the recordings. What is kept of them is where each
    entry stands.
    """

    def __init__(self, runs: Path, workflow: str, recorded: Path | None, table: Table) -> None:
        self._table = table
        self._count = 0
        self._read: list[tuple[Path, str]] = []
        self._sources = _sources(runs, workflow, recorded)

    def __getitem__(self, place: Place) -> PlaceEntry:
        spelled = orjson.dumps(place).decode()
        while (found := self._table.get(spelled)) is None:
            if not self._read_on():
                raise KeyError(place)
        source, _, offset = found.partition(" ")
        path, run = self._read[int(source)]
        record = read_record_at(path, int(offset)) or {}
        return PlaceEntry(record.get("key", ""), record.get("ingredients", {}), run)

    def __iter__(self) -> Iterator[Place]:
        self._read_all()
        return (tuple(orjson.loads(spelled)) for spelled in self._table.keys())  # noqa: SIM118 -- it is no dict

    def __len__(self) -> int:
        self._read_all()
        return self._count

    def _read_all(self) -> None:
        while self._read_on():
            pass

    def _read_on(self) -> bool:
        older = next(self._sources, None)
        if older is None:
            return False
        path, run, entries = older
        number = len(self._read)
        self._read.append((path, run))
        for place, offset in entries:
            spelled = orjson.dumps(place).decode()
            known = self._table.get(spelled)
            if known is None or int(known.partition(" ")[0]) == number:  # of one run the last, else of the newest
                self._table[spelled] = f"{number} {offset}"
                self._count += known is None
        return True


def places_of(
    runs: Path, workflow: str, recorded: Path | None = None, aside: Aside | None = None
) -> Mapping[Place, PlaceEntry]:
    """The index of a workflow's places; nothing is read before it is asked. `recorded` is the recordings' file."""
    return PlaceIndex(runs, workflow, recorded, (aside or InMemory()).table())


_Source: TypeAlias = tuple[Path, str, Iterator[tuple[Place, int]]]


def _sources(runs: Path, workflow: str, recorded: Path | None) -> Iterator[_Source]:
    """A file, its run, and its entries, each with where it stands."""
    read = 0
    for run in reversed(list_runs(runs)):
        path = runs / run / JOURNAL
        records = read_placed(path, _TELLING)
        _, first = next(records, (0, {}))
        if first.get("workflow") != workflow:
            continue
        yield path, run, _entries(records)
        read += 1
        if read == MAX_RUNS:
            break
    if recorded is not None:
        yield recorded, "", _entries(read_placed(recorded))


def _entries(records: Iterator[tuple[int, Mapping[str, Json]]]) -> Iterator[tuple[Place, int]]:
    for offset, record in records:
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
        if place and isinstance(record.get("key"), str) and isinstance(record.get("ingredients"), dict):
            yield place, offset


def _read_place(spelled: Mapping[str, Json]) -> Place | None:
    match spelled:
        case {"part": str() as step, "item": str() as item, "sample": int() as sample, "repair": int() as repair}:
            return (step, _in_turn(item, spelled), sample, repair)
        case {"step": str() as step, "item": str() as item, "sample": int() as sample, "repair": int() as repair}:
            return (step, _in_turn(item, spelled), sample, repair)
    return None


def _in_turn(item: str, spelled: Mapping[str, Json]) -> str:
    counts = (spelled.get(name) for name in ("turn", "answers", "number"))
    return in_turn(item, *(count if isinstance(count, int) else 0 for count in counts))
