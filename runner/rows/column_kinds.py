"""What a column of a table holds, found from its values: the narrowest kind that all of them fit exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Literal

import orjson

from runner.core.canonical import Json
from runner.core.frozen import dataclass

MOST_FIELDS = 256
_EXACT = 2**53
_LARGEST = 2**63

Word = Literal["nothing", "boolean", "integer", "long", "number", "string", "json"]
"""A `long` is an integer that a floating number cannot hold; `json` is a value of any kind, spelled as JSON."""


@dataclass(frozen=True, slots=True)
class ListOf:
    items: Kind


@dataclass(frozen=True, slots=True)
class FieldsOf:
    fields: Mapping[str, Kind]


Kind = Word | ListOf | FieldsOf
Cell = Callable[[Json], Json]


def kind_of(value: Json) -> Kind:
    match value:
        case None:
            return "nothing"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer" if abs(value) <= _EXACT else "long" if -_LARGEST <= value < _LARGEST else "json"
        case float():
            return "number"
        case list() | tuple():
            return ListOf(common(map(kind_of, value)))
        case _:
            return FieldsOf({name: kind_of(inner) for name, inner in value.items()})


def common(kinds: Iterable[Kind]) -> Kind:
    return reduce(widened, kinds, "nothing")


def widened(one: Kind, other: Kind) -> Kind:
    """The narrowest kind that the values of both fit; JSON as text where none does."""
    if one == other or other == "nothing":
        return one
    if one == "nothing":
        return other
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        return ListOf(widened(one.items, other.items))
    if isinstance(one, FieldsOf) and isinstance(other, FieldsOf):
        names = dict.fromkeys((*one.fields, *other.fields))
        if len(names) > MOST_FIELDS:
            return "json"
        none: Kind = "nothing"
        return FieldsOf({name: widened(one.fields.get(name, none), other.fields.get(name, none)) for name in names})
    both = {one, other} if isinstance(one, str) and isinstance(other, str) else {"json"}
    return "long" if both == {"integer", "long"} else "number" if both == {"integer", "number"} else "json"


def settled(kind: Kind) -> Kind:
    """The kind that is written: mappings without a field and values that never came have none of their own."""
    match kind:
        case ListOf():
            return ListOf(settled(kind.items))
        case FieldsOf() if kind.fields:
            return FieldsOf({name: settled(inner) for name, inner in kind.fields.items()})
        case FieldsOf():
            return "json"
        case "nothing":
            return "string"
        case "long":
            return "integer"
        case _:
            return kind


def cell_for(kind: Kind) -> Cell | None:
    """How a value becomes one of a settled kind; None where it is one as it stands."""
    match kind:
        case ListOf():
            return _list_cell(cell_for(kind.items))
        case FieldsOf():
            return _fields_cell({name: cell for name, inner in kind.fields.items() if (cell := cell_for(inner))})
        case "json":
            return lambda value: None if value is None else orjson.dumps(value).decode()
        case _:
            return None


def _list_cell(cell: Cell | None) -> Cell | None:
    return cell and (lambda value: None if value is None else [cell(one) for one in value])


def _fields_cell(cells: Mapping[str, Cell]) -> Cell | None:
    def convert(value: Json) -> Json:
        if value is None:
            return None
        return {name: cells[name](inner) if name in cells else inner for name, inner in value.items()}

    return convert if cells else None
