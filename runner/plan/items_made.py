"""Rows that were made from other rows, as items that are put aside."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from runner.core.aside import Pieces, pack, pack_list, unpack
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.plan.ingredients import MANY
from runner.plan.items import Item
from runner.plan.spill import ListAside

PIECE_BYTES = 2**16
NO_GROUP = -1


@dataclass(frozen=True, slots=True)
class MadeRow:
    """A row with its id. `group` says where the rows of its group begin, and `count` how many they are."""

    id: str
    value: Json
    problem: str = ""
    group: int = NO_GROUP
    count: int = 0
    group_bytes: int = 0


class ItemsMade:
    """Fills `plan.items.Items`. `groups` has the rows of all groups, one group after the other."""

    def __init__(self, pieces: Pieces, groups: ListAside | None = None) -> None:
        self._pieces = pieces
        self._groups = groups
        self._places = array("q")
        self._sizes = array("q")
        self._new: list[bytes] = []
        self._new_bytes = 0
        self._count = 0
        self.longest = 0

    def add(self, row: MadeRow) -> None:
        """Raises StorageError."""
        value = pack(row.value)
        self.longest = max(self.longest, len(value) + row.group_bytes)
        self._new.append(pack_list((pack(row.id), pack(row.problem), value, pack(row.group), pack(row.count))))
        self._new_bytes += len(value)
        self._count += 1
        if self._new_bytes >= PIECE_BYTES:
            piece = pack_list(self._new)
            self._places.append(self._pieces.put(piece))
            self._sizes.append(len(piece))
            self._new, self._new_bytes = [], 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        index = 0
        for place, size in zip(self._places, self._sizes, strict=True):
            for packed in unpack(self._pieces.get(place, size)):
                yield self._item(packed, index)
                index += 1
        for one in self._new:
            yield self._item(unpack(one), index)
            index += 1

    def _item(self, packed: list[Json], index: int) -> Item:
        name, problem, value, start, count = packed
        return Item(name, value, index, problem, self._group(start, count))

    def _group(self, start: int, count: int) -> Sequence[Json] | None:
        """The rows of a group: a list, unless they are many."""
        if start == NO_GROUP or self._groups is None:
            return None
        rows = self._groups.part(start, count)
        return rows if count > MANY else list(rows)
