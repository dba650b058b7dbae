from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.dialects.openai_schema import lower_for_openai


def obj(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


def body_of(schema: Any) -> Any:
    return lower_for_openai(schema).body


def sent(schema: Any, **defs: Any) -> Any:
    """What is sent for an optional property with this schema."""
    whole = {**obj([], a=schema), **({"$defs": defs} if defs else {})}
    return body_of(whole)["properties"]["a"]


def test_every_object_is_closed_and_needs_all_its_properties() -> None:
    schema = obj(a=obj(b={"type": "string"}), c={"type": "array", "items": obj(d={"type": "null"})})
    body = body_of(schema)
    for node in (body, body["properties"]["a"], body["properties"]["c"]["items"]):
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}),
        ({"type": "string", "enum": ["x"]}, {"type": ["string", "null"], "enum": ["x", None]}),
        ({"type": "string", "enum": ["x", None]}, {"type": ["string", "null"], "enum": ["x", None]}),
        ({"enum": ["x"]}, {"enum": ["x", None], "type": ["string", "null"]}),
        (
            {"const": "x", "description": "d"},
            {"description": "d", "anyOf": [{"const": "x", "type": "string"}, {"type": "null"}]},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "d"},
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "description": "d"},
        ),
        (
            {"anyOf": [{"type": "string"}], "type": "string"},
            {"anyOf": [{"anyOf": [{"type": "string"}], "type": "string"}, {"type": "null"}]},
        ),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"enum": ["x", None]}, {"enum": ["x", None], "type": ["string", "null"]}),
        ({"const": None}, {"const": None, "type": "null"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ],
)
def test_an_optional_property_is_sent_as_required_or_null(schema: Any, expected: Any) -> None:
    assert sent(schema) == expected


def test_an_optional_reference_becomes_a_choice() -> None:
    assert sent({"$ref": "#/$defs/T"}, T={"type": "string"}) == {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]}
    assert sent({"$ref": "#/$defs/T"}, T={"type": ["string", "null"]}) == {"$ref": "#/$defs/T"}


def test_a_root_that_only_refers_is_opened() -> None:
    body = body_of({"$ref": "#/$defs/T", "$defs": {"T": obj(a={"type": "string"})}})
    assert body["type"] == "object"
    assert body["properties"] == {"a": {"type": "string"}}


def refused(schema: Any) -> tuple[tuple[str, str], ...]:
    return lower_for_openai(schema).refused


ANY = "a value of any type cannot be sent: name its type"
EMPTY = "an object without named properties would always come back empty: name them"
ROOT = ("", "the root must be an object: put the value under a property")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "array", "items": {"type": "string"}}, (ROOT,)),
        ({"type": ["object", "null"], **{k: v for k, v in obj(a={"type": "string"}).items() if k != "type"}}, (ROOT,)),
        ({"anyOf": [obj(a={"type": "string"})]}, (("", "the root must not be a choice: put it under a property"),)),
        ({"oneOf": [obj(a={"type": "string"})]}, (("", "the root must not be a choice: put it under a property"),)),
        (True, (ROOT,)),
        ({"$ref": "#/$defs/T", "$defs": {"T": {"$ref": "#/$defs/T"}}}, (ROOT,)),
        ({"$ref": "#/$defs/U", "$defs": {}}, (ROOT,)),
        (obj(a={}), (("/properties/a", ANY),)),
        (obj(a={"type": "array"}), (("/properties/a", "a list must say what its items are"),)),
        (obj(a={"type": "object"}), (("/properties/a", EMPTY),)),
        (obj(a={"type": "object", "additionalProperties": {"type": "string"}}), (("/properties/a", EMPTY),)),
        (obj(a={"type": "object", "additionalProperties": False}), ()),
        (
            obj(a={"type": "object", "properties": {"b": {"type": "string"}}, "required": ["c"]}),
            (("/properties/a/required", "the required property 'c' has no schema"),),
        ),
        (
            obj(a={"allOf": [{"type": "string"}]}),
            (("/properties/a/allOf", "allOf cannot be sent: write its parts out as one schema"),),
        ),
        (obj(a={"enum": list(range(1001))}), (("", "the schema has 1001 enum values, and at most 1000 can be sent"),)),
        (
            obj(a={"const": "x" * 120_000}),
            (("", "the schema has 120001 characters of names and values, and at most 120000 can be sent"),),
        ),
        (
            obj(None, **{f"p{n}": {"type": "null"} for n in range(5001)}),
            (("", "the schema has 5001 properties, and at most 5000 can be sent"),),
        ),
    ],
)
def test_what_strict_mode_would_answer_with_an_error_is_known_before(schema: Any, expected: Any) -> None:
    assert refused(schema) == expected


