"""A schema in a few words, and a value in a few characters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import unquote

from runner.core.canonical import Json
from runner.output.keywords import value_at

TYPE_WORDS = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_FORMAT_WORDS = {
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time such as 2026-01-31T09:30:00Z",
    "time": "a time such as 09:30:00Z",
    "email": "an e-mail address",
    "uri": "an address (URI)",
    "uuid": "a UUID",
}
_MOST_OPTIONS = 30
_MOST_HOPS = 8


def describe(schema: Json, root: Json) -> str:
    """What fits the schema, such as "an integer from 1 to 5"; `root` is where its references lead."""
    return _describe(schema, root, _MOST_HOPS)


def _describe(schema: Json, root: Json, hops: int) -> str:
    if not isinstance(schema, dict):
        return "any value" if schema else "nothing"
    if "const" in schema:
        return show(schema["const"])
    if "enum" in schema:
        return one_of(schema["enum"])
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return joined([TYPE_WORDS[name] + _bounds(schema, name) for name in types])
    limits = "".join(_bounds(schema, name) for name in ("string", "number", "array", "object"))
    return _untyped(schema, root, hops) + limits


def _untyped(schema: dict[str, Json], root: Json, hops: int) -> str:
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema and hops:
            return joined([_describe(inner, root, hops - 1) for inner in schema[keyword]])
    if "$ref" in schema and hops:
        return _describe(value_at(root, unquote(schema["$ref"][1:])), root, hops - 1)
    return "a value"


def _bounds(schema: dict[str, Json], name: str) -> str:
    match name:
        case "string":
            return _text_bounds(schema)
        case "integer" | "number":
            return _number_bounds(schema)
        case "array":
            different = ", all different" if schema.get("uniqueItems") else ""
            return _count(schema, "minItems", "maxItems", "element") + different
        case "object":
            return _object_bounds(schema)
        case _:
            return ""


def _text_bounds(schema: dict[str, Json]) -> str:
    parts = _count(schema, "minLength", "maxLength", "character")
    if "format" in schema:
        parts += f", {_FORMAT_WORDS.get(schema['format'], 'in the format ' + shorten(schema['format']))}"
    if "pattern" in schema:
        parts += f", matching {shorten(schema['pattern'], 200)}"
    return parts


def _number_bounds(schema: dict[str, Json]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    parts = []
    if low is not None and high is not None:
        parts.append(f" from {low} to {high}")
    elif low is not None:
        parts.append(f", at least {low}")
    elif high is not None:
        parts.append(f", at most {high}")
    if "exclusiveMinimum" in schema:
        parts.append(f", more than {schema['exclusiveMinimum']}")
    if "exclusiveMaximum" in schema:
        parts.append(f", less than {schema['exclusiveMaximum']}")
    if "multipleOf" in schema:
        parts.append(f", a multiple of {schema['multipleOf']}")
    return "".join(parts)


def _object_bounds(schema: dict[str, Json]) -> str:
    names = schema.get("required") or []
    with_names = f" with {listing([quoted(name) for name in names])}" if names else ""
    return with_names + _count(schema, "minProperties", "maxProperties", "property")


def _count(schema: dict[str, Json], least: str, most: str, word: str) -> str:
    return counted(schema.get(least), schema.get(most), word)


def counted(low: Json, high: Json, word: str) -> str:
    """Such as " of 1 to 3 elements", or "" without bounds."""
    if low is None and high is None:
        return ""
    number = high if high is not None else low
    words = word if number == 1 else {"property": "properties"}.get(word, f"{word}s")
    if low is None:
        return f" of at most {high} {words}"
    if high is None:
        return f" of at least {low} {words}"
    return f" of {low} {words}" if low == high else f" of {low} to {high} {words}"


def one_of(options: Sequence[Json]) -> str:
    """The choice in the author's order."""
    if len(options) == 1:
        return show(options[0])
    return f"one of {listing([_option(option) for option in options])}"


def _option(option: Json) -> str:
    if isinstance(option, str) and option.isprintable() and option.strip() == option != "" and "," not in option:
        return shorten(option)
    return show(option)


def listing(words: Sequence[str]) -> str:
    """Words with commas, and how many were left out."""
    shown = list(words[:_MOST_OPTIONS])
    if len(words) > len(shown):
        shown.append(f"… ({len(words) - len(shown)} more)")
    return ", ".join(shown)


def joined(words: Sequence[str]) -> str:
    """Alternatives, each once."""
    return " or ".join(list(dict.fromkeys(words))[:_MOST_OPTIONS])


def show(value: Json) -> str:
    """A value as short, harmless text: answers come from a model."""
    match value:
        case str():
            return f'"{shorten(value)}"'
        case dict():
            return f"an object with {listing([quoted(name) for name in value])}" if value else "an empty object"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return json.dumps(value)


def quoted(name: str) -> str:
    return f"'{shorten(name)}'"


def shorten(text: str, width: int = 60) -> str:
    """The beginning of a text, what a terminal could obey spelt out."""
    cut = text if len(text) <= width else text[:width] + "…"
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in cut)
