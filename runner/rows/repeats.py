"""Which of millions of names come more than once, in memory that does not grow with them."""

from __future__ import annotations

import heapq
import tempfile
from array import array
from collections.abc import Iterator

from runner.core.frozen import dataclass

RUN = 65_536
MOST_KEPT = 10_000
_CHUNK = 4096
_WIDTH = array("q").itemsize


@dataclass(frozen=True, slots=True)
class Repeated:
    """`rows` counts the names that came before; `hashes` are those of some of them, all unless there are thousands."""

    rows: int
    hashes: frozenset[int]


class Names:
    """Takes names one by one. Only their hashes are kept: a few in memory, the others sorted in a temporary file."""

    def __init__(self) -> None:
        self._run = array("q")
        self._spilt = 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)

    def add(self, name: str) -> None:
        self._run.append(hash(name))
        if len(self._run) == RUN:
            array("q", sorted(self._run)).tofile(self._file)
            self._spilt += 1
            self._run = array("q")

    def close(self) -> None:
        self._file.close()

    def repeated(self) -> Repeated:
        """What came more than once, so far."""
        rows, hashes = 0, set[int]()
        last: int | None = None
        for found in heapq.merge(*(self._read(index) for index in range(self._spilt)), sorted(self._run)):
            if found == last:
                rows += 1
                if len(hashes) < MOST_KEPT:
                    hashes.add(found)
            last = found
        return Repeated(rows, frozenset(hashes))

    def _read(self, index: int) -> Iterator[int]:
        start, end = index * RUN * _WIDTH, (index + 1) * RUN * _WIDTH
        while start < end:
            self._file.seek(start)
            data = self._file.read(min(_CHUNK * _WIDTH, end - start))
            start += len(data)
            yield from array("q", data)
