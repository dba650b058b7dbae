"""Fields by which rows that are made from others are joined, grouped, sorted and named."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.canonical import Json
from runner.core.derivation import DESCENDING
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.span import Span
from runner.link.parts import LinkedSource
from runner.link.paths import type_at, types_at

_IN_WORDS = {
    "string": "text",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}


def check_derived(context: CheckContext) -> Iterator[Problem]:
    """Fields that no row has, and joins by values that are never equal."""
    for source in context.linked.sources.values():
        yield from _of_join(source)
        before = "an element" if source.made.each is not None else f"a row of '{source.parent}'"
        yield from _fields(source, "group", source.made.group, source.before, before)
        yield from _fields(source, "sort", source.made.sort, source.schema, "a row")
        key = source.source.key
        if key:
            yield from _field(source, "key", key, source.schema, "a row", source.source.at("key"))


def _fields(source: LinkedSource, role: str, names: tuple[str, ...], schema: Json, holder: str) -> Iterator[Problem]:
    for index, name in enumerate(names):
        span = source.made.spans.get(f"{role}.{index}", source.made.at(role))
        yield from _field(source, role, name.removeprefix(DESCENDING) if role == "sort" else name, schema, holder, span)


def _field(source: LinkedSource, role: str, name: str, schema: Json, holder: str, span: Span) -> Iterator[Problem]:
    """A field that rows never have, or may lack where each must be in a group or have a partner."""
    types = types_at(type_at(schema, (), schema))
    if types and "object" not in types:
        yield Problem(
            "unknown-field",
            f"'{role}' of data source '{source.name}' names '{name}', and {holder} is {_said(types)}, which has no fields",
            span,
            fix="name what rows hold where they are made: columns: {word: each}",
        )
        return
    found = type_at(schema, (name,), schema)
    if found.kind == "missing":
        yield Problem(
            "unknown-field",
            f"'{role}' of data source '{source.name}' names '{name}', and {holder} has no such field",
            span,
            expected=f"a field: {listed(found.names)}" if found.names else "",
            nearest=nearest(name, found.names),
            edits=renaming(span, name, found.names),
        )
    elif found.is_optional and role in ("group", "join"):
        yield Problem(
            "may-be-absent",
            f"'{role}' of data source '{source.name}' names '{name}', and {holder} may lack it",
            span,
            fix=f"where: item.{name} is defined, or make '{name}' required",
            severity="warning",
        )


def _of_join(source: LinkedSource) -> Iterator[Problem]:
    join = source.made.join
    if join is None:
        return
    sides = ((source.parent, source.incoming), (source.joined, source.partner))
    told = [
        problem
        for name, schema in sides
        for problem in _field(source, "join", join.on, schema, f"a row of '{name}'", join.at("on"))
    ]
    yield from told
    if type_at(source.incoming, (source.joined,), source.incoming).kind == "value":
        yield Problem(
            "defined-twice",
            f"a row of '{source.parent}' has a field '{source.joined}', and its partner of data.{source.joined} would stand there",
            join.at("with"),
            fix="give the other source another name",
        )
    one, other = (types_at(type_at(schema, (join.on,), schema)) - {"null"} for _, schema in sides)
    if one and other and not one & other and not told:
        yield Problem(
            "never-equal",
            f"'{join.on}' is {_said(one)} in a row of '{source.parent}' and {_said(other)} in one of '{source.joined}', "
            "so that no row has a partner",
            join.at("on"),
        )


def _said(types: frozenset[str]) -> str:
    return " or ".join(_IN_WORDS[name] for name in sorted(types))
