"""One JSON Schema in the subset that a dialect takes: the walk that all of them share.

A keyword that a dialect does not know is left out and listed as ours to enforce; what cannot be left out without
changing what the model would answer is listed as refused. The author's order is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from runner.core.canonical import Json, escape_pointer
from runner.core.frozen import dataclass
from runner.core.ports import LoweredSchema
from runner.dialects.keywords import ASSERTIONS, FORMATS, MANY, NAMED, ONE, type_of_value

Node = dict[str, Json]


@dataclass(slots=True)
class Found:
    """What is gathered on the way down, in the order of the schema."""

    local_only: list[str] = field(default_factory=list)
    sent: dict[str, None] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, pointer: str, why: str) -> None:
        self.refused.append((pointer, why))

    def enforce_here(self, pointer: str) -> None:
        if pointer not in self.local_only:
            self.local_only.append(pointer)

    def is_enforced_after_all(self, pointer: str) -> None:
        if pointer in self.local_only:
            self.local_only.remove(pointer)
            self.sent[pointer] = None

    def enforced(self) -> tuple[str, ...]:
        """The keywords that the provider holds the answer to."""
        left = {*self.local_only, *(pointer for pointer, _ in self.refused)}
        return tuple(pointer for pointer in self.sent if pointer not in left)


@dataclass(frozen=True, slots=True)
class Place:
    """The author's schema at one pointer, inside `root`."""

    node: Node
    pointer: str
    root: Json
    found: Found


@dataclass(frozen=True, slots=True)
class Subset:
    """What a dialect takes.

    Its `keywords` are sent as they are where `takes` agrees, `sent_as` under another name; the rest is dropped.
    `finish` gets the place and what is to be sent there, and has the last word.
    """

    keywords: frozenset[str]
    takes: Callable[[Node, str], bool]
    finish: Callable[[Place, Node], Node]
    sent_as: Mapping[str, str] = field(default_factory=dict)


def lower_to(schema: Json, subset: Subset) -> LoweredSchema:
    found = Found()
    modern = modernise(schema)
    body = lower_node(modern, "", subset, found, modern)
    return LoweredSchema(body, tuple(found.local_only), tuple(found.refused), enforced=found.enforced())


def lower_node(node: Json, pointer: str, subset: Subset, found: Found, root: Json) -> Json:
    if not isinstance(node, dict):
        if node is False:
            found.enforce_here(pointer)
        return {}
    lowered: Node = {}
    for key, value in node.items():
        name, here = subset.sent_as.get(key, key), f"{pointer}/{escape_pointer(key)}"
        is_renamed = name != key
        if name not in subset.keywords or (is_renamed and name in node) or not subset.takes(node, key):
            if key in ASSERTIONS and (key != "format" or value in FORMATS):
                found.enforce_here(here)
            continue
        lowered[name] = _lower_value(key, value, here, lambda inner, at: lower_node(inner, at, subset, found, root))
        if key in ASSERTIONS:
            found.sent[here] = None
        if is_renamed:
            found.enforce_here(here)
    return subset.finish(Place(node, pointer, root, found), lowered)


def _lower_value(key: str, value: Json, pointer: str, descend: Callable[[Json, str], Json]) -> Json:
    if key == "additionalProperties" and isinstance(value, bool):
        return value
    if key in ONE:
        return descend(value, pointer)
    if key in MANY:
        return [descend(inner, f"{pointer}/{index}") for index, inner in enumerate(value)]
    if key in NAMED:
        return {name: descend(inner, f"{pointer}/{escape_pointer(name)}") for name, inner in value.items()}
    return value


def finish_reference(place: Place, lowered: Node) -> Node:
    """A reference stands alone, or with its description around it; assertions beside it are ours to enforce."""
    if not str(lowered["$ref"]).startswith("#"):
        place.found.refuse(f"{place.pointer}/$ref", "a reference must point into the schema itself")
    for key in place.node:
        if key in ASSERTIONS and key != "$ref":
            place.found.enforce_here(f"{place.pointer}/{escape_pointer(key)}")
    reference: Node = {"$ref": lowered["$ref"]}
    kept = {key: lowered[key] for key in lowered if key in {"description", "$defs", "$anchor"}}
    return {**kept, "anyOf": [reference]} if "description" in kept else {**kept, **reference}


def infer_type(place: Place, lowered: Node) -> None:
    """Say the type that an enum, a constant or the keywords of objects and lists imply."""
    node = place.node
    if any(key in lowered for key in ("type", "anyOf", "allOf")):
        return
    values = node["enum"] if "enum" in node else [node["const"]] if "const" in node else []
    types = list(dict.fromkeys(type_of_value(value) for value in values))
    if not types and ("properties" in node or "items" in node):
        types = ["object" if "properties" in node else "array"]
    if types:
        lowered["type"] = types[0] if len(types) == 1 else types


def modernise(schema: Json) -> Json:
    """`definitions` of older drafts under its present name."""
    if not isinstance(schema, dict) or "definitions" not in schema or "$defs" in schema:
        return schema
    return _rename_definitions(schema)


def _rename_definitions(value: Json, *, is_schema: bool = True) -> Json:
    if isinstance(value, list):
        return [_rename_definitions(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if not is_schema:
        return {name: _rename_definitions(inner) for name, inner in value.items()}
    renamed: Node = {}
    for key, inner in value.items():
        if key == "$ref" and isinstance(inner, str):
            renamed[key] = inner.replace("#/definitions/", "#/$defs/")
        elif key in ONE or key in MANY:
            renamed[key] = _rename_definitions(inner)
        elif key in NAMED:
            renamed["$defs" if key == "definitions" else key] = _rename_definitions(inner, is_schema=False)
        else:
            renamed[key] = inner
    return renamed
