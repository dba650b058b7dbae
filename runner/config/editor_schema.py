"""The grammar of each file kind as JSON Schema, for editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from runner.config.fields import (
    FILE,
    FREE_KEY,
    PATH,
    TEMPLATE_MARK,
    AnyMapping,
    AnyValue,
    Expr,
    Flag,
    Kind,
    ListOf,
    Names,
    Number,
    Prompt,
    Record,
    Text,
    Value,
    Variants,
)
from runner.config.settings_file import SETTINGS
from runner.config.suite_grammar import SUITE
from runner.config.verify import SCHEMA_DATA, VALUE_FORMS
from runner.config.workflow_grammar import WORKFLOW
from runner.core.canonical import Json

_NO_TEMPLATE: Json = {"not": {"type": "string", "pattern": TEMPLATE_MARK}}
_LITERAL: Json = {"$ref": "#/$defs/literal"}
_SCHEMA: Json = {"$ref": "#/$defs/schema"}
_VALUE: Json = {"$ref": "#/$defs/value"}
_DEFS: Json = {
    "literal": {**_NO_TEMPLATE, "items": _LITERAL, "additionalProperties": _LITERAL},
    "schema": {
        **_NO_TEMPLATE,
        "items": _SCHEMA,
        "properties": dict.fromkeys(sorted(SCHEMA_DATA), True),
        "additionalProperties": _SCHEMA,
    },
}


_DOCUMENTS: Mapping[str, tuple[str, Record]] = {
    "workflow": ("A workflow", WORKFLOW),
    "suite": ("A suite", SUITE),
    "settings": ("Settings of a project", SETTINGS),
}


def schema_of(kind: str) -> Json:
    """The JSON Schema (2020-12) of a file kind: workflow, suite or settings."""
    title, record = _DOCUMENTS[kind]
    return _document(title, record, _DEFS if kind == "settings" else {**_DEFS, "value": _value()})


def _document(title: str, record: Record, definitions: Json) -> Json:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_schema_of(record),
        "$defs": definitions,
    }


def _value() -> Json:
    """A literal, or a mapping with one of the keys that stand for a value and no other."""
    forms = {"from": _schema_of(Expr()), "file": _schema_of(PATH), "literal": {}}
    descriptions = {
        "from": "An expression that gives the value.",
        "file": "A file that holds the value: text, or JSON or YAML where the schema asks for it.",
        "literal": "The value as it stands, whatever it looks like.",
    }
    return {
        "if": {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"enum": list(VALUE_FORMS)}},
        "then": {"properties": {name: {"description": descriptions[name], **form} for name, form in forms.items()}},
        "else": {**_NO_TEMPLATE, "items": _VALUE, "additionalProperties": _VALUE},
    }


def _schema_of(kind: Kind) -> Json:
    match kind:
        case Text():
            return _text(kind)
        case Number():
            return _number(kind)
        case Flag():
            return {"type": "boolean"}
        case Expr():
            return {"type": ["string", "number", "boolean"], "pattern": r"\S", **_NO_TEMPLATE}
        case Prompt():
            return {"anyOf": [{"type": "string"}, _record(FILE)]}
        case AnyValue():
            return {} if kind.may_hold_braces else _SCHEMA
        case AnyMapping():
            size = {"minProperties": 1} if kind.is_filled else {}
            return {"type": "object", **size, **(_SCHEMA if kind.is_schema else _LITERAL)}
        case Value():
            return _VALUE
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
            parts = (kind.text, kind.number, kind.sequence, kind.mapping)
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
    refused: Json = {"pattern": TEMPLATE_MARK}
    if kind.taken:
        refused = {"anyOf": [refused, {"enum": list(kind.taken)}]}
    return {
        "type": "object",
        "propertyNames": {"pattern": kind.pattern, "not": {"type": "string", **refused}},
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
    patterns: dict[str, Json] = {f"^{FREE_KEY}": {}} if kind.has_free_keys else {}
    patterns |= {_pattern_beside(kind, names): _described(names) for names in kind.others}
    if patterns:
        schema["patternProperties"] = patterns
    rules: list[Json] = [
        {"not": {"required": list(pair)}} for pair in (*kind.either, *combinations(kind.exactly_one, 2))
    ]
    rules += [_any_of(names) for names in (kind.exactly_one, kind.at_least_one) if names]
    if kind.is_single:
        schema |= {"minProperties": 1, "maxProperties": 1}
    if rules:
        schema["allOf"] = rules
    if kind.needs:
        schema["dependentSchemas"] = {name: _any_of(others) for name, others in kind.needs.items()}
    return schema


def _described(names: Names) -> Json:
    return {**({"description": names.description} if names.description else {}), **_schema_of(names.item)}


def _pattern_beside(kind: Record, names: Names) -> str:
    """The pattern of further keys, which a listed key does not fit."""
    listed = "|".join((*kind.by_name, *names.taken))
    return f"^(?!({listed})$){names.pattern[1:]}" if listed else names.pattern


def _any_of(names: Sequence[str]) -> Json:
    return {"anyOf": [{"required": [name]} for name in names]}
