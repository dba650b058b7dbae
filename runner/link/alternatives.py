"""A schema as alternatives: lists of plain schemas that hold together, without references and choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from urllib.parse import unquote

from runner.core.canonical import Json

Plain = Mapping[str, Json]
Alternative = tuple[Plain, ...]

MOST_ALTERNATIVES = 64
ALL_TYPES = frozenset(("null", "boolean", "number", "string", "array", "object"))
_CHOICES = ("anyOf", "oneOf")


class TooMany(Exception):
    """More alternatives than are looked at."""


def words_of(alternatives: Iterable[Alternative]) -> tuple[Json, ...] | None:
    """All values that a value can have, where its schema lists them, else None."""
    values: list[Json] = []
    for alternative in alternatives:
        lists = [listed_values(schema) for schema in alternative]
        known = [values for values in lists if values is not None]
        if known:
            values += [value for value in known[0] if all(value in other for other in known[1:])]
        elif types_of(alternative) == {"null"}:
            values.append(None)
        else:
            return None
    return tuple(values)


def listed_values(schema: Plain) -> Sequence[Json] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def spread(schema: Json, root: Json) -> list[Alternative]:
    """The alternatives of a schema; those that nothing can fit are left out."""
    if schema is False:
        return []
    if schema is True:
        return [()]
    assert isinstance(schema, dict)
    parts: list[list[Alternative]] = [[(schema,)]]
    if "$ref" in schema:
        parts.append(spread(_target(schema["$ref"], root), root))
    parts += [spread(inner, root) for inner in schema.get("allOf", ())]
    parts += [_choices(schema[keyword], root) for keyword in _CHOICES if keyword in schema]
    if "if" in schema:
        parts.append(_condition(schema, root))
    parts += [[(), *spread(inner, root)] for inner in schema.get("dependentSchemas", {}).values()]
    return joined(parts)


def _choices(schemas: Iterable[Json], root: Json) -> list[Alternative]:
    return [alternative for schema in schemas for alternative in spread(schema, root)]


def _condition(schema: Plain, root: Json) -> list[Alternative]:
    holds = joined([spread(schema["if"], root), spread(schema.get("then", True), root)])
    return [*holds, *spread(schema.get("else", True), root)]


def joined(parts: Sequence[list[Alternative]]) -> list[Alternative]:
    found: list[Alternative] = [()]
    for part in parts:
        found = [(*left, *right) for left, right in product(found, part)]
        found = [alternative for alternative in found if types_of(alternative)]
        if len(found) > MOST_ALTERNATIVES:
            raise TooMany
    return found


def _target(ref: str, root: Json) -> Json:
    found = root
    for token in unquote(ref.removeprefix("#")).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def types_of(alternative: Alternative) -> frozenset[str]:
    found = ALL_TYPES
    for schema in alternative:
        found &= types_of_schema(schema)
    return found


def types_of_schema(schema: Plain) -> frozenset[str]:
    written = schema.get("type")
    if written is not None:
        names = [written] if isinstance(written, str) else written
        return frozenset("number" if name == "integer" else name for name in names)
    values = listed_values(schema)
    return ALL_TYPES if values is None else frozenset(map(_type_of_value, values))


def _type_of_value(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"
