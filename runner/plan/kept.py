"""What the items of a stage came to, put aside chunk by chunk until something reads it."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from runner.core.aside import Pieces, pack, unpack
from runner.core.canonical import Json, canonical
from runner.core.long_list import LongList
from runner.core.outcome import Failure, FailureKind, Outcome, Status, Violation
from runner.core.response import Citation

_ABSENT = -1
Kept = dict[str, Outcome]


class StageResults:
    """Filled in any order, read in that of the source. Attempts are not kept: they are in the record."""

    def __init__(self, steps: tuple[str, ...], pieces: Pieces) -> None:
        self._steps = steps
        self._pieces = pieces
        self._places = array("q")
        self._sizes = array("q")
        self._good = {name: array("q") for name in steps}
        self.bytes = 0
        self._last: tuple[int, list[Any]] = (_ABSENT, [])

    def keep(self, number: int, outcomes: Sequence[Mapping[str, Outcome]]) -> None:
        """The outcomes of a chunk, by its number. Raises StorageError."""
        piece = pack([[_packed(one.get(name)) for name in self._steps] for one in outcomes])
        self._grow(number)
        self._places[number] = self._pieces.put(piece)
        self._sizes[number] = len(piece)
        self.bytes += len(piece)
        self._last = (_ABSENT, [])
        for name, good in self._good.items():
            good[number] = sum(name in one and one[name].status is Status.GOOD for one in outcomes)

    def _grow(self, number: int) -> None:
        missing = number + 1 - len(self._places)
        if missing > 0:
            self._places.extend([_ABSENT] * missing)
            self._sizes.extend([0] * missing)
            for good in self._good.values():
                good.extend([0] * missing)

    def chunk(self, number: int, ids: Sequence[str]) -> list[Kept]:
        """The outcomes of the items of a chunk, by step; nothing of one that was not kept. Raises StorageError."""
        kept = self._read(number)
        if not kept:
            return [{} for _ in ids]
        return [self._unpacked(ends, item) for ends, item in zip(kept, ids, strict=True)]

    def _read(self, number: int) -> list[Any]:
        if number >= len(self._places) or self._places[number] == _ABSENT:
            return []
        found: list[Any] = unpack(self._pieces.get(self._places[number], self._sizes[number]))
        return found

    def _unpacked(self, ends: list[Any], item: str) -> Kept:
        return {name: _outcome(name, item, end) for name, end in zip(self._steps, ends, strict=True) if end is not None}

    def ends(self, name: str, start: int, end: int, size: int) -> Iterator[Outcome]:
        """What some items in a row came to in a step; `size` is how many make a chunk."""
        column = self._steps.index(name)
        for place in range(start, end):
            number = place // size
            if self._last[0] != number:
                self._last = (number, self._read(number))
            kept = self._last[1]
            found = kept[place % size][column] if kept else None
            if found is not None:
                yield _outcome(name, "", found)

    def good(self, name: str) -> GoodOutputs:
        return GoodOutputs(self, name)

    def good_before(self, name: str) -> array[int]:
        """How many are good up to the end of each chunk."""
        total, found = 0, array("q")
        for count in self._good[name]:
            total += count
            found.append(total)
        return found

    def good_of_chunk(self, name: str, number: int) -> list[Json]:
        column = self._steps.index(name)
        ends = (item[column] for item in self._read(number))
        return [end[0] for end in ends if end is not None and len(end) <= _MOST_OF_GOOD]


class GoodOutputs(LongList):
    """The good answers of a step that runs per item, in source order, as a list that is read piece by piece."""

    def __init__(self, results: StageResults, name: str) -> None:
        self._results = results
        self._name = name
        self._ends = results.good_before(name)
        self._last: tuple[int, list[Json]] = (_ABSENT, [])
        self._digest = ""

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Json]:
        for number in range(len(self._ends)):
            yield from self._results.good_of_chunk(self._name, number)

    @overload
    def __getitem__(self, index: int) -> Json: ...
    @overload
    def __getitem__(self, index: slice) -> list[Json]: ...
    def __getitem__(self, index: int | slice) -> Json:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        if self._last[0] != number:
            self._last = (number, self._results.good_of_chunk(self._name, number))
        return self._last[1][index - self._ends[number]]  # counted from the end of the chunk

    def digest(self) -> str:
        if not self._digest:
            whole = hashlib.sha256()
            for element in self:
                whole.update(canonical(element) + b"\n")
            self._digest = whole.hexdigest()
        return self._digest


# A good outcome is a pair, with its sources and tool calls four; another one has more to say.
_MOST_OF_GOOD = 4


def _packed(outcome: Outcome | None) -> list[Json] | None:
    if outcome is None:
        return None
    if outcome.status is Status.GOOD:
        beside = [[[source.url, source.title] for source in outcome.sources], list(outcome.tool_calls)]
        return [outcome.output, outcome.model, *(beside if any(beside) else [])]
    failure = outcome.failure
    told = None
    if failure is not None:
        violations = [[one.pointer, one.keyword, one.expected, one.found] for one in failure.violations]
        told = [failure.kind, failure.message, violations, failure.retry_after_s, failure.status]
    return [outcome.status, outcome.because, told, outcome.output, outcome.model]


def _outcome(name: str, item: str, packed: list[Json]) -> Outcome:
    if len(packed) <= _MOST_OF_GOOD:
        output, model, *cited = packed
        listed, calls = cited or ([], [])
        sources = tuple(Citation(*one) for one in listed)
        return Outcome(name, item, Status.GOOD, output=output, model=model, sources=sources, tool_calls=tuple(calls))
    status, because, told, output, model = packed
    failure = None
    if told is not None:
        kind, message, violations, retry_after_s, code = told
        failure = Failure(FailureKind(kind), message, tuple(Violation(*one) for one in violations), retry_after_s, code)
    return Outcome(name, item, Status(status), output, failure, because=because, model=model)
