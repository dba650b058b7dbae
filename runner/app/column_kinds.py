"""What the columns of tables are to hold, as far as schemas say: so an empty column has a type, and always the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from runner.core.canonical import Json
from runner.core.workflow import OutputTable
from runner.dialects.keywords import type_of_value
from runner.link.alternatives import Alternative
from runner.link.parts import Linked
from runner.link.paths import Typed, type_at
from runner.link.readings import Reading
from runner.rows.column_kinds import FieldsOf, Kind, ListOf, common
from runner.templates.trail import ELEMENT

DEEPEST = 8
_PLAIN_PATH = re.compile(r"\s*[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\s*")
_SCALARS: Mapping[str, Kind] = {
    "null": "nothing",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "string": "string",
}


def declared_kinds(table: OutputTable, linked: Linked) -> dict[str, Kind]:
    """The kinds of the columns that are a plain path to something with a type."""
    plain = {id(text): name for name, text in table.columns.items() if _PLAIN_PATH.fullmatch(text.text)}
    found = {plain[id(one.text.source)]: one for one in linked.typing.readings if id(one.text.source) in plain}
    return {
        name: _kind(reading.typed, reading, reading.path[reading.subject.start :]) for name, reading in found.items()
    }


def _kind(typed: Typed, reading: Reading, path: tuple[str, ...], depth: int = 0) -> Kind:
    """What every value of the type fits; "nothing" where the type leaves it to the values."""
    if typed.kind != "value" or depth > DEEPEST:
        return "nothing"
    return common(_of(alternative, reading, path, depth) for alternative in typed.alternatives)


def _of(alternative: Alternative, reading: Reading, path: tuple[str, ...], depth: int) -> Kind:
    words = set.intersection(*map(_words, alternative)) if alternative else set(_ALL)
    if words == _ALL:
        return "nothing"
    return common(_of_word(word, alternative, reading, path, depth) for word in sorted(words))


def _of_word(word: str, alternative: Alternative, reading: Reading, path: tuple[str, ...], depth: int) -> Kind:
    def below(part: str) -> Kind:
        inner, subject = (*path, part), reading.subject
        return _kind(type_at(subject.schema, inner, subject.root), reading, inner, depth + 1)

    if word == "array":
        return ListOf(below(ELEMENT))
    if word == "object":
        names = dict.fromkeys(name for schema in alternative for name in schema.get("properties", {}))
        return FieldsOf({name: below(name) for name in names})
    return _SCALARS[word]


_ALL = {*_SCALARS, "array", "object"}


def _words(schema: Mapping[str, Json]) -> set[str]:
    """The types that a schema allows, an integer being no other number where it says so."""
    written = schema.get("type")
    if written is not None:
        return {written} if isinstance(written, str) else set(written)
    values: Iterable[Json] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    return _ALL if values is None else {type_of_value(value) for value in values}
