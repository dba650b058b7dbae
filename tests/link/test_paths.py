"""What a schema says of a path into a value, and what it leaves open."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.link.choices import Choice
from runner.link.paths import Gap, Typed, type_at, words_at

TEXT = {"type": "string"}
CLOSED = {"type": "object", "properties": {"a": TEXT}, "required": ["a"], "additionalProperties": False}
OTHER = {"type": "object", "properties": {"b": TEXT}, "required": ["b"], "additionalProperties": False}
OF_A: dict[str, Json] = {"properties": {"kind": {"const": "a"}, "x": TEXT}, "required": ["kind", "x"]}
OF_B: dict[str, Json] = {"properties": {"kind": {"enum": ["b"]}, "y": TEXT}, "required": ["kind", "y"]}


def at(schema: Json, path: str) -> Typed:
    return type_at(schema, path.split(), schema)


ANYTHING: list[tuple[Json, str]] = [
    (True, "a"),
    ({}, "a"),
    (False, "a"),
    ({"type": "object"}, "a"),
    ({"minLength": 3}, "a b"),
    ({"type": "object", "patternProperties": {"^x-": False, "^.*$": CLOSED}, "additionalProperties": False}, "a"),
    ({"type": "object", "additionalProperties": True}, "a b"),
    ({"anyOf": [CLOSED, {}]}, "b"),
    ({"anyOf": [CLOSED, True]}, "b"),
    ({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, "c"),
    ({"type": "array"}, "[] a"),
    ({"type": "array"}, "0 a"),
    ({"type": ["array", "string"], "items": CLOSED}, "[] b"),
    ({"type": "string"}, "0 a"),
    ({"type": "object", "properties": {"0": CLOSED}}, "0 b"),
    ({"type": "null"}, "[] a"),
    ({"allOf": [TEXT, CLOSED]}, "a"),
    ({"anyOf": [{**CLOSED, "title": str(n)} for n in range(80)]}, "b"),
    ({"allOf": [{"anyOf": [CLOSED, {**CLOSED, "title": "x"}]}] * 9}, "b"),
    ({"type": "array", "items": {"anyOf": [CLOSED] * 60}, "prefixItems": [{"anyOf": [CLOSED] * 60}]}, "[] b"),
    ({"type": "array", "prefixItems": [CLOSED], "items": False}, "3 b"),
    ({"unevaluatedProperties": False, "properties": {"a": {}}}, "a b"),
]


@pytest.mark.parametrize(("schema", "path"), ANYTHING)
def test_what_the_schema_does_not_say_may_be_anything(schema: Json, path: str) -> None:
    assert at(schema, path).kind in ("any", "value")


FOUND: list[tuple[Json, str]] = [
    (CLOSED, "a"),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": CLOSED}}, "a"),
    ({"$defs": {"list": [CLOSED]}, "$ref": "#/$defs/list/0"}, "a"),
    ({"type": "object", "properties": {"x": {"$ref": "#"}, "a": TEXT}, "required": ["x", "a"]}, "x x x a"),
    ({"allOf": [{"properties": {"a": CLOSED}, "required": ["a"]}, {"properties": {"b": TEXT}}]}, "a a"),
    ({"type": "object", "additionalProperties": CLOSED}, "anything a"),
    ({"type": "array", "items": CLOSED}, "[] a"),
    ({"type": "array", "items": CLOSED}, "0 a"),
    ({"type": ["array", "null"], "items": CLOSED}, "-1 a"),
    ({"type": "array", "prefixItems": [OTHER], "items": CLOSED}, "[] b"),
    ({"type": "array", "prefixItems": [OTHER], "items": CLOSED}, "1 a"),
    ({"const": {"a": 1}}, "a"),
    ({"if": {"properties": {"a": {"const": 1}}}, "then": CLOSED, "else": OTHER}, "b"),
    ({"properties": {"a": TEXT}, "dependentSchemas": {"a": {"properties": {"b": TEXT}}}}, "b"),
    ({"unevaluatedProperties": False, "allOf": [CLOSED]}, "a"),
]


@pytest.mark.parametrize(("schema", "path"), FOUND)
def test_a_path_that_the_schema_names_is_followed_without_a_finding(schema: Json, path: str) -> None:
    found = at(schema, path)
    assert found.kind in ("value", "any")
    assert not found.is_optional
    assert not found.unlisted


MISSING: list[tuple[Json, str, int, list[str]]] = [
    (CLOSED, "x", 0, ["a"]),
    (CLOSED, "x y z", 0, ["a"]),
    ({"anyOf": [CLOSED, OTHER]}, "x", 0, ["a", "b"]),
    ({"anyOf": [CLOSED, {"type": "null"}]}, "x", 0, ["a"]),
    ({"anyOf": [CLOSED, TEXT]}, "x", 0, ["a"]),
    ({"allOf": [CLOSED, {"properties": {"b": TEXT}}]}, "b", 0, ["a", "b"]),
    ({"type": "array", "items": CLOSED}, "[] x", 1, ["a"]),
    ({"type": "array", "prefixItems": [OTHER], "items": CLOSED}, "0 a", 1, ["b"]),
    ({"type": "array", "prefixItems": [OTHER], "items": CLOSED}, "[] x", 1, ["b", "a"]),
    ({"properties": {"a": {}, "gone": False}, "required": []}, "gone", 0, ["a"]),
    ({"unevaluatedProperties": False, "properties": {"a": {}}}, "b", 0, ["a"]),
    ({"properties": {"a": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False}, "b", 0, ["a"]),
    ({"type": "object", "additionalProperties": False}, "b", 0, []),
]


@pytest.mark.parametrize(("schema", "path", "index", "names"), MISSING)
def test_a_field_that_no_alternative_allows_is_missing(schema: Json, path: str, index: int, names: list[str]) -> None:
    found = at(schema, path)
    assert (found.kind, found.index, list(found.names)) == ("missing", index, names)


SCALARS: list[tuple[Json, str]] = [
    (TEXT, "text"),
    ({"type": "integer"}, "a number"),
    ({"type": ["integer", "number"]}, "a number"),
    ({"type": "boolean"}, "true or false"),
    ({"type": "null"}, "null"),
    ({"type": ["string", "null"]}, "text or null"),
    ({"enum": ["x", 1]}, "text or a number"),
    ({"enum": [True, None, 1.5]}, "a number or true or false or null"),
    ({"const": "x"}, "text"),
]


@pytest.mark.parametrize(("schema", "words"), SCALARS)
def test_what_is_no_mapping_has_no_fields(schema: Json, words: str) -> None:
    found = at(schema, "a")
    assert (found.kind, found.found) == ("not-a-mapping", words)


@pytest.mark.parametrize("schema", [{"type": "array"}, {"const": [1]}, {"type": ["array", "null"]}])
def test_a_list_has_elements_and_no_fields(schema: Json) -> None:
    assert at(schema, "a").kind == "list"


GAPS: list[tuple[Json, str, list[Gap]]] = [
    ({"properties": {"a": TEXT}}, "a", [Gap(0)]),
    ({"properties": {"a": {"properties": {"b": TEXT}}}}, "a b", [Gap(0), Gap(1)]),
    ({"type": ["object", "null"], "properties": {"a": {}}, "required": ["a"]}, "a", [Gap(-1, is_null=True)]),
    ({"anyOf": [CLOSED, {"type": "null"}]}, "a", [Gap(-1, is_null=True)]),
    ({"type": ["string", "null"]}, "", []),
    (
        {"anyOf": [{"properties": {"a": {}}}, {"properties": {"a": {}}, "required": ["a"]}]},
        "a",
        [Gap(0, choice=Choice())],
    ),
    ({"anyOf": [CLOSED, OTHER]}, "a", [Gap(0, choice=Choice())]),
    ({"anyOf": [CLOSED, CLOSED]}, "a", []),
    ({"anyOf": [CLOSED, {"properties": {"b": TEXT}}]}, "a", [Gap(0, choice=Choice())]),
    ({"anyOf": [CLOSED, {}]}, "a", []),
    ({"anyOf": [CLOSED, {"properties": {"b": {}}, "additionalProperties": TEXT}]}, "a", []),
    ({"anyOf": [CLOSED, {"properties": {"b": {}}, "patternProperties": {"^a": {}}}]}, "a", []),
    ({"anyOf": [CLOSED, TEXT]}, "a", [Gap(0, choice=Choice("text"))]),
    ({"anyOf": [CLOSED, TEXT, {"type": "array"}]}, "a", [Gap(0, choice=Choice("text or a list"))]),
    ({**CLOSED, "type": ["object", "integer"]}, "a", [Gap(0, choice=Choice("a number"))]),
    ({"anyOf": [OF_A, OF_B]}, "x", [Gap(0, choice=Choice(name="kind", words=("a",)))]),
    (
        {"anyOf": [OF_A, OF_B, {**OF_B, "additionalProperties": False}]},
        "y",
        [Gap(0, choice=Choice(name="kind", words=("b",)))],
    ),
    ({"anyOf": [OF_A, {**OF_B, "required": ["y"]}]}, "x", [Gap(0, choice=Choice())]),
    (
        {"anyOf": [OF_A, {"properties": {"kind": {"enum": ["a", "c"]}, "y": {}}, "required": ["kind"]}]},
        "x",
        [Gap(0, choice=Choice())],
    ),
    ({"allOf": [{"anyOf": [OF_A, OF_B]}, {"properties": {"kind": {"const": "a"}}}]}, "x", []),
    ({"allOf": [{"anyOf": [OF_A, OF_B]}, {"properties": {"kind": {"enum": ["b", "c"]}}}]}, "y", []),
    (
        {"allOf": [{"anyOf": [OF_A, OF_B]}, {"properties": {"kind": TEXT}}]},
        "y",
        [Gap(0, choice=Choice(name="kind", words=("b",)))],
    ),
    (
        {"oneOf": [{"properties": {"p": OF_A}, "required": ["p"]}, {"properties": {"p": OF_B}, "required": ["p"]}]},
        "p x",
        [Gap(1, choice=Choice(name="kind", words=("a",)))],
    ),
    (
        {
            "type": "array",
            "prefixItems": [{"properties": {"p": OF_A}, "required": ["p"]}],
            "items": {"properties": {"p": OF_B}, "required": ["p"]},
        },
        "[] p x",
        [],
    ),
    ({"type": "array", "items": {"anyOf": [OF_A, OF_B]}}, "[] x", [Gap(1, choice=Choice(name="kind", words=("a",)))]),
    ({"properties": {"a": {}}, "additionalProperties": TEXT}, "b", []),
    ({"properties": {"a": {}}, "dependentRequired": {"b": ["a"]}}, "a", []),
    ({"properties": {"a": {}}, "if": {"required": ["b"]}, "then": {"required": ["a"]}}, "a", []),
    ({"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "a", [Gap(0, choice=Choice())]),
]


@pytest.mark.parametrize(("schema", "path", "gaps"), GAPS)
def test_what_may_be_left_out_is_a_gap_where_nothing_else_decides(schema: Json, path: str, gaps: list[Gap]) -> None:
    assert list(at(schema, path).gaps) == gaps


def test_a_name_that_an_open_mapping_does_not_list_is_noted_with_those_that_it_does() -> None:
    schema = {"properties": {"a": {"properties": {"b": TEXT}}}, "required": ["a"]}
    assert at(schema, "a x").unlisted == ((1, ("b",)),)
    assert at(schema, "a x y").unlisted == ((1, ("b",)),)


WORDS: list[tuple[Json, Any]] = [
    ({"enum": ["x", "y"]}, ("x", "y")),
    ({"const": "x"}, ("x",)),
    ({"allOf": [{"enum": ["x", "y"]}, {"enum": ["y", "z"]}]}, ("y",)),
    ({"anyOf": [{"enum": ["x"]}, {"const": 2}, {"type": "null"}]}, ("x", 2, None)),
    ({"anyOf": [{"enum": ["x"]}, TEXT]}, None),
    (TEXT, None),
    (True, None),
    (False, ()),
]


@pytest.mark.parametrize(("schema", "words"), WORDS)
def test_the_words_of_a_value_are_known_where_each_alternative_lists_them(schema: Json, words: Any) -> None:
    assert words_at(at(schema, "").__class__("value", type_at(schema, (), schema).alternatives)) == words


def test_no_words_are_known_of_what_is_not_there() -> None:
    assert words_at(at(CLOSED, "x")) is None


# --- a rule for all schemas: what a value has is never said to be missing


_LEAVES = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"enum": ["x", "y"]}, {"type": ["string", "null"]}])
_NAMES = st.sampled_from(["a", "b", "c"])


def _grown(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    properties = st.dictionaries(_NAMES, inner, max_size=3)
    objects = st.builds(
        lambda fields, needed, extra: {
            "type": "object",
            "properties": fields,
            "required": sorted(set(fields) & set(needed)),
            **({} if extra is None else {"additionalProperties": extra}),
        },
        properties,
        st.sets(_NAMES),
        st.one_of(st.none(), st.booleans(), inner),
    )
    lists = st.builds(lambda items: {"type": "array", "items": items}, inner)
    choices = st.builds(
        lambda word, some: {word: some}, st.sampled_from(["anyOf", "allOf"]), st.lists(inner, min_size=1, max_size=2)
    )
    return st.one_of(objects, lists, choices)


_SCHEMAS = st.recursive(_LEAVES, _grown, max_leaves=6)
_VALUES = st.recursive(
    st.sampled_from(["x", "z", 1, None]),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=6,
)


def _paths(value: Json, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(value, dict):
        found += [deeper for name, inner in value.items() for deeper in _paths(inner, (*path, name))]
    if isinstance(value, list):
        found += [deeper for inner in value for deeper in _paths(inner, (*path, "[]"))]
    return found


def _fits(value: Json, schema: Json) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


@given(_SCHEMAS, _VALUES)
def test_nothing_that_a_fitting_value_has_is_said_to_be_missing(schema: Json, value: Json) -> None:
    if _fits(value, schema):
        for path in _paths(value):
            found = type_at(schema, path, schema)
            assert found.kind in ("any", "value"), (path, found)
            words = words_at(found)
            if words is not None and "[]" not in path:
                inner = value
                for part in path:
                    inner = inner[part]
                assert inner in words


@given(_SCHEMAS, _VALUES)
def test_a_field_without_a_gap_is_there_in_every_fitting_value(schema: Json, value: Json) -> None:
    fields = schema.get("properties", {})
    if isinstance(value, dict) and _fits(value, schema):
        for name in fields:
            found = type_at(schema, (name,), schema)
            assert found.kind in ("missing", "any") or found.is_optional or name in value


# --- and what is said to be in some alternatives only is really left out by a value that fits

_FLAT = st.builds(
    lambda kinds, fields, needed, extra: {
        "type": "object",
        "properties": {"kind": {"enum": sorted(kinds)}, **{name: {"const": 1} for name in fields}},
        "required": ["kind", *sorted(set(fields) & needed)],
        **extra,
    },
    st.sets(st.sampled_from(["a", "b", "c"]), min_size=1),
    st.sets(st.sampled_from(["x", "y"])),
    st.sets(st.sampled_from(["x", "y"])),
    st.sampled_from([{}, {"additionalProperties": False}]),
)
_UNIONS = st.one_of(
    st.builds(lambda some: {"anyOf": some}, st.lists(_FLAT, min_size=1, max_size=3)),
    st.builds(lambda some, one: {"anyOf": some, **one}, st.lists(_FLAT, min_size=1, max_size=3), _FLAT),
    st.builds(lambda some: {"anyOf": [{"type": "string"}, *some]}, st.lists(_FLAT, min_size=1, max_size=2)),
)
_EVERY_VALUE: list[Json] = ["text"] + [
    {"kind": kind, **dict.fromkeys(names, 1)} for kind in "abc" for names in ("", "x", "y", "xy")
]


@given(_UNIONS, st.sampled_from(["x", "y"]))
def test_a_field_of_some_alternatives_is_lacking_in_some_fitting_value(schema: Json, name: str) -> None:
    fitting = [value for value in _EVERY_VALUE if _fits(value, schema)]
    lacking = [value for value in fitting if isinstance(value, str) or name not in value]
    for gap in type_at(schema, (name,), schema).gaps:
        assert lacking or not fitting
        if gap.choice is not None and gap.choice.words:
            assert all(name in value for value in fitting if value["kind"] in gap.choice.words)
