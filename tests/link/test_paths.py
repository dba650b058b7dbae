"""Fields that a value cannot have are found before it is there."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from runner.core.span import Span
from runner.core.workflow import SchemaSource
from runner.link.paths import Lacking, Typed, follow, into, typed
from runner.output.schema import compile_schema

Complain = Callable[..., str]


def _type(schema: Any) -> Typed:
    return typed("the value", compile_schema(SchemaSource(schema, Span("s.json", 1, 1), "s.json"), lambda _: b""))


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}

UNKNOWN: list[tuple[Any, str]] = [
    (True, "a"),
    ({}, "a"),
    ({"enum": [{"b": 1}]}, "a"),
    ({"type": "object"}, "a"),
    ({"type": ["object", "array"], "properties": {"b": {}}}, "a"),
    ({"type": "object", "properties": {"b": {}}, "patternProperties": {"^a": {}}}, "a"),
    ({"allOf": [CLOSED]}, "b"),
    ({"anyOf": [CLOSED, {}]}, "b"),
    ({"anyOf": [CLOSED], "properties": {}}, "b"),
    ({"type": "null"}, "a"),
    ({"type": "array"}, "[]"),
    ({"type": "array", "prefixItems": [{}], "items": CLOSED}, "0"),
    ({"type": "object", "properties": {"0": {}}}, "0"),
    ({"anyOf": [CLOSED] * 60}, "b"),
]


@pytest.mark.parametrize(("schema", "part"), UNKNOWN)
def test_where_the_schema_does_not_say_nothing_is_claimed(schema: Any, part: str) -> None:
    assert into(_type(schema), part) is None


FOUND: list[tuple[Any, list[str]]] = [
    (CLOSED, ["a"]),
    ({"$ref": "#/$defs/c", "$defs": {"c": CLOSED}}, ["a"]),
    ({"anyOf": [{"type": "null"}, CLOSED]}, ["a"]),
    ({"oneOf": [CLOSED, {"properties": {"b": {}}, "additionalProperties": False}]}, ["b"]),
    ({"type": "object", "additionalProperties": CLOSED}, ["any", "a"]),
    ({"type": ["array", "null"], "items": CLOSED}, ["[]", "a"]),
    ({"type": "array", "items": CLOSED}, ["-1", "a"]),
]


@pytest.mark.parametrize(("schema", "path"), FOUND)
def test_a_path_that_the_schema_names_is_followed(schema: Any, path: list[str]) -> None:
    assert follow(_type(schema), path) is not None


LACKING: list[tuple[Any, Lacking]] = [
    (CLOSED, Lacking(frozenset({"a"}), is_closed=True)),
    ({"properties": {"a": {}}}, Lacking(frozenset({"a"}), is_closed=False)),
    ({"type": "string"}, Lacking(frozenset(), is_closed=True, kind="text")),
    ({"type": ["integer", "number"]}, Lacking(frozenset(), is_closed=True, kind="a number")),
    ({"type": ["string", "integer"]}, Lacking(frozenset(), is_closed=True)),
    ({"anyOf": [CLOSED, {"type": "string"}]}, Lacking(frozenset({"a"}), is_closed=True)),
]


@pytest.mark.parametrize(("schema", "lacking"), LACKING)
def test_what_no_alternative_has_is_lacking(schema: Any, lacking: Lacking) -> None:
    assert into(_type(schema), "x") == lacking


def test_a_path_through_what_is_unknown_has_no_type() -> None:
    assert follow(_type({}), ["a", "b"]) is None


FLOW = textwrap.dedent("""\
    inputs:
      order: {type: object, properties: {lines: {type: array, items: {type: object, properties: {name: {}}}}}}
    data:
      reviews: {file: r.jsonl, schema: {type: object, properties: {text: {type: string}}, additionalProperties: false}}
    steps:
      sort:
        prompt: Sort.
        fields: {label: string, lines: [{name: string}]}
      tag:
        for_each: data.reviews
        as: review
        prompt: "READS_ROW"
        fields: {theme: string}
      each:
        for_each: inputs.order.lines
        prompt: "READS_LINE"
      reply:
        prompt: "READS"
    """)


def _flow(reads: str = "-", row: str = "-", line: str = "-") -> str:
    return FLOW.replace("READS_ROW", row).replace("READS_LINE", line).replace("READS", reads)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        ("{{ steps.sort.output.labl }}", "the output of 'sort' has no field 'labl'"),
        ("{{ steps.sort.output.label.text }}", "'label' in the output of 'sort' is text, which has no field 'text'"),
        ("{{ steps.sort.output.lines[0].nam }}", "'0' in 'lines' in the output of 'sort' has no field 'nam'"),
        ("{% for l in steps.sort.output.lines %}{{ l.nam }}{% endfor %}", "'lines' in the output of 'sort' has no field 'nam'"),
        ("{% for t in steps.tag.outputs %}{{ t.them }}{% endfor %}", "the output of 'tag' has no field 'them'"),
        ("{{ steps.sort.output.labl | default('') }}", "the output of 'sort' has no field 'labl'"),
        ("{{ inputs.order.line }}", "input 'order' has a schema that does not name 'line'"),
    ],
)  # fmt: skip
def test_a_field_that_a_value_cannot_have_is_told(complaints: Complain, reads: str, message: str) -> None:
    assert f": unknown-field: {message}\n" in complaints(_flow(reads)).replace("warning: ", "")


@pytest.mark.parametrize(
    "reads",
    [
        "{{ steps.sort.output.label }} {{ steps.sort.output.lines[0].name }} {{ steps.tag.outputs[:2] | length }}",
        "{{ inputs.order.line | default('') }}",
        "{{ inputs.order.lines | map(attribute='name') | join }}",
    ],
)
def test_a_field_that_may_be_there_is_not_told(complaints: Complain, reads: str) -> None:
    assert complaints(_flow(reads)) == ""


def test_rows_and_elements_are_known_by_their_schemas(complaints: Complain) -> None:
    shown = complaints(_flow(row="{{ review.txt }} {{ item.text }}", line="{{ item.nme }} {{ item.name }}"))
    assert "a row of data.reviews has no field 'txt'" in shown
    assert "warning: unknown-field: an element of inputs.order.lines has a schema that does not name 'nme'" in shown
    assert shown.count("unknown-field") == 2


def test_a_schema_that_cannot_be_used_says_nothing_of_fields(complaints: Complain) -> None:
    flow = """\
        inputs:
          order: {type: strng}
        steps:
          reply: {prompt: "{{ inputs.order.lines }}"}
        """
    assert complaints(flow) == ""
