"""Rows in groups, in another order, and beside their partners, in memory that does not grow with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from runner.core.aside import Aside, pack, unpack
from runner.core.canonical import Json, NotJson, digest_of, ensure_json, ordered
from runner.core.frozen import replace
from runner.core.problem import Problem
from runner.link.parts import LinkedSource
from runner.plan.ingredients import MANY
from runner.plan.items import Item, Row, name_of
from runner.plan.items_made import MadeRow
from runner.plan.making import BETWEEN
from runner.plan.order import key_of, key_of_value
from runner.plan.spill import ListAside, Sorter
from runner.templates.problems import RenderFailed

LONGEST_ID = 80
LONG_ID_DIGITS = 16
_NO_TEXT = re.compile(r'[-0-9"\[{]|(null|true|false)$')


class PartnersAside:
    """The rows of a source by the value of a field."""

    def __init__(self, rows: Iterable[Item], on: str, source: str, aside: Aside) -> None:
        sorter = Sorter(aside.pieces)
        for item in rows:
            sorter.add(
                key_of_value(_field(item.value, on, f"row '{item.id}' of '{source}'")), pack([item.id, item.value])
            )
        self._rows = ListAside(aside.pieces())
        self._places = aside.table()
        self.most = 0
        for key, found in groupby(sorter, itemgetter(0)):
            start = len(self._rows)
            for _, data in found:
                self._rows.append(data)
            count = len(self._rows) - start
            self.most = max(self.most, count)
            self._places[key.hex()] = f"{start} {count}"

    def of(self, value: Json) -> Iterator[Item]:
        """The rows that have this value, in the order of their source."""
        place = self._places.get(key_of_value(value).hex())
        if place is not None:
            start, count = map(int, place.split())
            yield from (Item(name, row) for name, row in self._rows.part(start, count))


class Grouping:
    """Takes rows, and makes one of each group. `values` is what its columns see besides."""

    def __init__(self, source: LinkedSource, values: Mapping[str, Json], aside: Aside, kept: ListAside) -> None:
        self.source = source
        self.values = values
        self.aside = aside
        self.kept = kept
        self._sorter = Sorter(aside.pieces)

    def add(self, row: MadeRow) -> None:
        """Raises RenderFailed for a row that belongs to no group, and StorageError."""
        fields = self.source.made.group
        key = b"".join(key_of_value(_field(row.value, name, f"row '{row.id}'")) for name in fields)
        self._sorter.add(key, pack(row.value))

    def rows(self) -> Iterator[MadeRow]:
        """In the order of what they have in common. Raises RenderFailed and StorageError."""
        for _, found in groupby(self._sorter, itemgetter(0)):
            yield self._row(data for _, data in found)

    def _row(self, packed: Iterator[bytes]) -> MadeRow:
        """The row of one group."""
        columns = self.source.columns
        kept = ListAside(self.aside.pieces()) if columns else self.kept
        start, size, first = len(kept), 0, b""
        for data in packed:
            first = first or data
            size += len(data)
            kept.append(data)
        count = len(kept) - start
        whole = unpack(first)
        common = {name: whole[name] for name in self.source.made.group}
        if not columns:
            name, problem = self._name(common, common)
            return MadeRow(name, common, problem, start, count, size)
        group: Sequence[Json] = kept.part(start, count)
        seen = {**self.values, "item": common, "group": group if count > MANY else list(group)}
        row = {name: column.evaluate(seen) for name, column in columns.items()}
        try:
            ensure_json(row)
        except NotJson as error:
            raise RenderFailed(Problem("bad-row", f"the row of a group cannot be written as JSON: {error}")) from None
        name, problem = self._name(common, row)
        return MadeRow(name, row, problem)

    def _name(self, common: Mapping[str, Json], row: Json) -> tuple[str, str]:
        if self.source.source.key:
            name, problem = name_of(Row(row, 0), self.source.source.key)
            if not problem:
                return name, ""
            return _name_of_group(common), problem
        return _name_of_group(common), ""


class Sorting:
    """Takes rows, and gives them in another order; equal ones stay in that which they have."""

    def __init__(self, fields: Sequence[str], aside: Aside) -> None:
        self._fields = fields
        self._sorter = Sorter(aside.pieces)

    def add(self, row: MadeRow) -> None:
        """Raises StorageError."""
        data = pack([row.id, row.value, row.problem, row.group, row.count, row.group_bytes])
        self._sorter.add(key_of(row.value, self._fields), data)

    def rows(self) -> Iterator[MadeRow]:
        for _, data in self._sorter:
            yield MadeRow(*unpack(data))


class Numbering:
    """Gives rows ids of their own, however many there are."""

    def __init__(self, aside: Aside) -> None:
        self._seen = aside.table()

    def unique(self, row: MadeRow) -> MadeRow:
        count = int(self._seen.get(row.id) or 0) + 1
        self._seen[row.id] = str(count)
        if count == 1:
            return row
        name = f"{row.id}#{count}"
        while self._seen.get(name) is not None:
            name += "#"
        self._seen[name] = "1"
        return replace(row, id=name)


def _field(row: Json, name: str, title: str) -> Json:
    """Raises RenderFailed where the row has no such field."""
    if not isinstance(row, dict) or name not in row:
        raise RenderFailed(Problem("bad-row", f"{title} has no field '{name}'"))
    return row[name]


def _name_of_group(common: Mapping[str, Json]) -> str:
    """What the rows have in common, as the id of their group; no two groups have the same."""
    name = BETWEEN.join(map(_spelled, common.values()))
    return name if len(name) <= LONGEST_ID else digest_of(list(common.values()))[:LONG_ID_DIGITS]


def _spelled(value: Json) -> str:
    """A text as it stands, unless it could be taken for something else."""
    if isinstance(value, str) and value and not _NO_TEXT.match(value):
        return value.replace(BETWEEN, "%2F")
    return ordered(value).decode().replace(BETWEEN, "%2F")
