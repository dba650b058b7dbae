"""What one alternative of a schema says of a field."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.link.alternatives import Alternative, Plain

# Keywords by which other fields decide whether one is there: then its absence cannot be told.
_DECIDED_ELSEWHERE = ("if", "dependentRequired", "dependentSchemas", "dependencies")


@dataclass(frozen=True, slots=True)
class Member:
    """What one alternative has at a part: `schemas` that hold there, or nothing.

    `is_described`: the schema says something of it; `is_named`: by its very name; `is_sure`: it is always there.
    """

    schemas: tuple[Json, ...] = ()
    is_there: bool = True
    is_described: bool = True
    is_named: bool = True
    is_sure: bool = True


ABSENT = Member(is_there=False)


def names_of(mappings: Sequence[Alternative]) -> tuple[str, ...]:
    fields = (field for mapping in mappings for schema in mapping for field in schema.get("properties", {}).items())
    return tuple(dict.fromkeys(name for name, inner in fields if inner is not False))


def is_decided_elsewhere(alternative: Alternative) -> bool:
    return any(keyword in schema for schema in alternative for keyword in _DECIDED_ELSEWHERE)


def member_of(alternative: Alternative, name: str) -> Member:
    """What the schemas that hold together say of a field."""
    said = [_said(schema, name) for schema in alternative]
    if None in said:
        return ABSENT
    schemas = tuple(inner for inners in said for inner in inners or ())
    is_closed = any(schema.get("unevaluatedProperties") is False for schema in alternative)
    if (is_closed and not schemas) or any(schema is False for schema in schemas):
        return ABSENT
    is_named = any(name in schema.get("properties", ()) for schema in alternative)
    is_sure = any(name in schema.get("required", ()) for schema in alternative)
    return Member(schemas, is_described=bool(schemas), is_named=is_named, is_sure=is_sure)


def _said(schema: Plain, name: str) -> list[Json] | None:
    """The schemas that one schema has for a field: none where it does not care, None where it allows no such field."""
    if name in schema.get("properties", ()):
        return [schema["properties"][name]]
    if any(_may_match(pattern, name) for pattern in schema.get("patternProperties", ())):
        return [True]
    extra = schema.get("additionalProperties")
    return None if extra is False else [] if extra in (None, True) else [extra]


def _may_match(pattern: str, name: str) -> bool:
    """A pattern is not run, since it may take for ever; only one that is a plain beginning is known not to match."""
    return not re.fullmatch(r"\^[A-Za-z0-9_-]+", pattern) or name.startswith(pattern[1:])
