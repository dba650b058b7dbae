"""What bounds the length of an answer, and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json, ordered
from runner.output.extent import most_bytes


def pointers(schema: Any, at: str = "") -> set[str]:
    """Every place in a schema, as if all of it were enforced."""
    if isinstance(schema, dict):
        return {at}.union(*(pointers(inner, f"{at}/{name.replace('/', '~1')}") for name, inner in schema.items()))
    if isinstance(schema, list):
        return {at}.union(*(pointers(inner, f"{at}/{index}") for index, inner in enumerate(schema)))
    return {at}


def closed(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "size"),
    [
        ({"enum": ["a", "long", 1]}, 6),
        ({"enum": []}, 0),
        ({"const": {"a": 1}}, 7),
        ({"type": "boolean"}, 5),
        ({"type": "null"}, 4),
        ({"type": "integer"}, 25),
        ({"type": ["boolean", "null"]}, 5),
        ({"type": "string", "maxLength": 10}, 62),
        ({"type": "string"}, None),
        ({"type": ["string", "null"]}, None),
        ({"type": []}, None),
        ({"type": "array", "items": {"type": "boolean"}, "maxItems": 3}, 20),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 3}, None),
        ({"type": "array", "items": {"type": "boolean"}}, None),
        ({"type": "array", "maxItems": 3}, None),
        (closed(a={"type": "boolean"}, b={"enum": ["x"]}), 20),
        (closed(a={"type": "string"}), None),
        (closed(), 2),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}}, None),
        ({"anyOf": [{"type": "boolean"}, {"enum": ["sixteen letters!"]}]}, 18),
        ({"anyOf": [{"type": "boolean"}, {}]}, None),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}}, 5),
        ({"$ref": "#/$defs/no", "$defs": {}}, None),
        ({"$ref": "other.json"}, None),
        ({"$ref": "#"}, None),
        ({}, None),
        (True, None),
    ],
)
def test_the_longest_answer_of_a_schema(schema: Json, size: int | None) -> None:
    assert most_bytes(schema, pointers(schema)) == size


def test_what_nobody_enforces_bounds_nothing() -> None:
    schema = closed(a={"type": "string", "maxLength": 10})
    assert most_bytes(schema, pointers(schema)) == 69
    assert most_bytes(schema, pointers(schema) - {"/properties/a/maxLength"}) is None
    assert most_bytes(schema, pointers(schema) - {"/additionalProperties"}) is None
    assert most_bytes(schema, set()) is None


VALUES = st.fixed_dictionaries(
    {"flag": st.booleans(), "word": st.text(max_size=5), "list": st.lists(st.integers(-(10**9), 10**9), max_size=4)}
)


@given(VALUES)
def test_no_answer_that_fits_is_longer(value: Json) -> None:
    schema = closed(
        flag={"type": "boolean"},
        word={"type": "string", "maxLength": 5},
        list={"type": "array", "items": {"type": "integer"}, "maxItems": 4},
    )
    most = most_bytes(schema, pointers(schema))
    assert most is not None
    assert len(json.dumps(value, separators=(",", ":"))) <= 2 * most, "also with every character as an escape"
    assert len(ordered(json.loads(json.dumps(value, ensure_ascii=True)))) <= most
