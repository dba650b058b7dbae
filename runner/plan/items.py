"""Rows to items with stable ids: a reordered list asks nothing again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from runner.core.aside import Table
from runner.core.canonical import Json, NotJson, digest_of, ensure_json, ordered
from runner.core.frozen import dataclass

ID_DIGITS = 10
_NUMBERED = re.compile(r"(?P<name>.*)#[0-9]+#*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read; `problem` says what is wrong with it, `line` counts from 1."""

    value: Json
    line: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One element of a lane. `id` is its key, else a digest of its value; `index` its place in the source.

    `group` has the rows of a group, where the element is one.
    """

    id: str
    value: Json
    index: int = 0
    problem: str = ""
    group: Sequence[Json] | None = None


class Items(Protocol):
    """The items of a list or of a source, in order; they may be walked any number of times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...

    @property
    def longest(self) -> int:
        """The bytes of the longest value."""
        ...


class ItemList(tuple[Item, ...]):
    """Items in memory."""

    __slots__ = ()

    @property
    def longest(self) -> int:
        return max((len(ordered(item.value)) for item in self), default=0)


@dataclass(frozen=True, slots=True)
class AtMost:
    """Items of which nothing is known but how long one can be."""

    longest: int

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Item]:
        return iter(())


ROOT_ITEM = Item("", None)


@dataclass(frozen=True, slots=True)
class Named:
    """A row with the name that it has before repeats are numbered."""

    name: str
    value: Json
    problem: str = ""


def identify(rows: Iterable[Row], key: str = "") -> Iterator[Item]:
    """Rows with their ids, in order. A row without a usable key, or with one that came before, is a bad item."""
    return number((named(row, key) for row in rows), has_keys=bool(key))


def named(row: Row, key: str) -> Named:
    name, problem = name_of(row, key)
    return Named(name, row.value, row.problem or problem)


def number(
    rows: Iterable[Named],
    *,
    has_keys: bool,
    new_table: Callable[[], Table] = dict,
    may_come_again: Callable[[str], bool] = lambda _: True,
) -> Iterator[Item]:
    """Names to ids of their own. Rows that `may_come_again` does not hold for are not remembered."""
    seen, made = new_table(), new_table()
    for index, row in enumerate(rows):
        name, problem = row.name, row.problem
        if not may_come_again(name) and not may_come_again(unnumbered(name)):
            yield Item(name, row.value, index, problem)
            continue
        count = int(seen.get(name) or 0) + 1
        seen[name] = str(count)
        if count > 1 and has_keys and not problem:
            problem = f"key '{name}' came before"
        unique = name if count == 1 else f"{name}#{count}"
        while made.get(unique) is not None or (unique != name and seen.get(unique) is not None):
            unique += "#"  # a key that looks like a numbered one
        if unique != name:
            made[unique] = ""
        yield Item(unique, row.value, index, problem)


def unnumbered(name: str) -> str:
    """The name whose repeats are numbered like this; itself where it does not look like one."""
    match = _NUMBERED.fullmatch(name)
    return match["name"] if match else name


def name_of(row: Row, key: str) -> tuple[str, str]:
    """The id of a row before its repeats are numbered, and why it is no good one."""
    if not key:
        try:
            ensure_json(row.value)
        except NotJson as error:
            return f"line-{row.line}", str(error)
        return (f"line-{row.line}" if row.problem else digest_of(row.value)[:ID_DIGITS]), ""
    value = row.value.get(key) if isinstance(row.value, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return f"line-{row.line}", f"field '{key}' holds no key"
    return str(value), ""
