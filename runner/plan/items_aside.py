"""Items that are put aside, so that walking them again costs no memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from runner.core.aside import Pieces, pack, pack_lists, unpack
from runner.plan.items import Item, Named

PIECE_BYTES = 2**16


class ItemsAside:
    """Fills `plan.items.Items`."""

    def __init__(self, rows: Iterable[Named], pieces: Pieces) -> None:
        self._pieces = pieces
        self._places = array("q")
        self._sizes = array("q")
        self._count = 0
        self.longest = 0
        some: list[tuple[bytes, bytes, bytes]] = []
        size = 0
        for row in rows:
            some.append(self._packed(row))
            size += sum(map(len, some[-1]))
            if size >= PIECE_BYTES:
                self._put(some)
                some, size = [], 0
        if some:
            self._put(some)

    def _packed(self, row: Named) -> tuple[bytes, bytes, bytes]:
        value = pack(row.value)
        self._count += 1
        self.longest = max(self.longest, len(value))
        return pack(row.name), pack(row.problem), value

    def _put(self, some: list[tuple[bytes, bytes, bytes]]) -> None:
        piece = pack_lists(some)
        self._places.append(self._pieces.put(piece))
        self._sizes.append(len(piece))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for index, row in enumerate(self.named()):
            yield Item(row.name, row.value, index, row.problem)

    def named(self) -> Iterator[Named]:
        for place, size in zip(self._places, self._sizes, strict=True):
            for name, problem, value in unpack(self._pieces.get(place, size)):
                yield Named(name, value, problem)
