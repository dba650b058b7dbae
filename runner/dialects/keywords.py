"""The keywords of JSON Schema 2020-12 by what they do, and small questions about a schema."""

from __future__ import annotations

from collections.abc import Iterator

from runner.core.canonical import Json

# Keywords that hold schemas.
ONE = frozenset(
    {
        "items",
        "additionalProperties",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
MANY = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})

# Keywords that can make a value wrong; everything else may be dropped without a word.
ASSERTIONS = (
    ONE
    | MANY
    | {"properties", "patternProperties", "dependentSchemas", "$ref", "$dynamicRef", "type", "enum", "const"}
    | {"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern"}
    | {"minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"}
    | {"required", "dependentRequired", "format"}
)
FORMATS = frozenset(
    {
        *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
        *("uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template"),
        *("json-pointer", "relative-json-pointer", "regex"),
    }
)


def types_of(node: Json) -> tuple[str, ...]:
    """The types that `type` names, () when it is not there."""
    named = node.get("type") if isinstance(node, dict) else None
    if isinstance(named, str):
        return (named,)
    return tuple(named) if isinstance(named, list) else ()


def type_of_value(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def is_object_schema(node: Json) -> bool:
    if not isinstance(node, dict):
        return False
    types = types_of(node)
    return "object" in types or (not types and any(key in node for key in ("properties", "patternProperties")))


def target_of(reference: str, root: Json) -> Json | None:
    """The schema that a local `$ref` (`#`, `#/…` or `#anchor`) names, None when there is none."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return next((node for node in _nodes(root) if node.get("$anchor") == reference[1:]), None)
    found = root
    for token in reference[2:].split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def subschemas(node: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    """The schemas directly inside a schema, each with the path to it."""
    for key, value in node.items():
        if key in ONE:
            yield key, value
        elif key in MANY and isinstance(value, list):
            yield from ((f"{key}/{index}", inner) for index, inner in enumerate(value))
        elif key in NAMED and isinstance(value, dict):
            yield from ((f"{key}/{name}", inner) for name, inner in value.items())


def _nodes(node: Json) -> Iterator[dict[str, Json]]:
    if isinstance(node, dict):
        yield node
        for _, inner in subschemas(node):
            yield from _nodes(inner)


def allows_null(node: Json, root: Json, fuel: int = 32) -> bool:
    """Whether null fits the schema. Yes when in doubt (then a null is left alone)."""
    if not isinstance(node, dict):
        return node is True
    reference = node.get("$ref")
    if isinstance(reference, str) and fuel:
        target = target_of(reference, root)
        if target is not None and not allows_null(target, root, fuel - 1):
            return False
    if "const" in node and node["const"] is not None:
        return False
    if "enum" in node and None not in node["enum"]:
        return False
    if types_of(node) and "null" not in types_of(node):
        return False
    for key in ("anyOf", "oneOf"):
        if key in node and not any(allows_null(inner, root, fuel) for inner in node[key]):
            return False
    return all(allows_null(inner, root, fuel) for inner in node.get("allOf", ()))
