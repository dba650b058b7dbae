"""Sorting and keeping more rows than memory holds: sorted runs that are put aside and merged, and lists on disk."""

from __future__ import annotations

import hashlib
import heapq
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import overload

from runner.core.aside import Pieces, pack_list, unpack
from runner.core.canonical import Json, canonical
from runner.core.long_list import LongList

RUN_BYTES = 8 * 2**20
MOST_RUNS = 128
BLOCK_BYTES = 2**15
_BESIDE = 200  # what an entry takes in memory besides its bytes
_HEAD = struct.Struct(">II")
_NUMBER = struct.Struct(">Q")

Entry = tuple[bytes, bytes]


class Sorter:
    """Takes entries of a key and data, and gives them in the order of the keys; equal ones in the order of taking."""

    def __init__(
        self, new_pieces: Callable[[], Pieces], run_bytes: int = RUN_BYTES, most_runs: int = MOST_RUNS
    ) -> None:
        self._new_pieces = new_pieces
        self._pieces = new_pieces()
        self._run_bytes = run_bytes
        self._most_runs = most_runs
        self._run: list[Entry] = []
        self._size = 0
        self._count = 0
        self._runs: list[_Run] = []

    def add(self, key: bytes, data: bytes) -> None:
        """Raises StorageError."""
        compact = memoryview(data).tobytes()  # what was just packed holds on to far more memory than it fills
        self._run.append((key + _NUMBER.pack(self._count), compact))
        self._count += 1
        self._size += len(key) + len(data) + _BESIDE
        if self._size > self._run_bytes:
            self._put_aside()

    def _put_aside(self) -> None:
        self._run.sort()
        self._runs.append(_Run(self._run, self._pieces))
        self._run, self._size = [], 0
        if len(self._runs) >= self._most_runs:
            self._pieces = self._new_pieces()
            self._runs = [_Run(heapq.merge(*self._runs), self._pieces)]

    def __iter__(self) -> Iterator[Entry]:
        self._run.sort()
        entries = heapq.merge(*self._runs, self._run) if self._runs else self._run
        return ((key[: -_NUMBER.size], data) for key, data in entries)


class _Run:
    """Sorted entries, put aside in blocks."""

    def __init__(self, entries: Iterator[Entry] | list[Entry], pieces: Pieces) -> None:
        self._pieces = pieces
        self._places = array("q")
        self._sizes = array("q")
        block = bytearray()
        for key, data in entries:
            block += _HEAD.pack(len(key), len(data)) + key + data
            if len(block) >= BLOCK_BYTES:
                self._put(block)
                block = bytearray()
        if block:
            self._put(block)

    def _put(self, block: bytearray) -> None:
        self._places.append(self._pieces.put(bytes(block)))
        self._sizes.append(len(block))

    def __iter__(self) -> Iterator[Entry]:
        for place, size in zip(self._places, self._sizes, strict=True):
            block = self._pieces.get(place, size)
            at = 0
            while at < size:
                of_key, of_data = _HEAD.unpack_from(block, at)
                start = at + _HEAD.size
                at = start + of_key + of_data
                yield block[start : start + of_key], block[start + of_key : at]


class ListAside:
    """A list that grows at its end, put aside piece by piece."""

    def __init__(self, pieces: Pieces, block_bytes: int = BLOCK_BYTES) -> None:
        self._pieces = pieces
        self._block_bytes = block_bytes
        self._places = array("q")
        self._sizes = array("q")
        self._ends = array("q")
        self._new: list[bytes] = []
        self._size = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, packed: bytes) -> None:
        """Add a packed value. Raises StorageError."""
        self._new.append(packed)
        self._size += len(packed)
        self._count += 1
        if self._size >= self._block_bytes:
            piece = pack_list(self._new)
            self._places.append(self._pieces.put(piece))
            self._sizes.append(len(piece))
            self._ends.append(self._count)
            self._new, self._size = [], 0

    def block_of(self, index: int) -> tuple[int, list[Json]]:
        """The elements around a place, and the place of the first of them."""
        number = bisect_right(self._ends, index)
        start = self._ends[number - 1] if number else 0
        if number == len(self._ends):
            return start, [unpack(one) for one in self._new]
        found: list[Json] = unpack(self._pieces.get(self._places[number], self._sizes[number]))
        return start, found

    def part(self, start: int, count: int) -> PartAside:
        """Some elements in a row."""
        return PartAside(self, start, count)


class PartAside(LongList):
    """Some elements of a list that was put aside."""

    __slots__ = ("_count", "_digest", "_last", "_start", "_whole")

    def __init__(self, whole: ListAside, start: int, count: int) -> None:
        self._whole = whole
        self._start = start
        self._count = count
        self._last: tuple[int, list[Json]] = (0, [])
        self._digest = ""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Json]:
        index, end = self._start, self._start + self._count
        while index < end:
            first, block = self._whole.block_of(index)
            some = block[index - first : end - first]
            yield from some
            index += len(some)

    @overload
    def __getitem__(self, index: int) -> Json: ...
    @overload
    def __getitem__(self, index: slice) -> list[Json]: ...
    def __getitem__(self, index: int | slice) -> Json:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError(index)
        place = self._start + index
        first, block = self._last
        if not first <= place < first + len(block):
            first, block = self._last = self._whole.block_of(place)
        return block[place - first]

    def digest(self) -> str:
        if not self._digest:
            found = hashlib.sha256()
            for element in self:
                found.update(canonical(element) + b"\n")
            self._digest = found.hexdigest()
        return self._digest
