"""Which of millions of names come more than once, in memory that does not grow with them."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator

from runner.core.aside import Aside
from runner.core.frozen import dataclass

RUN = 65_536
MOST_KEPT = 10_000
_CHUNK = 4096
_WIDTH = array("q").itemsize


@dataclass(frozen=True, slots=True)
class Repeated:
    """`rows` counts the rows whose name came before, `names` the names that came again; `hashes` are those of some of
    these, all unless there are thousands.
    """

    rows: int
    names: int
    hashes: frozenset[int]

    def may_hold(self, name: str) -> bool:
        """Whether a name may be among them; false is certain."""
        return hash(name) in self.hashes or len(self.hashes) < self.names


class Names:
    """Takes names one by one. Only their hashes are kept: a few in memory, the others put aside, sorted."""

    def __init__(self, aside: Aside) -> None:
        self._run = array("q")
        self._pieces = aside.pieces()
        self._runs: list[int] = []

    def add(self, name: str) -> None:
        self._run.append(hash(name))
        if len(self._run) == RUN:
            self._runs.append(self._pieces.put(array("q", sorted(self._run)).tobytes()))
            self._run = array("q")

    def repeated(self) -> Repeated:
        """What came more than once, so far."""
        rows = names = 0
        hashes: set[int] = set()
        last: int | None = None
        is_new = True
        for found in heapq.merge(*map(self._read, self._runs), sorted(self._run)):
            if found != last:
                last, is_new = found, True
                continue
            rows += 1
            names += is_new
            is_new = False
            if len(hashes) < MOST_KEPT:
                hashes.add(found)
        return Repeated(rows, names, frozenset(hashes))

    def _read(self, place: int) -> Iterator[int]:
        end = place + RUN * _WIDTH
        for start in range(place, end, _CHUNK * _WIDTH):
            data = self._pieces.get(start, min(_CHUNK * _WIDTH, end - start))
            yield from array("q", data)
