"""Where schemas stand inside a schema (2020-12): everything else inside is data."""

from __future__ import annotations

from collections.abc import Iterator

from runner.core.canonical import Json, escape_pointer

HOLDS_ONE = frozenset(
    (
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    )
)
HOLDS_LIST = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
HOLDS_NAMED = frozenset(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"))

# These apply to the very value that the schema around them applies to.
_SAME_VALUE = frozenset(("if", "then", "else", "not", "allOf", "anyOf", "oneOf", "dependentSchemas"))


def inner_schemas(schema: Json) -> Iterator[tuple[str, str, Json]]:
    """The keyword, the relative JSON pointer and the value of each schema directly inside, in the author's order."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        if keyword in HOLDS_ONE:
            yield keyword, f"/{keyword}", value
        elif keyword in HOLDS_LIST and isinstance(value, list):
            for index, inner in enumerate(value):
                yield keyword, f"/{keyword}/{index}", inner
        elif keyword in HOLDS_NAMED and isinstance(value, dict):
            for name, inner in value.items():
                yield keyword, f"/{keyword}/{escape_pointer(name)}", inner


def every_schema(schema: Json, pointer: str = "") -> Iterator[tuple[str, Json]]:
    """The schema itself and all inside, outermost first, each with its JSON pointer."""
    yield pointer, schema
    for _, path, inner in inner_schemas(schema):
        yield from every_schema(inner, pointer + path)


def same_value_schemas(schema: Json) -> Iterator[str]:
    """Relative pointers of the inner schemas that apply to the same value: following them goes no deeper."""
    for keyword, path, _ in inner_schemas(schema):
        if keyword in _SAME_VALUE:
            yield path


def value_at(document: Json, pointer: str) -> Json:
    """The value at a JSON pointer that is known to lead somewhere."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document
