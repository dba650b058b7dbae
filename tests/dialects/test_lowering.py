from __future__ import annotations

from typing import Any

import pytest

from runner.dialects import DIALECTS
from runner.dialects.gemini_schema import lower_for_gemini
from runner.dialects.llama_schema import lower_for_llama
from runner.dialects.lowering import modernise
from runner.dialects.openai_schema import lower_for_openai
from runner.dialects.remembering import remember


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def body_of(lower: Any, schema: Any) -> Any:
    return lower(schema).body


EVERYTHING = {
    **obj(
        name={
            "type": "string",
            "description": "who",
            "minLength": 1,
            "pattern": "^[a-z]+$",
            "default": "x",
            "examples": ["y"],
        },
        mail={"type": "string", "format": "email"},
        day={"type": "string", "format": "date"},
        colour={"type": "string", "format": "colour"},
        size={"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "multipleOf": 2},
        share={"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        kind={"const": "a"},
        tags={"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
        pick={"oneOf": [{"type": "string"}, {"type": "integer"}]},
    ),
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Everything",
    "minProperties": 1,
}


def test_gemini_gets_what_it_documents_and_the_rest_is_ours() -> None:
    lowered = lower_for_gemini(EVERYTHING)
    assert lowered.body == {
        **obj(
            name={"type": "string", "description": "who"},
            mail={"type": "string"},
            day={"type": "string", "format": "date"},
            colour={"type": "string"},
            size={"type": "integer", "minimum": 1, "maximum": 9},
            share={"type": "number", "minimum": 0},
            kind={"enum": ["a"], "type": "string"},
            tags={"type": "array", "items": {"type": "string"}, "minItems": 1},
            pick={"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        "title": "Everything",
    }
    assert lowered.local_only == (
        "/properties/name/minLength",
        "/properties/name/pattern",
        "/properties/mail/format",
        "/properties/size/multipleOf",
        "/properties/share/exclusiveMaximum",
        "/properties/tags/uniqueItems",
        "/properties/pick/oneOf",
        "/minProperties",
    )
    assert (lowered.refused, lowered.undo) == ((), None)


def test_llama_gets_what_its_grammars_enforce() -> None:
    lowered = lower_for_llama(EVERYTHING)
    assert lowered.body == obj(
        name={"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
        mail={"type": "string"},
        day={"type": "string", "format": "date"},
        colour={"type": "string"},
        size={"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
        share={"type": "number"},
        kind={"const": "a"},
        tags={"type": "array", "items": {"type": "string"}, "minItems": 1},
        pick={"anyOf": [{"type": "string"}, {"type": "integer"}]},
    )
    assert lowered.local_only == (
        "/properties/mail/format",
        "/properties/size/multipleOf",
        "/properties/share/minimum",
        "/properties/share/exclusiveMaximum",
        "/properties/tags/uniqueItems",
        "/properties/pick/oneOf",
        "/minProperties",
    )
    assert lowered.refused == ()


def test_openai_gets_its_strict_subset() -> None:
    lowered = lower_for_openai(EVERYTHING)
    assert lowered.body == {
        **obj(
            name={"type": "string", "description": "who", "pattern": "^[a-z]+$"},
            mail={"type": "string", "format": "email"},
            day={"type": "string", "format": "date"},
            colour={"type": "string"},
            size={"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "multipleOf": 2},
            share={"type": "number", "minimum": 0, "exclusiveMaximum": 1},
            kind={"const": "a", "type": "string"},
            tags={"type": "array", "items": {"type": "string"}, "minItems": 1},
            pick={"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        "title": "Everything",
    }
    assert lowered.local_only == (
        "/properties/name/minLength",
        "/properties/tags/uniqueItems",
        "/properties/pick/oneOf",
        "/minProperties",
    )
    assert (lowered.refused, lowered.undo) == ((), None)


def test_the_authors_order_is_kept_by_every_dialect() -> None:
    schema = {
        "properties": {"z": {"type": "string"}, "a": {"type": "string"}},
        "type": "object",
        "required": ["a", "z"],
    }
    for lower in (lower_for_gemini, lower_for_llama, lower_for_openai):
        assert list(body_of(lower, schema)["properties"]) == ["z", "a"]


@pytest.mark.parametrize("lower", [lower_for_gemini, lower_for_llama, lower_for_openai])
def test_definitions_of_older_drafts_are_sent_under_their_present_name(lower: Any) -> None:
    schema = {**obj(a={"$ref": "#/definitions/T"}), "definitions": {"T": obj(b={"type": "string"})}}
    body = lower(schema).body
    assert body["properties"]["a"] == {"$ref": "#/$defs/T"}
    assert body["$defs"]["T"]["properties"] == {"b": {"type": "string"}}
    assert "definitions" not in body


def test_only_keywords_are_renamed_not_properties_or_values() -> None:
    schema = {
        "definitions": {"T": {"enum": ["#/definitions/T"]}},
        "properties": {"definitions": {"anyOf": [{"$ref": "#/definitions/T"}, {"items": True}]}},
    }
    assert modernise(schema) == {
        "$defs": {"T": {"enum": ["#/definitions/T"]}},
        "properties": {"definitions": {"anyOf": [{"$ref": "#/$defs/T"}, {"items": True}]}},
    }


def test_a_reference_stands_alone_or_with_its_description_around_it() -> None:
    schema = {
        **obj(
            plain={"$ref": "#/$defs/T", "title": "dropped"},
            told={"$ref": "#/$defs/T", "description": "why"},
            more={"$ref": "#/$defs/T", "maxLength": 3},
        ),
        "$defs": {"T": {"type": "string"}},
    }
    lowered = lower_for_gemini(schema)
    assert dict(lowered.body or {})["properties"] == {
        "plain": {"$ref": "#/$defs/T"},
        "told": {"description": "why", "anyOf": [{"$ref": "#/$defs/T"}]},
        "more": {"$ref": "#/$defs/T"},
    }
    assert lowered.local_only == ("/properties/more/maxLength",)


@pytest.mark.parametrize("lower", [lower_for_gemini, lower_for_llama, lower_for_openai])
def test_a_reference_out_of_the_schema_is_refused(lower: Any) -> None:
    refused = lower(obj(a={"$ref": "https://example.org/t.json"})).refused
    assert refused == (("/properties/a/$ref", "a reference must point into the schema itself"),)


@pytest.mark.parametrize("lower", [lower_for_gemini, lower_for_llama])
def test_true_and_false_are_schemas_too(lower: Any) -> None:
    lowered = lower(obj(any=True, never=False))
    assert dict(lowered.body or {})["properties"] == {"any": {}, "never": {}}
    assert lowered.local_only == ("/properties/never",)


def test_pointers_are_escaped() -> None:
    assert lower_for_gemini(obj(**{"a/b~c": {"type": "string", "minLength": 1}})).local_only == (
        "/properties/a~1b~0c/minLength",
    )


@pytest.mark.parametrize(
    ("schema", "body", "local_only"),
    [
        ({"const": 3}, {"enum": [3], "type": "integer"}, ()),
        ({"const": None}, {"type": "null"}, ()),
        ({"const": True}, {"type": "boolean"}, ("/const",)),
        ({"const": "a", "enum": ["a"]}, {"enum": ["a"], "type": "string"}, ("/const",)),
        ({"enum": ["a", 1]}, {"enum": ["a", 1], "type": ["string", "integer"]}, ()),
        ({"type": "boolean", "enum": [True]}, {"type": "boolean"}, ("/enum",)),
        ({"enum": [None]}, {"type": "null"}, ("/enum",)),
        (
            {"type": ["string", "null"], "description": "d", "enum": ["a", None]},
            {"description": "d", "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
            (),
        ),
        ({"enum": [None, [1]]}, {"type": ["null", "array"]}, ("/enum",)),
        (
            {"enum": ["a", None], "anyOf": [{"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            ("/enum",),
        ),
        (
            {"type": "integer", "exclusiveMinimum": 0, "minimum": 3},
            {"type": "integer", "minimum": 3},
            ("/exclusiveMinimum",),
        ),
        ({"type": "integer", "exclusiveMinimum": 0.5}, {"type": "integer"}, ("/exclusiveMinimum",)),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, None, ("/items",)),
        ({"oneOf": [True], "anyOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}, ("/oneOf",)),
        (
            {"type": "object", "additionalProperties": {"type": "string", "minLength": 2}},
            None,
            ("/additionalProperties/minLength",),
        ),
        ({"type": "string", "not": {"const": "x"}, "x-note": 1}, {"type": "string"}, ("/not",)),
        ({"properties": {}}, {"properties": {}, "type": "object"}, ()),
        ({"items": {}}, {"items": {}, "type": "array"}, ()),
    ],
)
def test_gemini_says_in_its_words_what_it_can(schema: Any, body: Any, local_only: tuple[str, ...]) -> None:
    lowered = lower_for_gemini(schema)
    if body is not None:
        assert lowered.body == body
    assert lowered.local_only == local_only


def tree(required: list[str], **more: Any) -> dict[str, Any]:
    kids = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    shape = {"type": "object", "properties": {"kids": kids, "v": {"type": "string"}}, "required": required}
    return {**obj(top={"$ref": "#/$defs/Tree"}), "$defs": {"Tree": shape, **more}}


def test_gemini_takes_a_schema_inside_itself_in_optional_properties_only() -> None:
    assert lower_for_gemini(tree(["v"])).refused == ()
    refused = (("/$defs/Tree", "a schema inside itself can be sent only as an optional property"),)
    assert lower_for_gemini(tree(["v", "kids"])).refused == refused


def test_gemini_finds_circles_over_several_definitions() -> None:
    schema = {
        **obj(a={"$ref": "#/$defs/A"}, gone={"$ref": "#/$defs/gone"}, any=True),
        "$defs": {
            "A": obj(b={"anyOf": [{"$ref": "#/$defs/B"}, True]}, c={"$ref": "#/$defs/C"}, d={"$ref": "#/$defs/C"}),
            "B": obj(a={"$ref": "#/$defs/A"}, c={"$ref": "#/$defs/C"}),
            "C": {"type": "string"},
        },
    }
    assert [pointer for pointer, _ in lower_for_gemini(schema).refused] == ["/$defs/A", "/$defs/B"]


def test_gemini_refuses_a_circle_and_not_what_leads_into_it() -> None:
    schema = {
        **obj(a={"$ref": "#/$defs/A"}),
        "$defs": {
            "A": obj(b={"$ref": "#/$defs/B"}),
            "B": obj(c={"$ref": "#/$defs/C"}),
            "C": obj(b={"$ref": "#/$defs/B"}),
        },
    }
    assert [pointer for pointer, _ in lower_for_gemini(schema).refused] == ["/$defs/B", "/$defs/C"]


@pytest.mark.parametrize(
    ("schema", "body", "local_only"),
    [
        ({"type": "string", "pattern": "^\\d+$"}, {"type": "string"}, ("/pattern",)),
        ({"type": "string", "pattern": "a"}, {"type": "string"}, ("/pattern",)),
        ({"type": "string", "pattern": "^(?=a)a$"}, {"type": "string"}, ("/pattern",)),
        ({"type": "number", "maximum": 1}, {"type": "number"}, ("/maximum",)),
        ({"type": "array", "prefixItems": [True], "items": False}, {"type": "array"}, ("/prefixItems", "/items")),
        (
            {"type": "object", "properties": {}, "anyOf": [{"required": ["a"]}]},
            {"type": "object", "properties": {}},
            ("/anyOf",),
        ),
        ({"allOf": [{"type": "string"}]}, {"allOf": [{"type": "string"}]}, ("/allOf",)),
        (
            {"$ref": "#/$defs/T", "description": "d", "$defs": {"T": True}},
            {"$ref": "#/$defs/T", "$defs": {"T": {}}},
            (),
        ),
    ],
)
def test_llama_drops_what_its_grammars_misread(schema: Any, body: Any, local_only: tuple[str, ...]) -> None:
    lowered = lower_for_llama(schema)
    assert (lowered.body, lowered.local_only) == (body, local_only)


def test_llama_refuses_an_empty_enum() -> None:
    assert lower_for_llama({"enum": []}).refused == (("/enum", "an enum must have a value"),)


def test_a_schema_is_lowered_once() -> None:
    made: list[Any] = []

    @remember
    def make(schema: Any) -> int:
        made.append(schema)
        return len(made)

    one, equal = {"type": "string"}, {"type": "string"}
    assert (make(one), make(one), make(equal)) == (1, 1, 2)
    others = [{"n": n} for n in range(300)]
    assert [make(schema) for schema in others] == list(range(3, 303))
    assert make(one) == 303


@pytest.mark.parametrize("name", ["gemini", "openai-chat", "anthropic", "llama"])
def test_no_keyword_is_both_enforced_and_left_to_us(name: str) -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "minLength": 2, "format": "date"},
            "b": {"oneOf": [{"const": 1}, {"type": "null"}]},
            "c": {"$ref": "#/$defs/c"},
        },
        "required": ["a", "b", "c"],
        "additionalProperties": False,
        "$defs": {"c": {"type": "integer", "exclusiveMinimum": 0}},
    }
    lowered = DIALECTS[name].lower(schema)
    assert {"/type", "/properties", "/properties/a/type", "/properties/c/$ref", "/$defs/c/type"} <= {*lowered.enforced}
    assert not {*lowered.enforced} & {*lowered.local_only}
    assert "/properties/b/oneOf" in lowered.local_only
    assert "/additionalProperties" in lowered.enforced