def test_nesting_is_counted_in_levels() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(11):
        schema = obj(a=schema)
    assert refused(schema) == (("", "the schema has 11 levels of objects and lists, and at most 10 can be sent"),)
    assert refused(schema["properties"]["a"]) == ()


def test_closing_an_object_is_enough_for_what_would_have_closed_or_typed_the_rest() -> None:
    schema = {**obj(a={"type": "string"}), "additionalProperties": {"type": "integer"}, "unevaluatedProperties": False}
    lowered = lower_for_openai(schema)
    assert (lowered.local_only, lowered.refused) == ((), ())


def test_alternatives_beside_properties_and_look_around_are_ours() -> None:
    schema = {**obj(a={"type": "string", "pattern": "(?=x)"}), "anyOf": [{"required": ["a"]}]}
    lowered = lower_for_openai(schema)
    assert lowered.local_only == ("/properties/a/pattern", "/anyOf")
    assert lowered.refused == ()


def undo(schema: Any, value: Any) -> Any:
    back = lower_for_openai(schema).undo
    assert back is not None
    return back(value)


def test_nulls_of_absent_properties_are_taken_out() -> None:
    schema = obj(["b"], a={"type": "string"}, b={"type": ["string", "null"]}, c={"type": ["string", "null"]})
    assert undo(schema, {"a": None, "b": None, "c": None}) == {"b": None, "c": None}
    assert undo(schema, {"a": "x", "b": "y", "more": None}) == {"a": "x", "b": "y", "more": None}
    assert undo(schema, "not an object") == "not an object"


def test_nulls_are_found_in_lists_references_and_the_right_branch() -> None:
    schema = {
        **obj(
            list={"type": "array", "items": {"$ref": "#/$defs/T"}},
            pick={
                "oneOf": [
                    obj(["kind"], kind={"const": "a"}, x={"type": "string"}),
                    obj(["kind"], kind={"enum": ["b"]}, x={"type": ["string", "null"]}),
                    {"type": "string"},
                ]
            },
            both={"allOf": [obj([], y={"type": "string"})]},
        ),
        "$defs": {"T": obj([], next={"$ref": "#/$defs/T"}, v={"type": "integer"})},
    }
    value = {
        "list": [{"next": {"next": None, "v": None}, "v": 1}, {"next": None, "v": 2}],
        "pick": {"kind": "a", "x": None},
        "both": {"y": None},
    }
    assert undo(schema, value) == {"list": [{"next": {}, "v": 1}, {"v": 2}], "pick": {"kind": "a"}, "both": {}}
    other = {"list": [], "pick": {"kind": "b", "x": None}, "both": {}}
    assert undo(schema, other) == other
    neither = {**other, "pick": {"kind": "c", "x": None}}
    assert undo(schema, neither) == neither
    assert undo(schema, {**other, "pick": "text"})["pick"] == "text"
    assert undo(schema, {**other, "pick": 3})["pick"] == 3


