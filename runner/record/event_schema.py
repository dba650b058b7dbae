"""The JSON Schema of the lines of `--jsonl` and of the journal, made of the types that their writer is checked against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from runner.core.canonical import Json
from runner.record.event_records import EventRecord

_WORDS: Final[Mapping[Any, str]] = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def event_schema() -> Json:
    """Which fields a line has. Readers have to expect more of them: a new one does not change the format's number."""
    definitions: dict[str, Json] = {}
    lines = [_schema(kind, definitions) for kind in get_args(EventRecord)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An event of a run",
        "description": "A line of runner run --jsonl, and of the journal of a run. More fields may come without another format.",
        "oneOf": lines,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema(kind: Any, definitions: dict[str, Json]) -> Json:
    if kind in _WORDS:
        return {"type": _WORDS[kind]}
    if kind is Any:
        return {}
    if is_typeddict(kind):
        return _named(kind, definitions)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [str(word) for word in kind]}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return {**_schema(arguments[0], definitions), "description": arguments[1]}
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin is UnionType:
        return _any_of([_schema(one, definitions) for one in arguments])
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    assert origin is dict, kind
    return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}


def _any_of(schemas: list[Json]) -> Json:
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _named(record: Any, definitions: dict[str, Json]) -> Json:
    """A reference to the schema of a record, which is defined once."""
    name = re.sub("(?<!^)(?=[A-Z])", "-", record.__name__.removesuffix("Record")).lower()
    if name not in definitions:
        definitions[name] = {}
        hints = get_type_hints(record, include_extras=True)
        definitions[name] = {
            "type": "object",
            **({"description": " ".join(record.__doc__.split())} if record.__doc__ else {}),
            "properties": {field: _schema(_required(hint), definitions) for field, hint in hints.items()},
            "required": [field for field, hint in hints.items() if get_origin(hint) is not NotRequired],
        }
    return {"$ref": f"#/$defs/{name}"}


def _required(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint
