from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.core.problem import Problem, render
from runner.core.span import Span
from runner.output.fields import EXPECTED, fields_schema
from runner.output.problems import SchemaProblems
from runner.output.validate import Validator


@dataclass(frozen=True)
class Case:
    written: Json
    schema: Json


CASES = {
    "string": Case("string", {"type": "string"}),
    "integer": Case("integer", {"type": "integer"}),
    "range": Case("integer 1..5", {"type": "integer", "minimum": 1, "maximum": 5}),
    "negative": Case("integer -5..-1", {"type": "integer", "minimum": -5, "maximum": -1}),
    "blanks": Case("  integer   1 .. 5 ", {"type": "integer", "minimum": 1, "maximum": 5}),
    "from": Case("integer 0..", {"type": "integer", "minimum": 0}),
    "up to": Case("number ..5", {"type": "number", "maximum": 5}),
    "share": Case("number 0..1", {"type": "number", "minimum": 0, "maximum": 1}),
    "fraction": Case("number 0.5..1e2", {"type": "number", "minimum": 0.5, "maximum": 100.0}),
    "boolean": Case("boolean", {"type": "boolean"}),
    "nullable": Case("string?", {"type": ["string", "null"]}),
    "nullable range": Case("integer 1..5?", {"type": ["integer", "null"], "minimum": 1, "maximum": 5}),
    "words": Case(["hate", "spam"], {"type": "string", "enum": ["hate", "spam"]}),
    "integers": Case([1, 2, 3], {"type": "integer", "enum": [1, 2, 3]}),
    "numbers": Case([1, 2.5], {"type": "number", "enum": [1, 2.5]}),
    "words or null": Case(["low", "high", None], {"type": ["string", "null"], "enum": ["low", "high", None]}),
    "mixed": Case(["low", 1], {"type": ["integer", "string"], "enum": ["low", 1]}),
    "list": Case(["string"], {"type": "array", "items": {"type": "string"}}),
    "list of words": Case([["hate", "spam"]], {"type": "array", "items": {"type": "string", "enum": ["hate", "spam"]}}),
    "mapping": Case(
        {"name": "string"},
        {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_short_form_stands_for_one_schema(case: Case) -> None:
    assert fields_schema({"x": case.written}) == {
        "type": "object",
        "properties": {"x": case.schema},
        "required": ["x"],
        "additionalProperties": False,
    }


def test_the_order_of_the_author_is_kept() -> None:
    schema = fields_schema({"zeta": "string", "alpha": [{"b": "string", "a": "string"}]})
    assert list(schema["properties"]) == schema["required"] == ["zeta", "alpha"]
    assert list(schema["properties"]["alpha"]["items"]["properties"]) == ["b", "a"]


def problem_of(written: Json) -> Problem:
    with pytest.raises(SchemaProblems) as caught:
        fields_schema({"x": written}, lambda pointer: Span(f"at {pointer}", 1, 1))
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("written", "place", "message"),
    [
        ("strng", "/x", "unknown-type: the field 'x' has the type 'strng', which is none"),
        ("", "/x", "unknown-type: the field 'x' has the type '', which is none"),
        ("string 1..5", "/x", "invalid-fields: '1..5' follows string, which takes no range"),
        ("integer 1.5..2", "/x", "invalid-fields: '1.5..2' bounds an integer by a fraction"),
        (
            f"integer 1..{2**64}",
            "/x",
            "invalid-fields: the field 'x' is bounded by a number that JSON cannot hold",
        ),
        (f"number ..{'9' * 401}", "/x", "invalid-fields: the field 'x' is bounded by a number that JSON cannot hold"),
        ("number 1e400..", "/x", "invalid-fields: the field 'x' is bounded by a number that JSON cannot hold"),
        ("integer 5..1", "/x", "invalid-fields: the range '5..1' is empty"),
        ("integer ..", "/x", "invalid-fields: '..' is no range"),
        ("integer 1-5", "/x", "invalid-fields: '1-5' is no range"),
        ([], "/x", "invalid-fields: the field 'x' is an empty list"),
        ({}, "/x", "invalid-fields: the mapping names no field"),
        ({"": "string"}, "/x", "invalid-fields: a field has an empty name"),
        (None, "/x", "invalid-fields: the field 'x' is null, which is no type"),
        (True, "/x", "invalid-fields: the field 'x' is true, which is no type"),
        (5, "/x", "invalid-fields: the field 'x' is '5', which is no type"),
        (["billing"], "/x/0", "unknown-type: 'billing' is no type, and a list of one word is a list of that type"),
        (["strin"], "/x/0", "unknown-type: the field 'x.0' has the type 'strin', which is none"),
        (["a", "a"], "/x/1", "invalid-fields: the field 'x' lists 'a' twice"),
        (
            ["a", {"b": "string"}],
            "/x/1",
            "invalid-fields: the field 'x' is a list of several, and a mapping is no word to choose",
        ),
        (["a", ["b"]], "/x/1", "invalid-fields: the field 'x' is a list of several, and a list is no word to choose"),
        ([True, False], "/x/0", "invalid-fields: the field 'x' is a list of several, and true is no word to choose"),
        ([False, "a"], "/x/0", "invalid-fields: the field 'x' is a list of several, and false is no word to choose"),
        ({"a/b": {"c": "nope"}}, "/x/a~1b/c", "unknown-type: the field 'x.a/b.c' has the type 'nope', which is none"),
    ],
)
def test_a_mistake_is_told_at_its_place(written: Json, place: str, message: str) -> None:
    problem = problem_of(written)
    assert problem.span == Span(f"at {place}", 1, 1)
    assert f"{problem.code}: {problem.message}" == message
    assert problem.expected


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("str", "string"),
        ("Int", "integer"),
        ("numbr", "number"),
        ("list", "[string]"),
        ("dict", "{name: string}"),
        ("qqq", ""),
    ],
)
def test_the_type_that_was_meant_is_named(written: str, near: str) -> None:
    assert problem_of(written).nearest == near


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(SchemaProblems) as caught:
        fields_schema({"a": "strin", "b": {"c": "integr"}})
    assert [render(problem, {}) for problem in caught.value.problems] == [
        f"unknown-type: the field 'a' has the type 'strin', which is none\n  expected: {EXPECTED}\n  nearest:  string",
        f"unknown-type: the field 'b.c' has the type 'integr', which is none\n  expected: {EXPECTED}\n  nearest:  integer",
    ]


def test_fields_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(SchemaProblems) as caught:
        fields_schema(["string"])
    assert caught.value.problems[0].message == "'fields' is no mapping"


def test_fields_nested_too_deeply_are_refused() -> None:
    deep: Json = "string"
    for _ in range(70):
        deep = [deep]
    assert problem_of(deep).message == "the fields are nested more than 64 deep"


NAMES = st.text(min_size=1, max_size=8)
TYPES = st.recursive(
    st.sampled_from(["string", "integer 1..5", "number ..0.5", "boolean?", "integer"])
    | st.lists(NAMES, min_size=2, max_size=4, unique=True),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3) | inner.map(lambda one: [one]),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, TYPES, min_size=1, max_size=4))
def test_every_short_form_is_a_schema_that_asks_for_just_its_fields(written: dict[str, Json]) -> None:
    validator = Validator(fields_schema(written))
    assert not validator.fits({})
    assert {violation.expected.split(":")[0] for violation in validator.violations({})}
    extra = {**dict.fromkeys(written), "another name than these": 1}
    assert any(v.keyword == "additionalProperties" for v in validator.violations(extra))
