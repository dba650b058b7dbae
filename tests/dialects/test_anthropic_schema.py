"""One schema in the subset of Anthropic's structured outputs."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.ports import LoweredSchema
from runner.dialects.anthropic_schema import lower_for_anthropic


def lowered(schema: Any) -> Any:
    return body_of(lower_for_anthropic(schema))


def body_of(result: LoweredSchema) -> Any:
    return result.body


def test_what_is_known_is_sent_in_the_authors_order_and_objects_are_closed() -> None:
    schema = {
        "type": "object",
        "title": "Order",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
            "kind": {"enum": ["a", "b"]},
            "exactly": {"const": 3},
        },
        "required": ["when"],
        "$defs": {"line": {"type": "object", "properties": {"name": {"type": "string"}}}},
    }
    result = lower_for_anthropic(schema)
    assert result.body == {
        "type": "object",
        "title": "Order",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
            "kind": {"enum": ["a", "b"], "type": "string"},
            "exactly": {"const": 3, "type": "integer"},
        },
        "required": ["when"],
        "$defs": {
            "line": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False}
        },
        "additionalProperties": False,
    }
    assert list(body_of(result)["properties"]) == ["when", "lines", "kind", "exactly"]
    assert (result.local_only, result.refused) == ((), ())


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("minimum", 1),
        ("maxLength", 5),
        ("pattern", "^a$"),
        ("multipleOf", 2),
        ("not", {"type": "null"}),
        ("uniqueItems", True),
        ("maxItems", 3),
        ("minItems", 2),
        ("format", "iri"),
        ("enum", [{"a": 1}]),
        ("const", [1]),
        ("items", True),
    ],
)
def test_what_is_not_taken_is_checked_here(keyword: str, value: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", keyword: value}}}
    result = lower_for_anthropic(schema)
    assert body_of(result)["properties"]["a"] == {"type": "string"}
    assert result.local_only == (f"/properties/a/{keyword}",)


def test_several_types_become_alternatives() -> None:
    node = {"type": ["string", "array", "null"], "format": "date", "items": {"type": "integer"}, "description": "d"}
    assert lowered({"type": "object", "properties": {"a": node}})["properties"]["a"] == {
        "description": "d",
        "anyOf": [
            {"type": "string", "format": "date"},
            {"type": "array", "items": {"type": "integer"}},
            {"type": "null"},
        ],
    }


def test_an_enum_needs_no_list_of_types() -> None:
    node = {"type": ["string", "null"], "enum": ["a", None]}
    assert lowered({"type": "object", "properties": {"a": node}})["properties"]["a"] == {"enum": ["a", None]}


def test_an_object_that_may_be_null_is_closed_in_its_branch() -> None:
    node = {"type": ["object", "null"], "properties": {"b": {"type": "string"}}, "required": ["b"]}
    assert lowered({"type": "object", "properties": {"a": node}})["properties"]["a"]["anyOf"][0] == {
        "type": "object",
        "properties": {"b": {"type": "string"}},
        "required": ["b"],
        "additionalProperties": False,
    }


def test_one_of_is_sent_as_any_of_and_checked_here() -> None:
    result = lower_for_anthropic({"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}})
    assert body_of(result)["properties"]["a"] == {"anyOf": [{"type": "string"}]}
    assert result.local_only == ("/properties/a/oneOf",)


@pytest.mark.parametrize(
    ("node", "refused"),
    [
        ({"type": "object"}, ("", "an object without named properties would always come back empty: name them")),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
            ("/required", "the required property 'b' has no schema"),
        ),
        (
            {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]},
            ("/allOf", "allOf of objects cannot be sent: write its parts out as one schema"),
        ),
    ],
)
def test_what_cannot_be_left_out_is_refused(node: Any, refused: tuple[str, str]) -> None:
    result = lower_for_anthropic({"type": "object", "properties": {"x": node}})
    assert result.refused == ((f"/properties/x{refused[0]}", refused[1]),)


def test_all_of_plain_values_and_an_empty_closed_object_are_taken() -> None:
    properties = {
        "a": {"type": "string", "allOf": [{"enum": ["x"]}]},
        "b": {"type": "object", "additionalProperties": False},
    }
    result = lower_for_anthropic({"type": "object", "properties": properties})
    assert (result.refused, result.local_only) == ((), ())
    assert body_of(result)["properties"]["a"]["allOf"] == [{"enum": ["x"], "type": "string"}]


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "object", "properties": {"next": {"$ref": "#"}}}, ""),
        (
            {
                "type": "object",
                "properties": {
                    "a": {"$ref": "#/$defs/n"},
                    "b": {"$ref": "#/$defs/leaf"},
                    "c": {"$ref": "#/$defs/leaf"},
                },
                "$defs": {
                    "leaf": {"type": "string"},
                    "n": {"type": "object", "properties": {"l": {"$ref": "#/$defs/leaf"}, "n": {"$ref": "#/$defs/n"}}},
                },
            },
            "/$defs/n",
        ),
    ],
)
def test_a_schema_inside_itself_is_refused(schema: Any, pointer: str) -> None:
    assert lower_for_anthropic(schema).refused == ((pointer, "a schema inside itself cannot be sent"),)


def test_a_definition_that_is_used_twice_is_no_circle() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/leaf"}, "b": {"$ref": "#/$defs/leaf"}},
        "$defs": {"leaf": {"type": "string"}},
    }
    assert lower_for_anthropic(schema).refused == ()
