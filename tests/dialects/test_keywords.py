from __future__ import annotations

from typing import Any

import pytest

from runner.dialects.keywords import allows_null, is_object_schema, target_of, type_of_value

ROOT = {
    "$defs": {
        "a/b": {"type": "string"},
        "list": {"anyOf": [True, {"$anchor": "here", "type": "null"}]},
        "me": {"$ref": "#/$defs/me"},
    }
}


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("#", ROOT),
        ("#/$defs/a~1b", {"type": "string"}),
        ("#/$defs/list/anyOf/0", True),
        ("#here", {"$anchor": "here", "type": "null"}),
        ("#nowhere", None),
        ("#/$defs/gone", None),
        ("#/$defs/list/anyOf/7", None),
        ("#/$defs/list/anyOf/x", None),
    ],
)
def test_a_local_reference_is_followed(reference: str, target: Any) -> None:
    assert target_of(reference, ROOT) == target


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, True),
        (False, False),
        ({}, True),
        ({"type": "string"}, False),
        ({"type": ["string", "null"]}, True),
        ({"const": None}, True),
        ({"const": 1}, False),
        ({"enum": [1, None]}, True),
        ({"enum": [1]}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"oneOf": [{"type": "string"}]}, False),
        ({"allOf": [{}, {"type": "string"}]}, False),
        ({"$ref": "#/$defs/a~1b"}, False),
        ({"$ref": "#/$defs/list"}, True),
        ({"$ref": "#/$defs/gone"}, True),
        ({"$ref": "#/$defs/me"}, True),
    ],
)
def test_whether_null_fits_is_known_without_a_validator(schema: Any, expected: bool) -> None:
    assert allows_null(schema, ROOT) is expected


def test_the_kinds_of_values_have_names() -> None:
    values: list[object] = [None, True, 1, 1.5, "x", [], {}]
    assert [type_of_value(value) for value in values] == [
        *("null", "boolean", "integer", "number", "string", "array", "object"),
    ]


def test_an_object_schema_is_known_by_its_type_or_its_properties() -> None:
    assert is_object_schema({"type": ["object", "null"]})
    assert is_object_schema({"properties": {}})
    assert not is_object_schema({"type": "string", "properties": {}})
    assert not is_object_schema(True)
