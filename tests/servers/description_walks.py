"""Three ways in which vendors describe the bodies that they take, each walked strictly: an unknown field, a field that
must be there and is not, and a value of another kind are told, each with its place.

Google publishes discovery documents, OpenAI an OpenAPI document and, in its client, typed dictionaries.
"""

from __future__ import annotations

import base64
import binascii
import re
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, TypeAlias, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

Json: TypeAlias = Any
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_SIMPLE: Mapping[str, Callable[[Json], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def fields_of(
    value: Json,
    known: Mapping[str, Any],
    needed: Iterable[str],
    where: str,
    inner: Callable[[Json, Any, str], list[str]],
) -> list[str]:
    """What is wrong with an object whose fields are known."""
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    found = [f"{where}: '{name}' is missing" for name in needed if name not in value]
    for name, each in value.items():
        place = f"{where}.{name}"
        found += inner(each, known[name], place) if name in known else [f"{place}: unknown field"]
    return found


def nearest_of(options: Iterable[list[str]]) -> list[str]:
    """What is wrong by the option that comes nearest: [] when one of them takes the value."""
    return min(options, key=lambda found: (len(found), [-one.count(".") for one in found]))


class Discovery:
    """The schemas of a discovery document of Google's; `prefix` goes before each name. `more` adds fields to schemas."""

    def __init__(
        self, schemas: Mapping[str, Any], prefix: str = "", more: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self._schemas = schemas
        self._prefix = prefix
        self._more = more or {}

    def problems(self, name: str, value: Json) -> list[str]:
        return self._walk(value, {"$ref": self._prefix + name}, name)

    def _walk(self, value: Json, schema: Mapping[str, Any], where: str) -> list[str]:
        if "$ref" in schema:
            name = schema["$ref"]
            # One document refers to a schema that it leaves out: what is behind it cannot be judged.
            found = self._schemas.get(name, {"type": "any"})
            more = self._more.get(name.removeprefix(self._prefix), {})
            return self._walk(value, {**found, "properties": {**found.get("properties", {}), **more}}, where)
        kind = schema["type"]
        if kind == "object":
            return self._object(value, schema, where)
        if kind == "array":
            if not isinstance(value, list):
                return [f"{where}: {value!r} is no array"]
            return [one for n, each in enumerate(value) for one in self._walk(each, schema["items"], f"{where}[{n}]")]
        if kind == "integer" and isinstance(value, float) and value.is_integer():
            return []  # JSON has one kind of number, and Google's own client writes 3.0
        if kind != "any" and not (_SIMPLE[kind](value) and _fits_form(value, schema)):
            return [f"{where}: {value!r} is no {schema.get('format') or kind}"]
        return []

    def _object(self, value: Json, schema: Mapping[str, Any], where: str) -> list[str]:
        known = schema.get("properties") or {}
        if not known and "additionalProperties" in schema and isinstance(value, dict):
            rest = schema["additionalProperties"]
            return [one for name, each in value.items() for one in self._walk(each, rest, f"{where}.{name}")]
        return fields_of(value, known, (), where, self._walk) if known else []


def _fits_form(value: Json, schema: Mapping[str, Any]) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    match schema.get("format"):
        case "byte":
            try:
                base64.b64decode(value, validate=True)
            except binascii.Error:
                return False
            return True
        case "google-duration":
            return _DURATION.fullmatch(value) is not None
        case "int64":
            return str(value).removeprefix("-").isdigit()
        case _:
            return True


class OpenApi:
    """The schemas of an OpenAPI 3.1 document; an object with properties has no others unless it says so."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def problems(self, name: str, value: Json) -> list[str]:
        return self._walk(value, {"$ref": f"#/components/schemas/{name}"}, name)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _flat(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the parts of `allOf` in it."""
        schema = self._resolved(schema)
        if "allOf" not in schema:
            return schema
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in map(self._flat, schema["allOf"]):
            for name, value in part.items():
                if name == "properties":
                    merged["properties"] = {**merged.get("properties", {}), **value}
                elif name == "required":
                    merged["required"] = [*merged.get("required", []), *value]
                else:
                    merged.setdefault(name, value)
        return merged

    def _walk(self, value: Json, given: Mapping[str, Any], where: str) -> list[str]:
        schema = self._flat(given)
        if value is None and (schema.get("nullable") or schema.get("type") == "null"):
            return []
        for key in ("anyOf", "oneOf"):
            if key in schema:
                beside = {name: inner for name, inner in schema.items() if name in {"properties", "required"}}
                parts = [{"allOf": [part, beside]} if beside else part for part in schema[key]]
                return nearest_of(self._walk(value, part, where) for part in parts)
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: {value!r} is none of {schema['enum']}"]
        kinds = schema.get("type", "object" if "properties" in schema else None)
        kinds = kinds if isinstance(kinds, list) else [kinds] if kinds else list(_SIMPLE)
        if not any(_SIMPLE[kind](value) for kind in kinds):
            return [f"{where}: {value!r} is no {' or '.join(kinds)}"]
        return self._bounds(value, schema, where) + self._inside(value, schema, where)

    def _inside(self, value: Json, schema: Mapping[str, Any], where: str) -> list[str]:
        if isinstance(value, list) and "items" in schema:
            return [one for n, each in enumerate(value) for one in self._walk(each, schema["items"], f"{where}[{n}]")]
        if not isinstance(value, dict) or "properties" not in schema:
            rest = schema.get("additionalProperties")
            if not isinstance(value, dict) or not isinstance(rest, dict):
                return []
            return [one for name, each in value.items() for one in self._walk(each, rest, f"{where}.{name}")]
        known = schema["properties"]
        if schema.get("additionalProperties") is True:
            known = {**{key: {} for key in value}, **known}
        return fields_of(value, known, schema.get("required", ()), where, self._walk)

    def _bounds(self, value: Json, schema: Mapping[str, Any], where: str) -> list[str]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        low, high = schema.get("minimum"), schema.get("maximum")
        if is_number and ((low is not None and value < low) or (high is not None and value > high)):
            return [f"{where}: {value} is not within {low}..{high}"]
        if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9):
            return [f"{where}: it has {len(value)} elements"]
        if isinstance(value, str) and len(value) > schema.get("maxLength", 10**9):
            return [f"{where}: it is longer than {schema['maxLength']}"]
        return []


def typed_problems(value: Json, hint: Any, where: str) -> list[str]:
    """What is wrong with a value by a type hint: typed dictionaries have their own fields and no others."""
    origin, given = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return []
    if origin in (Required, NotRequired, Annotated):
        return typed_problems(value, given[0], where)
    if origin in (Union, types.UnionType):
        return nearest_of(typed_problems(value, each, where) for each in _meant(value, hint))
    if origin is Literal:
        return [] if value in given else [f"{where}: {value!r} is none of {given}"]
    if is_typeddict(hint):
        known, needed = _fields_of(hint)
        return fields_of(value, known, needed, where, typed_problems)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no object"]
        return [one for name, each in value.items() for one in typed_problems(each, given[1], f"{where}.{name}")]
    if origin is not None:  # the one or the other kind of list
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no array"]
        return [one for n, each in enumerate(value) for one in typed_problems(each, given[0], f"{where}[{n}]")]
    kinds = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    kind = kinds[hint]
    return [] if _SIMPLE[kind](value) else [f"{where}: {value!r} is no {kind}"]


def _meant(value: Json, union: Any) -> list[Any]:
    """The options of a union whose words for `type` and `role` are those of the value; all where none is."""
    options = _options_of(union)
    if isinstance(value, dict):
        fitting = [hint for hint, words in options if all(value.get(name) in allowed for name, allowed in words)]
    else:
        fitting = [hint for hint, words in options if not words]
    return fitting or [hint for hint, _ in options]


@cache
def _options_of(union: Any) -> list[tuple[Any, list[tuple[str, tuple[Any, ...]]]]]:
    """Each option of a union, flat, with the words that say which one is meant."""
    found: list[tuple[Any, list[tuple[str, tuple[Any, ...]]]]] = []
    for hint in get_args(union):
        if get_origin(hint) in (Union, types.UnionType):
            found += _options_of(hint)
            continue
        words = []
        if is_typeddict(hint):
            for name, each in _fields_of(hint)[0].items():
                inner = get_args(each)[0] if _is(each, Required) else None
                if name in ("type", "role") and get_origin(inner) is Literal:
                    words.append((name, get_args(inner)))
        found.append((hint, words))
    return found


def _is(hint: Any, mark: Any) -> bool:
    return bool(get_origin(hint) == mark)


@cache
def _fields_of(hint: Any) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The fields of a typed dictionary, and those that must be there: each class says so for its own."""
    hints: Mapping[str, Any] = get_type_hints(hint, include_extras=True)
    bases = [_fields_of(base) for base in getattr(hint, "__orig_bases__", ()) if is_typeddict(base)]
    own = set(hints) - {name for fields, _ in bases for name in fields}
    needed = {name for name in own if _is(hints[name], Required)}
    if hint.__total__:
        needed |= {name for name in own if not _is(hints[name], NotRequired)}
    return hints, frozenset(needed.union(*(names for _, names in bases)))
