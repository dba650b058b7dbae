"""Which schemas inside a schema say something of a value, and how certain it is that they do."""

from __future__ import annotations

from urllib.parse import unquote

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.output.keywords import inner_schemas

# What these hold says nothing of a value that fits, or is never looked at by itself.
_ASIDE = frozenset(("not", "if", "$defs", "definitions", "propertyNames", "contentSchema"))
_CHOICES = frozenset(("anyOf", "oneOf", "then", "else", "dependentSchemas", "patternProperties"))
_SAME_VALUE = frozenset(("allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas"))
_REMARKS = frozenset(("$ref", "$defs", "definitions", "title", "description", "default", "examples", "deprecated"))


@dataclass(frozen=True, slots=True)
class Reached:
    """`is_choice`: a value may fit the whole without this schema; `is_shared`: others speak of the same value too."""

    is_choice: bool = False
    is_shared: bool = False


def reached_schemas(root: Json) -> dict[str, Reached]:
    """Every schema that a value can come to, by its pointer; choices only where there is no certain way."""
    found: dict[str, Reached] = {}
    waiting = [("", root, Reached())]
    while waiting:
        pointer, schema, way = waiting.pop()
        known = found.get(pointer)
        if known is not None:
            way = Reached(known.is_choice and way.is_choice, known.is_shared or way.is_shared)
            if way == known:
                continue
        found[pointer] = way
        if not isinstance(schema, dict):
            continue
        for keyword, path, inner in inner_schemas(schema):
            if keyword not in _ASIDE:
                is_choice = way.is_choice or keyword in _CHOICES
                waiting.append((pointer + path, inner, Reached(is_choice, way.is_shared or keyword in _SAME_VALUE)))
        if "$ref" in schema:
            target = target_pointer(schema)
            is_shared = way.is_shared or not schema.keys() <= _REMARKS
            waiting.append((target, schema_at(root, target), Reached(way.is_choice, is_shared)))
    return found


def target_pointer(schema: dict[str, Json]) -> str:
    return unquote(schema["$ref"][1:])


def schema_at(root: Json, pointer: str) -> Json:
    found = root
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found
