"""All sources of rows that are made from others: each is made when it is first walked, and put aside."""

from __future__ import annotations

from collections.abc import Iterator

from runner.plan.deriving import Deriving
from runner.plan.made import Ground, Made


class Derivations:
    """All sources that are made from others, each made once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._made: dict[str, Made] = {}

    def made(self, name: str) -> Made:
        """The rows of a source; what they are made from must have ended. Raises StorageError."""
        for _ in self.making(name):
            pass
        return self._made[name]

    def making(self, name: str) -> Iterator[None]:
        """Make the rows, and pause now and then."""
        if name in self._made:
            return
        source = self._ground.program.linked.sources.get(name)
        if source is None:
            self._made[name] = Made(self._ground.data[name])
            return
        for parent in (source.parent, source.joined):
            if parent:
                yield from self.making(parent)
        self._made[name] = yield from Deriving(self._ground, source, self._made).run()

    def own(self, name: str, above: str, index: int) -> tuple[int, int, bool]:
        """The rows of a source that were made for a row of a source above it, and whether some are missing for a failure."""
        chain = [name]
        while (parent := self._ground.program.linked.sources[chain[-1]].parent) != above:
            chain.append(parent)
        start, end, is_broken = index, index + 1, False
        for one in reversed(chain):
            made = self._made[one]
            is_broken = is_broken or any(place in made.failed for place in range(start, end))
            start, end = made.own(start, end)
        return start, end, is_broken
