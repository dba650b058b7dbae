"""Rows to items with stable ids: a reordered list asks nothing again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.core.canonical import Json, NotJson, digest_of, ensure_json
from runner.core.frozen import dataclass

ID_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read; `problem` says what is wrong with it, `line` counts from 1."""

    value: Json
    line: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One element of a lane. `id` is its key, else a digest of its value; `index` its place in the source."""

    id: str
    value: Json
    index: int = 0
    problem: str = ""


ROOT_ITEM = Item("", None)


def identify(rows: Iterable[Row], key: str = "") -> Iterator[Item]:
    """Rows with their ids, in order. A row without a usable key, or with one that came before, is a bad item."""
    seen: dict[str, int] = {}
    made: set[str] = set()
    for index, row in enumerate(rows):
        name, problem = name_of(row, key)
        count = seen[name] = seen.get(name, 0) + 1
        if count > 1 and key and not problem:
            problem = f"key '{name}' came before"
        unique = name if count == 1 else f"{name}#{count}"
        while unique in made or (unique != name and unique in seen):
            unique += "#"  # a key that looks like a numbered one
        if unique != name:
            made.add(unique)
        yield Item(unique, row.value, index, row.problem or problem)


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
