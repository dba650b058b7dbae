from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.output.describe import describe, listing, one_of, show

ROOT: Json = {
    "$defs": {"n": {"type": "integer"}, "loop": {"$ref": "#/$defs/loop"}, "a b": {"const": 1}},
}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (True, "any value"),
        (False, "nothing"),
        ({}, "a value"),
        ({"type": "string"}, "text"),
        ({"type": "integer"}, "an integer"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "null"}, "null"),
        ({"type": ["string", "null"], "maxLength": 80}, "text of at most 80 characters or null"),
        ({"type": "string", "minLength": 1}, "text of at least 1 character"),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "text of 2 to 3 characters"),
        ({"type": "string", "minLength": 2, "maxLength": 2}, "text of 2 characters"),
        ({"type": "string", "format": "date"}, "text, a date such as 2026-01-31"),
        ({"type": "string", "format": "ipv4"}, "text, in the format ipv4"),
        ({"type": "string", "pattern": "^[A-Z]+$"}, "text, matching ^[A-Z]+$"),
        ({"type": "integer", "minimum": 1}, "an integer, at least 1"),
        ({"type": "integer", "maximum": 5}, "an integer, at most 5"),
        ({"type": "integer", "minimum": 1, "maximum": 5}, "an integer from 1 to 5"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "a number, more than 0, less than 1"),
        ({"type": "number", "multipleOf": 0.5}, "a number, a multiple of 0.5"),
        ({"type": "array", "minItems": 1, "uniqueItems": True}, "a list of at least 1 element, all different"),
        ({"type": "object", "required": ["a", "b"]}, "an object with 'a', 'b'"),
        ({"type": "object", "maxProperties": 2}, "an object of at most 2 properties"),
        ({"enum": ["billing", "how to"]}, "one of billing, how to"),
        ({"enum": [1, None, "a,b", " x", "", "\x1b"]}, 'one of 1, null, "a,b", " x", "", "\\u001b"'),
        ({"enum": ["only"]}, '"only"'),
        ({"const": {"a": 1}}, "an object with 'a'"),
        ({"$ref": "#/$defs/n"}, "an integer"),
        ({"$ref": "#/$defs/n", "maximum": 4}, "an integer, at most 4"),
        ({"$ref": "#/$defs/a%20b"}, "1"),
        ({"$ref": "#/$defs/loop"}, "a value"),
        ({"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}, {"type": "integer"}]}, "an integer or null"),
        ({"oneOf": [{"type": "string"}, {"type": "array"}]}, "text or a list"),
        ({"minimum": 3}, "a value, at least 3"),
    ],
)
def test_a_schema_in_words(schema: Json, words: str) -> None:
    assert describe(schema, ROOT) == words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two", '"two"'),
        ("x" * 100, f'"{"x" * 60}…"'),
        ("\x1b]52;c;\u202e", '"\\u001b]52;c;\\u202e"'),
        ({}, "an empty object"),
        ({"a": 1, "b": 2}, "an object with 'a', 'b'"),
        ([], "an empty list"),
        ([1, 2], "a list of 2"),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
    ],
)
def test_a_value_in_few_characters(value: Json, shown: str) -> None:
    assert show(value) == shown


def test_long_lists_are_counted() -> None:
    assert listing([str(number) for number in range(32)]).endswith("28, 29, … (2 more)")
    assert one_of(list(range(40))).endswith("(10 more)")


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_shown(text: str) -> None:
    for shown in (show(text), show({text: 1}), one_of([text, 1])):
        assert shown.isprintable()
