"""The type of a path through a schema: the one place that says what a value can hold.

A schema is spread into alternatives: lists of plain schemas that hold together, without references and choices. A part
of a path is then looked for in each. What cannot be known is `any`; a claim is made only where every alternative
bears it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Literal
from urllib.parse import unquote

from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.templates.trail import ELEMENT

Kind = Literal["any", "value", "missing", "list", "not-a-mapping"]
Plain = Mapping[str, Json]
Alternative = tuple[Plain, ...]

MOST_ALTERNATIVES = 64
_IN_WORDS = {"string": "text", "number": "a number", "boolean": "true or false", "null": "null"}
_CHOICES = ("anyOf", "oneOf")
_ALL_TYPES = frozenset(("null", "boolean", "number", "string", "array", "object"))
# Keywords by which other fields decide whether one is there: then its absence cannot be told.
_DECIDED_ELSEWHERE = ("if", "dependentRequired", "dependentSchemas", "dependencies")


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a path, by its index, that may find nothing: a field left out, or a value that may be null.

    `is_end`: the whole path leads to what may be null, and a value is needed there.
    """

    index: int
    is_null: bool = False
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands at a path.

    `alternatives` say what the value may be (of kind `value`). For the other kinds `index` is the part that cannot be
    followed and `names` the fields that there are; `found` says what is there instead of a mapping. `unlisted` are
    parts that an open mapping does not name, each with the names that it does.
    """

    kind: Kind
    alternatives: tuple[Alternative, ...] = ()
    index: int = 0
    names: tuple[str, ...] = ()
    found: str = ""
    gaps: tuple[Gap, ...] = ()
    unlisted: tuple[tuple[int, tuple[str, ...]], ...] = ()

    @property
    def is_optional(self) -> bool:
        """Whether some part of the path may find nothing."""
        return bool(self.gaps)


ANY = Typed("any")


class _TooMany(Exception):
    """More alternatives than are looked at."""


def type_at(schema: Json, path: Sequence[str], root: Json) -> Typed:
    """What stands at a path below a value of this schema; its references lead into `root`.

    In the path, "[]" is an element of a list and digits are an index.
    """
    found = type_of(schema, root)
    for index, part in enumerate(path):
        found = type_inside(found, part, index, root)
    return found


def type_of(schema: Json, root: Json) -> Typed:
    """What a value of this schema is."""
    try:
        return Typed("value", tuple(_spread(schema, root)))
    except (_TooMany, RecursionError):
        return ANY


def type_inside(found: Typed, part: str, index: int, root: Json) -> Typed:
    """What stands one part further, the part at this index of its path; what cannot be followed stays as it is."""
    if found.kind != "value":
        return found
    try:
        return _into(found, part, index, root)
    except (_TooMany, RecursionError):
        return ANY


def types_at(found: Typed) -> frozenset[str]:
    """The JSON types that a value can have, integers being numbers; all where nothing is known."""
    if found.kind != "value":
        return _ALL_TYPES
    return frozenset[str]().union(*map(_types, found.alternatives))


def may_be_null(found: Typed) -> bool:
    """Whether a schema allows null in so many words, and something else as well."""
    kinds = [_types(alternative) for alternative in found.alternatives] if found.kind == "value" else []
    return any("null" in types and types != _ALL_TYPES for types in kinds) and any(types != {"null"} for types in kinds)


def words_at(found: Typed) -> tuple[Json, ...] | None:
    """All values that a value can have, where its schema lists them, else None."""
    values: list[Json] = []
    for alternative in found.alternatives:
        lists = [_listed_values(schema) for schema in alternative]
        known = [values for values in lists if values is not None]
        if known:
            values += [value for value in known[0] if all(value in other for other in known[1:])]
        elif _types(alternative) == {"null"}:
            values.append(None)
        else:
            return None
    return tuple(values) if found.kind == "value" else None


def most_elements(found: Typed) -> int | None:
    """How many elements a list has at most; None where nothing bounds it, or it may be no list."""
    most: list[int] = []
    for alternative in found.alternatives if found.kind == "value" else ():
        if "array" not in _types(alternative):
            continue
        bounds = [schema["maxItems"] for schema in alternative if "maxItems" in schema]
        if not bounds:
            return None
        most.append(int(min(bounds)))
    return max(most) if most else None


def _listed_values(schema: Plain) -> Sequence[Json] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


# --- alternatives


def _spread(schema: Json, root: Json) -> list[Alternative]:
    """The alternatives of a schema; those that nothing can fit are left out."""
    if schema is False:
        return []
    if schema is True:
        return [()]
    assert isinstance(schema, dict)
    parts: list[list[Alternative]] = [[(schema,)]]
    if "$ref" in schema:
        parts.append(_spread(_target(schema["$ref"], root), root))
    parts += [_spread(inner, root) for inner in schema.get("allOf", ())]
    parts += [_choices(schema[keyword], root) for keyword in _CHOICES if keyword in schema]
    if "if" in schema:
        parts.append(_condition(schema, root))
    parts += [[(), *_spread(inner, root)] for inner in schema.get("dependentSchemas", {}).values()]
    return _joined(parts)


def _choices(schemas: Iterable[Json], root: Json) -> list[Alternative]:
    return [alternative for schema in schemas for alternative in _spread(schema, root)]


def _condition(schema: Plain, root: Json) -> list[Alternative]:
    holds = _joined([_spread(schema["if"], root), _spread(schema.get("then", True), root)])
    return [*holds, *_spread(schema.get("else", True), root)]


def _joined(parts: Sequence[list[Alternative]]) -> list[Alternative]:
    found: list[Alternative] = [()]
    for part in parts:
        found = [(*left, *right) for left, right in product(found, part)]
        found = [alternative for alternative in found if _types(alternative)]
        if len(found) > MOST_ALTERNATIVES:
            raise _TooMany
    return found


def _target(ref: str, root: Json) -> Json:
    found = root
    for token in unquote(ref.removeprefix("#")).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def _types(alternative: Alternative) -> frozenset[str]:
    found = _ALL_TYPES
    for schema in alternative:
        found &= _types_of(schema)
    return found


def _types_of(schema: Plain) -> frozenset[str]:
    written = schema.get("type")
    if written is not None:
        names = [written] if isinstance(written, str) else written
        return frozenset("number" if name == "integer" else name for name in names)
    values = _listed_values(schema)
    return _ALL_TYPES if values is None else frozenset(map(_type_of_value, values))


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


# --- one part further


@dataclass(frozen=True, slots=True)
class _Step:
    """What one alternative has at a part: `schemas` that hold there, or nothing.

    `is_described`: the schema says something of it; `is_named`: by its very name; `is_sure`: it is always there.
    """

    schemas: tuple[Json, ...] = ()
    is_there: bool = True
    is_described: bool = True
    is_named: bool = True
    is_sure: bool = True


_ABSENT = _Step(is_there=False)


def _into(value: Typed, part: str, index: int, root: Json) -> Typed:
    if part == ELEMENT or part.lstrip("-").isdigit():
        return _into_list(value, part, root)
    kinds = frozenset[str]().union(*(_kinds(alternative) for alternative in value.alternatives))
    mappings = [alternative for alternative in value.alternatives if "object" in _kinds(alternative)]
    steps = [_field(alternative, part) for alternative in mappings]
    found = [step for step in steps if step.is_there]
    if not kinds:
        return ANY
    if not found:
        return _nothing(value, kinds, mappings, index)
    gaps = value.gaps
    if "null" in kinds:
        gaps = (*gaps, Gap(index - 1, is_null=True))
    if all(step.is_named and not step.is_sure for step in steps) and not any(map(_is_decided_elsewhere, mappings)):
        gaps = (*gaps, Gap(index))
    unlisted = value.unlisted
    names = _names(mappings)
    if names and not any(step.is_described for step in found):
        unlisted = (*unlisted, (index, names))
    return replace(_union(found, root), gaps=gaps, unlisted=unlisted)


def _kinds(alternative: Alternative) -> frozenset[str]:
    """The types that matter where a field is read: a schema without any is that of a mapping."""
    types = _types(alternative)
    return frozenset(("object",)) if types == _ALL_TYPES else types


def _nothing(value: Typed, kinds: frozenset[str], mappings: Sequence[Alternative], index: int) -> Typed:
    """Why no alternative has the field."""
    if mappings:
        return replace(value, kind="missing", index=index, names=_names(mappings))
    if "array" in kinds:
        return replace(value, kind="list", index=index)
    found = " or ".join(word for kind, word in _IN_WORDS.items() if kind in kinds)
    return replace(value, kind="not-a-mapping", index=index, found=found)


def _names(mappings: Sequence[Alternative]) -> tuple[str, ...]:
    fields = (field for mapping in mappings for schema in mapping for field in schema.get("properties", {}).items())
    return tuple(dict.fromkeys(name for name, inner in fields if inner is not False))


def _is_decided_elsewhere(alternative: Alternative) -> bool:
    return any(keyword in schema for schema in alternative for keyword in _DECIDED_ELSEWHERE)


def _field(alternative: Alternative, name: str) -> _Step:
    """What the schemas that hold together say of a field."""
    said = [_said(schema, name) for schema in alternative]
    if None in said:
        return _ABSENT
    schemas = tuple(inner for inners in said for inner in inners or ())
    is_closed = any(schema.get("unevaluatedProperties") is False for schema in alternative)
    if (is_closed and not schemas) or any(schema is False for schema in schemas):
        return _ABSENT
    is_named = any(name in schema.get("properties", ()) for schema in alternative)
    is_sure = any(name in schema.get("required", ()) for schema in alternative)
    return _Step(schemas, is_described=bool(schemas), is_named=is_named, is_sure=is_sure)


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


def _into_list(value: Typed, part: str, root: Json) -> Typed:
    """An element. What is no list for sure says nothing: texts and mappings have elements too."""
    kinds = [_types(alternative) - {"null"} for alternative in value.alternatives]
    lists = [alternative for alternative, types in zip(value.alternatives, kinds, strict=True) if types]
    if not lists or not all(types == {"array"} for types in kinds if types):
        return ANY
    steps = [_Step(schemas) for alternative in lists for schemas in _elements(alternative, part)]
    return replace(_union(steps, root), gaps=value.gaps, unlisted=value.unlisted)


def _elements(alternative: Alternative, part: str) -> Iterator[tuple[Json, ...]]:
    """The schemas that hold together for an element, once for each kind of element."""
    firsts = max((len(schema.get("prefixItems", ())) for schema in alternative), default=0)
    positions = [int(part)] if part.isdigit() else range(firsts + 1)
    for position in positions:
        yield tuple(_element(schema, position) for schema in alternative)


def _element(schema: Plain, position: int) -> Json:
    firsts = schema.get("prefixItems", ())
    return firsts[position] if position < len(firsts) else schema.get("items", True)


def _union(steps: Iterable[_Step], root: Json) -> Typed:
    """What a value is that has one of several types; `any` where one of them says nothing."""
    found = [alternative for step in steps for alternative in _joined([_spread(one, root) for one in step.schemas])]
    if len(found) > MOST_ALTERNATIVES:
        raise _TooMany
    return Typed("value", tuple(found)) if found and all(found) else ANY
