"""The grammar of each file kind as JSON Schema, for editors."""

from __future__ import annotations

from runner.config.fields import (
    FILE,
    FREE_KEY,
    TEMPLATE_MARK,
    AnyMapping,
    AnyValue,
    Expr,
    Kind,
    ListOf,
    Names,
    Number,
    Prompt,
    Record,
    Text,
    Variants,
)
from runner.config.settings_file import SETTINGS
from runner.config.verify import SCHEMA_DATA
from runner.config.workflow_grammar import WORKFLOW
from runner.core.canonical import Json

_NO_TEMPLATE: Json = {"not": {"type": "string", "pattern": TEMPLATE_MARK}}
_LITERAL: Json = {"$ref": "#/$defs/literal"}
_SCHEMA: Json = {"$ref": "#/$defs/schema"}
_DEFS: Json = {
    "literal": {**_NO_TEMPLATE, "items": _LITERAL, "additionalProperties": _LITERAL},
    "schema": {
        **_NO_TEMPLATE,
        "items": _SCHEMA,
        "properties": dict.fromkeys(sorted(SCHEMA_DATA), True),
        "additionalProperties": _SCHEMA,
    },
}


def workflow_schema() -> Json:
    """The JSON Schema (2020-12) of workflow files."""
    return _document("A workflow", WORKFLOW)


def settings_schema() -> Json:
    """The JSON Schema (2020-12) of runner.yaml."""
    return _document("Settings of a project", SETTINGS)


def _document(title: str, record: Record) -> Json:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_schema_of(record),
        "$defs": _DEFS,
    }


def _schema_of(kind: Kind) -> Json:
    match kind:
        case Text():
            return _text(kind)
        case Number():
            return _number(kind)
        case Expr():
            return {"type": ["string", "number", "boolean"], "pattern": r"\S", **_NO_TEMPLATE}
        case Prompt():
            return {"anyOf": [{"type": "string"}, _record(FILE)]}
        case AnyValue():
            return {} if kind.may_hold_braces else _SCHEMA
        case AnyMapping():
            size = {"minProperties": 1} if kind.is_filled else {}
            return {"type": "object", **size, **(_SCHEMA if kind.is_schema else _LITERAL)}
        case ListOf():
            size = {"minItems": kind.minimum} if kind.minimum else {}
            return {"type": "array", "items": _schema_of(kind.item), **size}
        case Names():
            return _names(kind)
        case Record():
            return _record(kind)
        case Variants():
            condition = {"type": "object", "required": [kind.when]}
            return {"if": condition, "then": _record(kind.special), "else": _record(kind.usual)}
        case _:
            parts = (kind.text, kind.number, kind.mapping)
            return {"anyOf": [_schema_of(part) for part in parts if part is not None]}


def _text(kind: Text) -> Json:
    refused: list[Json] = [{"pattern": TEMPLATE_MARK}]
    refused += [{"pattern": pattern} for pattern, _ in kind.later]
    if kind.taken:
        refused.append({"enum": list(kind.taken)})
    schema: dict[str, Json] = {"type": "string"}
    if kind.choices:
        return schema | {"enum": list(kind.choices)}
    if kind.pattern:
        schema["pattern"] = kind.pattern
    return schema | {"not": {"type": "string", "anyOf": refused}}


def _number(kind: Number) -> Json:
    bounds = {"minimum": kind.minimum, "maximum": kind.maximum, "exclusiveMinimum": kind.above}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"type": "integer" if kind.is_whole else "number", **given}


def _names(kind: Names) -> Json:
    size = {"minProperties": kind.minimum} if kind.minimum else {}
    return {
        "type": "object",
        "propertyNames": {"pattern": kind.pattern, **_NO_TEMPLATE},
        "additionalProperties": _schema_of(kind.item),
        **size,
    }


def _record(kind: Record) -> Json:
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {key.name: {"description": key.description, **_schema_of(key.kind)} for key in kind.keys},
        "additionalProperties": False,
    }
    if required := [key.name for key in kind.keys if key.is_required]:
        schema["required"] = required
    if kind.has_free_keys:
        schema["patternProperties"] = {f"^{FREE_KEY}": {}}
    if kind.either:
        schema["allOf"] = [{"not": {"required": list(pair)}} for pair in kind.either]
    return schema
