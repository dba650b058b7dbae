"""JSON Schema in the subset of OpenAI's strict structured outputs, and the way back."""

from __future__ import annotations

from functools import partial

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.ports import LoweredSchema
from runner.dialects.keywords import allows_null, is_object_schema, subschemas, target_of, types_of
from runner.dialects.lowering import Found, Node, Place, Subset, finish_reference, infer_type, lower_node, modernise
from runner.dialects.remembering import remember
from runner.dialects.undoing import drop_absent

_KEYWORDS = frozenset(
    {
        *("$defs", "$ref", "type", "enum", "const", "title", "description", "pattern", "format", "items", "anyOf"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"),
        "properties",
    }
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_MAX_PROPERTIES, _MAX_LEVELS, _MAX_ENUM_VALUES, _MAX_CHARACTERS = 5_000, 10, 1_000, 120_000


def _takes(node: Node, key: str) -> bool:
    if key == "format":
        return node[key] in _FORMATS
    if key == "pattern":
        return "(?" not in node[key]
    # Alternatives beside properties cannot be kept: every branch would have to be closed by itself.
    return key not in {"anyOf", "oneOf"} or "properties" not in node


def _finish(place: Place, lowered: Node) -> Node:
    if "$ref" in lowered:
        return finish_reference(place, lowered)
    node, found = place.node, place.found
    infer_type(place, lowered)
    if "allOf" in node:
        found.is_enforced_after_all(f"{place.pointer}/allOf")
        found.refuse(f"{place.pointer}/allOf", "allOf cannot be sent: write its parts out as one schema")
    elif "type" not in lowered and "anyOf" not in lowered:
        found.refuse(place.pointer, "a value of any type cannot be sent: name its type")
    if "array" in types_of(lowered) and "items" not in lowered:
        found.refuse(place.pointer, "a list must say what its items are")
    return _close_object(place, lowered) if is_object_schema(lowered) else lowered


def _close_object(place: Place, lowered: Node) -> Node:
    """All properties required, none other allowed; an optional one may be null instead."""
    node, pointer, found = place.node, place.pointer, place.found
    properties, required = lowered.get("properties", {}), node.get("required", ())
    if not properties and node.get("additionalProperties") is not False:
        found.refuse(pointer, "an object without named properties would always come back empty: name them")
    for name in required:
        if name not in properties:
            found.refuse(f"{pointer}/required", f"the required property '{name}' has no schema")
    # Closing is stricter than the author's schema, so an answer still fits; nothing of these is left to us.
    for key in ("required", "additionalProperties", "unevaluatedProperties"):
        found.is_enforced_after_all(f"{pointer}/{key}")
    closed = {
        name: inner if name in required or allows_null(node["properties"][name], place.root) else _nullable(inner)
        for name, inner in properties.items()
    }
    rest = {key: value for key, value in lowered.items() if key != "properties"}
    return {**rest, "properties": closed, "required": list(closed), "additionalProperties": False}


def _nullable(lowered: Node) -> Node:
    """The schema, or null."""
    types = types_of(lowered)
    if types and "const" not in lowered and "anyOf" not in lowered:
        values = lowered.get("enum", ())
        enum = {"enum": [*values, None]} if values and None not in values else {}
        return {**lowered, "type": [*types, "null"], **enum}
    if "anyOf" in lowered and set(lowered) <= {"anyOf", "description", "title"}:
        return {**lowered, "anyOf": [*lowered["anyOf"], {"type": "null"}]}
    description = {"description": lowered["description"]} if "description" in lowered else {}
    inner = {key: value for key, value in lowered.items() if key != "description"}
    return {**description, "anyOf": [inner, {"type": "null"}]}


_SUBSET = Subset(_KEYWORDS, _takes, _finish, sent_as={"oneOf": "anyOf"})


@remember
def lower_for_openai(schema: Json) -> LoweredSchema:
    """What `response_format` takes with `strict: true`; `undo` takes out the nulls of absent properties."""
    found = Found()
    modern = modernise(schema)
    opened = _open_root(modern)
    body = lower_node(opened, "", _SUBSET, found, opened)
    _check_root(body, found)
    _check_size(body, found)
    return LoweredSchema(
        body=body,
        local_only=tuple(found.local_only),
        refused=tuple(found.refused),
        enforced=found.enforced(),
        undo=partial(drop_absent, node=modern, root=modern) if _has_optional(modern) else None,
    )


def _open_root(schema: Json) -> Json:
    """A root that only refers to a definition is replaced by it: the root must be an object in so many words."""
    if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
        return schema
    target = target_of(schema["$ref"], schema)
    if not isinstance(target, dict) or "$ref" in target:
        return schema
    return {**{key: value for key, value in schema.items() if key != "$ref"}, **target}


def _check_root(body: Node, found: Found) -> None:
    if "anyOf" in body:
        found.refuse("", "the root must not be a choice: put it under a property")
    elif types_of(body) != ("object",):
        found.refuse("", "the root must be an object: put the value under a property")


@dataclass(slots=True)
class _Size:
    properties: int = 0
    levels: int = 0
    enum_values: int = 0
    characters: int = 0


def _check_size(body: Node, found: Found) -> None:
    size = _Size()
    _measure(body, 0, size)
    for count, most, what in (
        (size.properties, _MAX_PROPERTIES, "properties"),
        (size.levels, _MAX_LEVELS, "levels of objects and lists"),
        (size.enum_values, _MAX_ENUM_VALUES, "enum values"),
        (size.characters, _MAX_CHARACTERS, "characters of names and values"),
    ):
        if count > most:
            found.refuse("", f"the schema has {count} {what}, and at most {most} can be sent")


def _measure(node: Json, level: int, size: _Size) -> None:
    """Count towards the limits of strict schemas."""
    deeper = level + any(kind in types_of(node) for kind in ("object", "array"))
    size.levels = max(size.levels, deeper)
    properties, enum = node.get("properties", {}), node.get("enum", [])
    values = [*enum, node["const"]] if "const" in node else enum
    size.properties += len(properties)
    size.enum_values += len(enum)
    size.characters += (
        sum(map(len, properties)) + sum(map(len, node.get("$defs", ()))) + sum(len(str(v)) for v in values)
    )
    for path, inner in subschemas(node):
        if isinstance(inner, dict):
            _measure(inner, 0 if path.startswith("$defs/") else deeper, size)


def _has_optional(node: Json) -> bool:
    if not isinstance(node, dict):
        return False
    required = node.get("required", ())
    return any(name not in required for name in node.get("properties", ())) or any(
        _has_optional(inner) for _, inner in subschemas(node)
    )