def test_branches_are_told_apart_by_their_types_keys_and_parts() -> None:
    schema = obj(
        pick={
            "anyOf": [
                {"$ref": "#/$defs/N"},
                obj(["n"], n={"type": "number"}, extra={"type": "string"}),
                {**obj([], deep=obj(k={"const": 1})), "additionalProperties": True},
                True,
            ]
        }
    )
    schema["$defs"] = {"N": obj(["m", "t"], m={"type": "integer"}, t={"type": "string"}, u={"type": "string"})}
    assert undo(schema, {"pick": {"m": 1, "t": "x", "u": None}}) == {"pick": {"m": 1, "t": "x"}}
    assert undo(schema, {"pick": {"n": 1, "extra": None}}) == {"pick": {"n": 1}}
    assert undo(schema, {"pick": {"deep": {"k": 2}, "z": None}}) == {"pick": {"deep": {"k": 2}, "z": None}}
    assert undo(schema, {"pick": {"m": "not a number", "t": "x", "u": None}}) == {
        "pick": {"m": "not a number", "t": "x", "u": None}
    }
    assert undo(schema, {"pick": {"n": 1, "more": 2, "extra": None}})["pick"] == {"n": 1, "more": 2, "extra": None}
    assert undo(schema, {"pick": {"deep": None, "z": None}}) == {"pick": {"z": None}}


def test_a_circle_of_references_ends() -> None:
    schema = {**obj([], a={"$ref": "#/$defs/T"}), "$defs": {"T": {"$ref": "#/$defs/T"}}}
    assert undo(schema, {"a": None}) == {"a": None}


def test_a_property_named_like_a_keyword_is_a_property() -> None:
    assert undo(obj([], enum={"type": "string"}, properties=obj([], a={"type": "string"})), {"enum": None}) == {}


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": ["string", "null"]},
        {"enum": ["a", "b"]},
        {"type": ["string", "null"], "enum": ["a", None]},
        {"const": 1},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    ]
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(properties: dict[str, Any], required: set[str]) -> dict[str, Any]:
        return obj([name for name in properties if name in required], **properties)

    names = st.sampled_from(["a", "b", "c"])
    return st.builds(build, st.dictionaries(names, inner, min_size=1), st.sets(names))


SCHEMAS = objects(
    st.recursive(
        LEAVES, lambda inner: objects(inner) | inner.map(lambda items: {"type": "array", "items": items}), max_leaves=6
    )
)


def instances(schema: Any) -> st.SearchStrategy[Any]:
    if "anyOf" in schema:
        return st.one_of([instances(branch) for branch in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            of = {name: instances(inner) for name, inner in schema["properties"].items()}
            needed = {name: inner for name, inner in of.items() if name in schema["required"]}
            return st.fixed_dictionaries(
                needed, optional={name: inner for name, inner in of.items() if name not in needed}
            )
        case "array":
            return st.lists(instances(schema["items"]), max_size=2)
        case "integer":
            return st.integers(-5, 5)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case ["string", "null"]:
            return st.none() | st.text(max_size=3)
        case _:
            return st.text(max_size=3)


def fill(value: Any, schema: Any) -> Any:
    """The value as a strict model writes it: every property, null where the author's answer has none."""
    if isinstance(value, list):
        return [fill(element, schema["items"]) for element in value]
    if isinstance(value, dict):
        return {
            name: fill(value[name], inner) if name in value else None for name, inner in schema["properties"].items()
        }
    return value


def without_ambiguous(value: Any, schema: Any) -> Any:
    """Absent and null are one on the wire where the author allows both: compare them as null."""
    if isinstance(value, list):
        return [without_ambiguous(element, schema["items"]) for element in value]
    if isinstance(value, dict):
        found = {}
        for name, inner in schema["properties"].items():
            if name in value:
                found[name] = without_ambiguous(value[name], inner)
            elif jsonschema_rs.validator_for(inner).is_valid(None):
                found[name] = None
        return found
    return value


@given(st.data())
def test_every_answer_that_fits_can_be_said_in_the_strict_schema_and_comes_back(data: st.DataObject) -> None:
    schema = data.draw(SCHEMAS)
    value = data.draw(instances(schema))
    lowered = lower_for_openai(schema)
    assert lowered.refused == ()
    on_the_wire = fill(value, schema)
    assert jsonschema_rs.validator_for(body_of(schema)).is_valid(on_the_wire)
    came_back = lowered.undo(on_the_wire) if lowered.undo else on_the_wire
    assert jsonschema_rs.validator_for(schema).is_valid(came_back)
    assert came_back == without_ambiguous(value, schema)
