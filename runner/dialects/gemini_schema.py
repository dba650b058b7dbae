"""JSON Schema in the subset of Gemini's `responseJsonSchema`."""

from __future__ import annotations

from dataclasses import replace

from runner.core.canonical import Json
from runner.core.ports import LoweredSchema
from runner.dialects.keywords import subschemas, target_of, type_of_value, types_of
from runner.dialects.lowering import Node, Place, Subset, finish_reference, infer_type, lower_to
from runner.dialects.remembering import remember

_KEYWORDS = frozenset(
    {
        *("$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems"),
        *("minItems", "maxItems", "minimum", "maximum", "anyOf", "properties", "additionalProperties", "required"),
        "propertyOrdering",
    }
)
_FORMATS = frozenset({"date-time", "date", "time"})
_ENUM_TYPES = frozenset({"string", "integer", "number"})


def _takes(node: Node, key: str) -> bool:
    if key == "format":
        return node[key] in _FORMATS
    if key == "items":
        return isinstance(node[key], dict)
    return key != "enum" or all(type_of_value(value) in _ENUM_TYPES for value in node[key])


def _finish(place: Place, lowered: Node) -> Node:
    if "$ref" in lowered:
        return finish_reference(place, lowered)
    _translate_constant(place, lowered)
    _translate_null_in_enum(place, lowered)
    _translate_exclusive_limits(place, lowered)
    infer_type(place, lowered)
    return lowered


def _translate_constant(place: Place, lowered: Node) -> None:
    """A constant is an enum of one; null is its own type."""
    if "const" not in place.node or "enum" in place.node:
        return
    kind = type_of_value(place.node["const"])
    if kind in _ENUM_TYPES:
        lowered["enum"] = [place.node["const"]]
    if kind in _ENUM_TYPES or kind == "null":
        place.found.is_enforced_after_all(f"{place.pointer}/const")


def _translate_null_in_enum(place: Place, lowered: Node) -> None:
    """An enum may hold texts and numbers only: null moves into a union."""
    values = place.node.get("enum", [])
    kinds = list(dict.fromkeys(type_of_value(value) for value in values if value is not None))
    if None not in values or not kinds or not set(kinds) <= _ENUM_TYPES or "anyOf" in lowered:
        return
    lowered.pop("type", None)
    branches = [{"type": kind, "enum": [v for v in values if type_of_value(v) == kind]} for kind in kinds]
    lowered["anyOf"] = [*branches, {"type": "null"}]
    place.found.is_enforced_after_all(f"{place.pointer}/enum")


def _translate_exclusive_limits(place: Place, lowered: Node) -> None:
    """Between whole numbers, `> 0` is `>= 1`."""
    if types_of(place.node) != ("integer",):
        return
    for key, name, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        if isinstance(place.node.get(key), int) and name not in place.node:
            lowered[name] = place.node[key] + step
            place.found.is_enforced_after_all(f"{place.pointer}/{key}")


_SUBSET = Subset(_KEYWORDS, _takes, _finish, sent_as={"oneOf": "anyOf"})


@remember
def lower_for_gemini(schema: Json) -> LoweredSchema:
    """What `responseJsonSchema` takes."""
    lowered = lower_to(schema, _SUBSET)
    circles = sorted(reference for reference in _references(lowered.body) if _must_hold_itself(reference, lowered.body))
    refused = [(reference[1:], _CIRCLE) for reference in circles]
    return replace(lowered, refused=(*lowered.refused, *refused))


_CIRCLE = "a schema inside itself can be sent only as an optional property"


def _references(node: Json) -> set[str]:
    """Every local reference in a lowered schema."""
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if str(node.get("$ref", "")).startswith("#") else set()
    return own.union(*(_references(inner) for _, inner in subschemas(node)))


def _must_hold_itself(reference: str, root: Json) -> bool:
    """Whether a definition leads back to itself without passing an optional property."""
    seen: set[str] = set()
    waiting = _needed_references(target_of(reference, root))
    while waiting:
        found = waiting.pop()
        if found == reference:
            return True
        if found not in seen:
            seen.add(found)
            waiting |= _needed_references(target_of(found, root))
    return False


def _needed_references(node: Json) -> set[str]:
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    required = {f"properties/{name}" for name in node.get("required", ())}
    needed = [
        inner
        for path, inner in subschemas(node)
        if not path.startswith("$defs/") and (not path.startswith("properties/") or path in required)
    ]
    return own.union(*(_needed_references(inner) for inner in needed))
