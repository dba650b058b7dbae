"""The items of a data source, read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.core.aside import Aside
from runner.plan.items import Items, Named, Row, named, number
from runner.plan.items_aside import ItemsAside
from runner.rows.repeats import Names


def items_of(rows: Iterable[Row], key: str, aside: Aside) -> Items:
    """All rows as items. Raises what reading them raises, and StorageError.

    A second time they are only walked, aside, where names come again.
    """
    names = Names(aside)
    found = ItemsAside(_noted((named(row, key) for row in rows), names), aside.pieces())
    repeated = names.repeated()
    if not repeated.rows:
        return found
    items = number(found.named(), has_keys=bool(key), new_table=aside.table, may_come_again=repeated.may_hold)
    return ItemsAside((Named(item.id, item.value, item.problem) for item in items), aside.pieces())


def _noted(rows: Iterable[Named], names: Names) -> Iterator[Named]:
    for row in rows:
        names.add(row.name)
        yield row
