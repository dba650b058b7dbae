"""A schema in few words, for a model that is not shown the schema itself."""

from __future__ import annotations

import orjson

from runner.core.call import Call
from runner.core.canonical import Json
from runner.dialects.keywords import is_object_schema, target_of, types_of
from runner.dialects.remembering import remember


def with_schema_in_words(call: Call) -> str | None:
    """The system text of a call, with the form of the answer after it."""
    if call.schema is None:
        return call.system
    words = f"Answer with JSON only, in this form: {schema_in_words(call.schema)}"
    return words if call.system is None else f"{call.system}\n\n{words}"


@remember
def schema_in_words(schema: Json) -> str:
    """Such as `{"product": string (as named in the mail), "urgency": "low" | "high", "stars"?: integer 1..5}`."""
    return _say(schema, schema, ())


def _say(node: Json, root: Json, inside: tuple[str, ...]) -> str:
    if not isinstance(node, dict):
        return "any"
    said = _say_kind(node, root, inside)
    description = node.get("description")
    return f"{said} ({' '.join(description.split())})" if isinstance(description, str) and description.strip() else said


def _say_kind(node: dict[str, Json], root: Json, inside: tuple[str, ...]) -> str:
    reference = node.get("$ref")
    if isinstance(reference, str):
        # A schema inside itself is named, not said again.
        name = reference.rpartition("/")[2].lstrip("#") or "the whole form"
        return name if reference in inside else _say(target_of(reference, root), root, (*inside, reference))
    if "const" in node:
        return _json(node["const"])
    if "enum" in node:
        return " | ".join(_json(value) for value in node["enum"])
    for key in ("anyOf", "oneOf"):
        if key in node and "properties" not in node:
            return " | ".join(_say(inner, root, inside) for inner in node[key])
    if not types_of(node) and not is_object_schema(node) and node.get("allOf"):
        return " & ".join(_say(inner, root, inside) for inner in node["allOf"])
    types = types_of(node) or (("object",) if is_object_schema(node) else ("any",))
    return " | ".join(_say_type(kind, node, root, inside) for kind in types)


def _say_type(kind: str, node: dict[str, Json], root: Json, inside: tuple[str, ...]) -> str:
    if kind == "object":
        return _say_object(node, root, inside)
    if kind == "array":
        return f"[{_say(node.get('items', True), root, inside)}, ...]{_range(node, 'minItems', 'maxItems', 'items')}"
    if kind in {"integer", "number"}:
        return f"{kind}{_range(node, 'minimum', 'maximum')}"
    if kind == "string" and isinstance(node.get("format"), str):
        return f"string in the format {node['format']}"
    if kind == "string":
        return f"string{_range(node, 'minLength', 'maxLength', 'characters')}"
    return kind


def _say_object(node: dict[str, Json], root: Json, inside: tuple[str, ...]) -> str:
    properties, required = node.get("properties") or {}, node.get("required", ())
    if not properties:
        return "object"
    said = [
        f"{_json(name)}{'' if name in required else '?'}: {_say(inner, root, inside)}"
        for name, inner in properties.items()
    ]
    return "{" + ", ".join(said) + "}"


def _range(node: dict[str, Json], low: str, high: str, unit: str = "") -> str:
    least, most = node.get(low), node.get(high)
    if least is None and most is None:
        return ""
    said = f"from {least}" if most is None else f"up to {most}" if least is None else f"{least}..{most}"
    return f" {said} {unit}".rstrip()


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
