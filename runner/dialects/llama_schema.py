"""JSON Schema in the subset that llama.cpp turns into a grammar."""

from __future__ import annotations

from runner.core.canonical import Json
from runner.core.ports import LoweredSchema
from runner.dialects.keywords import types_of
from runner.dialects.lowering import Node, Place, Subset, finish_reference, lower_to
from runner.dialects.remembering import remember

# Titles and descriptions have no place in a grammar.
_KEYWORDS = frozenset(
    {
        *("$defs", "$ref", "type", "format", "enum", "const", "items", "minItems", "maxItems", "minimum", "maximum"),
        *("exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "anyOf", "allOf"),
        *("properties", "additionalProperties", "required"),
    }
)
_FORMATS = frozenset({"date-time", "date", "time", "uuid"})
_LIMITS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


def _takes(node: Node, key: str) -> bool:
    value = node[key]
    if key in _LIMITS:
        return types_of(node) == ("integer",)
    if key == "pattern":
        # Anchored, without look-around and without classes such as \d, which its grammars read as a letter.
        return bool(value.startswith("^") and value.endswith("$")) and "(?" not in value and "\\" not in value
    if key == "format":
        return value in _FORMATS
    if key == "items":
        return isinstance(value, dict) and "prefixItems" not in node
    # Beside properties, alternatives would win and the properties would be lost.
    return key not in {"anyOf", "oneOf", "allOf"} or "properties" not in node


def _finish(place: Place, lowered: Node) -> Node:
    if lowered.get("enum") == []:
        place.found.refuse(f"{place.pointer}/enum", "an enum must have a value")
    if "allOf" in lowered:
        place.found.enforce_here(f"{place.pointer}/allOf")
    return finish_reference(place, lowered) if "$ref" in lowered else lowered


_SUBSET = Subset(_KEYWORDS, _takes, _finish, sent_as={"oneOf": "anyOf"})


@remember
def lower_for_llama(schema: Json) -> LoweredSchema:
    """What llama.cpp enforces."""
    return lower_to(schema, _SUBSET)
