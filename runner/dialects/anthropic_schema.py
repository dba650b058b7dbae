"""JSON Schema in the subset of Anthropic's structured outputs."""

from __future__ import annotations

from dataclasses import replace

from runner.core.canonical import Json
from runner.core.ports import LoweredSchema
from runner.dialects.keywords import is_object_schema, subschemas, target_of, type_of_value, types_of
from runner.dialects.lowering import Node, Place, Subset, finish_reference, infer_type, lower_to
from runner.dialects.remembering import remember

_KEYWORDS = frozenset(
    {
        *("$defs", "$ref", "type", "enum", "const", "anyOf", "allOf", "title", "description", "format", "items"),
        *("minItems", "properties", "required"),
    }
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_PLAIN = frozenset({"string", "integer", "number", "boolean", "null"})


def _takes(node: Node, key: str) -> bool:
    value = node[key]
    match key:
        case "format":
            return value in _FORMATS
        case "minItems":
            return value in {0, 1}
        case "items":
            return isinstance(value, dict)
        case "enum":
            return all(type_of_value(each) in _PLAIN for each in value)
        case "const":
            return type_of_value(value) in _PLAIN
        case "anyOf" | "oneOf":
            return "properties" not in node
        case _:
            return True


def _finish(place: Place, lowered: Node) -> Node:
    if "$ref" in lowered:
        return finish_reference(place, lowered)
    infer_type(place, lowered)
    if "allOf" in lowered and any(is_object_schema(inner) for inner in lowered["allOf"]):
        place.found.refuse(
            f"{place.pointer}/allOf", "allOf of objects cannot be sent: write its parts out as one schema"
        )
    if is_object_schema(lowered):
        lowered = _close_object(place, lowered)
    return _split_types(lowered)


def _close_object(place: Place, lowered: Node) -> Node:
    """No other properties than the named ones: stricter than the author's schema, so an answer still fits."""
    node, pointer, found = place.node, place.pointer, place.found
    if not lowered.get("properties") and node.get("additionalProperties") is not False:
        found.refuse(pointer, "an object without named properties would always come back empty: name them")
    for name in node.get("required", ()):
        if name not in lowered.get("properties", {}):
            found.refuse(f"{pointer}/required", f"the required property '{name}' has no schema")
    for key in ("additionalProperties", "unevaluatedProperties"):
        found.is_enforced_after_all(f"{pointer}/{key}")
    return {**lowered, "additionalProperties": False}


def _split_types(lowered: Node) -> Node:
    """One type each: several become alternatives, every keyword with the type that it speaks of."""
    types = types_of(lowered)
    if len(types) < 2:
        return lowered
    around: Node = {key: lowered[key] for key in ("$defs", "title", "description") if key in lowered}
    if "enum" in lowered or "const" in lowered:
        return {key: value for key, value in lowered.items() if key != "type"}
    return {**around, "anyOf": [_branch(lowered, kind) for kind in types]}


_KEYS_OF = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems"}),
    "string": frozenset({"format"}),
}


def _branch(lowered: Node, kind: str) -> Node:
    return {"type": kind, **{key: lowered[key] for key in lowered if key in _KEYS_OF.get(kind, frozenset())}}


_SUBSET = Subset(_KEYWORDS, _takes, _finish, sent_as={"oneOf": "anyOf"})


@remember
def lower_for_anthropic(schema: Json) -> LoweredSchema:
    """What `output_config.format` takes."""
    lowered = lower_to(schema, _SUBSET)
    circle = _circle(lowered.body, lowered.body, (), set())
    if circle:
        return replace(lowered, refused=(*lowered.refused, (circle[1:], "a schema inside itself cannot be sent")))
    return lowered


def _circle(node: Json, root: Json, inside: tuple[str, ...], clear: set[str]) -> str:
    """A reference that leads back to itself, "" when there is none; `clear` are those known to lead nowhere."""
    if not isinstance(node, dict):
        return ""
    reference = node.get("$ref")
    if isinstance(reference, str) and reference not in clear:
        if reference in inside or reference == "#":
            return reference
        found = _circle(target_of(reference, root), root, (*inside, reference), clear)
        if found:
            return found
        clear.add(reference)
    return next((found for _, inner in subschemas(node) if (found := _circle(inner, root, inside, clear))), "")
