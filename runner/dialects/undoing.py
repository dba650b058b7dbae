"""The way back from a strict schema: nulls that stand for an absent optional property are taken out."""

from __future__ import annotations

from runner.core.canonical import Json
from runner.dialects.keywords import allows_null, target_of, type_of_value, types_of


def drop_absent(value: Json, node: Json, root: Json, fuel: int = 64) -> Json:
    """The value without the nulls of properties that are optional and do not allow null in the author's schema.

    `fuel` ends circles of references that make no progress.
    """
    if not isinstance(node, dict) or not fuel:
        return value
    if isinstance(node.get("$ref"), str):
        value = drop_absent(value, target_of(node["$ref"], root), root, fuel - 1)
    for key in ("anyOf", "oneOf"):
        branch = next((inner for inner in node.get(key, ()) if _resembles(value, inner, root)), None)
        if branch is not None:
            value = drop_absent(value, branch, root, fuel - 1)
    for inner in node.get("allOf", ()):
        value = drop_absent(value, inner, root, fuel - 1)
    if isinstance(value, dict) and isinstance(node.get("properties"), dict):
        return _drop_in_object(value, node, root)
    if isinstance(value, list) and "items" in node:
        return [drop_absent(element, node["items"], root) for element in value]
    return value


def _drop_in_object(value: dict[str, Json], node: dict[str, Json], root: Json) -> dict[str, Json]:
    properties, required = node["properties"], node.get("required", ())
    kept: dict[str, Json] = {}
    for name, inner in value.items():
        schema = properties.get(name)
        stands_for_absence = schema is not None and inner is None and name not in required
        if not stands_for_absence or allows_null(schema, root):
            kept[name] = drop_absent(inner, schema, root)
    return kept


def _resembles(value: Json, node: Json, root: Json, fuel: int = 8) -> bool:
    """Whether a value is likely meant for this branch: its type, constants and keys; a guess, cheap and stable."""
    if not isinstance(node, dict) or not fuel:
        return True
    if isinstance(node.get("$ref"), str) and not _resembles(value, target_of(node["$ref"], root), root, fuel - 1):
        return False
    if "const" in node and node["const"] != value:
        return False
    if "enum" in node and value not in node["enum"]:
        return False
    types, found = types_of(node), type_of_value(value)
    if types and found not in types and not (found == "integer" and "number" in types):
        return False
    if not isinstance(value, dict):
        return True
    properties = node.get("properties", {})
    if any(name not in value for name in node.get("required", ())):
        return False
    if properties and any(name not in properties for name in value) and node.get("additionalProperties") is not True:
        return False
    return all(
        inner is None or name not in properties or _resembles(inner, properties[name], root, fuel - 1)
        for name, inner in value.items()
    )
