from __future__ import annotations

from typing import Any

import pytest

from runner.dialects.words import schema_in_words


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (obj(city={"type": "string"}), '{"city": string}'),
        ({"properties": {"a": {"type": "boolean"}}}, '{"a"?: boolean}'),
        (obj(a={"type": "string", "description": " the\n product "}), '{"a": string (the product)}'),
        (obj(a={"enum": ["low", 1, None]}, b={"const": True}), '{"a": "low" | 1 | null, "b": true}'),
        ({"type": "integer", "minimum": 1, "maximum": 5}, "integer 1..5"),
        ({"type": "number", "minimum": 0}, "number from 0"),
        ({"type": "string", "maxLength": 80}, "string up to 80 characters"),
        ({"type": "string", "format": "date"}, "string in the format date"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 3}, "[string, ...] up to 3 items"),
        ({"type": "array"}, "[any, ...]"),
        ({"type": "object"}, "object"),
        ({"anyOf": [{"type": "string"}, obj(a={"type": "null"})]}, 'string | {"a": null}'),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "string | integer"),
        ({"allOf": [{"$ref": "#/$defs/T"}, True], "$defs": {"T": {"type": "string"}}}, "string & any"),
        ({**obj(a={"type": "string"}), "anyOf": [{"required": ["a"]}]}, '{"a": string}'),
        ({}, "any"),
        (True, "any"),
        ({"$ref": "#/$defs/gone"}, "any"),
    ],
)
def test_a_schema_is_said_in_few_words(schema: Any, words: str) -> None:
    assert schema_in_words(schema) == words


def test_a_schema_inside_itself_is_named() -> None:
    tree = {
        "$ref": "#/$defs/Tree",
        "$defs": {"Tree": obj(v={"type": "string"}, kids={"type": "array", "items": {"$ref": "#/$defs/Tree"}})},
    }
    assert schema_in_words(tree) == '{"v": string, "kids": [Tree, ...]}'
    assert schema_in_words({**obj(next={"$ref": "#"}), "required": []}) == '{"next"?: {"next"?: the whole form}}'
