"""Schemas that nothing fits, and what in them is most likely not meant; nothing is said where it is not certain."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.checks.suspicious import suspicious_parts
from runner.core.canonical import Json

NUMBER: Json = {"type": "number"}
TEXT: Json = {"type": "string"}


def closed(**properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


NOTHING_FITS: list[tuple[str, Json, str, str]] = [
    ("limits", NUMBER | {"minimum": 5, "maximum": 3}, "/minimum", "minimum 5 is more than maximum 3, so no number fits"),
    ("open limits", NUMBER | {"exclusiveMinimum": 5, "maximum": 3}, "/exclusiveMinimum", "exclusiveMinimum 5 is more than maximum 3, so no number fits"),
    ("equal limits", NUMBER | {"minimum": 1, "exclusiveMinimum": 1, "maximum": 1}, "/exclusiveMinimum", "no number fits between exclusiveMinimum 1 and maximum 1"),
    ("equal limits above", NUMBER | {"minimum": 1, "maximum": 1, "exclusiveMaximum": 1}, "/minimum", "no number fits between minimum 1 and exclusiveMaximum 1"),
    ("no integer", {"type": "integer", "minimum": 1.2, "maximum": 1.8}, "/minimum", "no integer fits between minimum 1.2 and maximum 1.8"),
    ("no integer, open", {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "/exclusiveMinimum", "no integer fits between exclusiveMinimum 1 and exclusiveMaximum 2"),
    ("text", TEXT | {"minLength": 9, "maxLength": 3}, "/minLength", "minLength 9 is more than maxLength 3, so no text fits"),
    ("list", {"type": "array", "minItems": 2, "maxItems": 1}, "/minItems", "minItems 2 is more than maxItems 1, so no list fits"),
    ("object", {"type": "object", "minProperties": 2, "maxProperties": 1}, "/minProperties", "minProperties 2 is more than maxProperties 1, so no object fits"),
    ("empty enum", {"enum": []}, "/enum", "the enum is empty, so nothing fits"),
    ("enum against type", {"type": "integer", "enum": ["1", 2.5]}, "/enum", "no value of the enum fits the rest of its schema, so nothing fits"),
    ("enum against limits", {"type": "integer", "enum": [1, 2], "minimum": 3}, "/enum", "no value of the enum fits the rest of its schema, so nothing fits"),
    ("constant against type", {"type": "boolean", "const": "yes"}, "/const", 'the constant "yes" does not fit the rest of its schema, so nothing fits'),
    ("constant against enum", {"const": "c", "enum": ["a", "b"]}, "/const", 'the constant "c" does not fit the rest of its schema, so nothing fits'),
    ("two types", {"allOf": [TEXT, {"type": ["integer", "null"]}]}, "/allOf/1/type", "one part of the schema asks for text, another for null or a number, so nothing fits"),
    ("limits apart", NUMBER | {"minimum": 5, "allOf": [{"maximum": 3}]}, "/minimum", "minimum 5 is more than maximum 3, so no number fits"),
    ("limits by reference", {"$ref": "#/$defs/low", "minimum": 5, "type": "number", "$defs": {"low": {"maximum": 3}}}, "/minimum", "minimum 5 is more than maximum 3, so no number fits"),
    ("merged closed parts", {"allOf": [closed(a=TEXT), {"required": ["b"]}]}, "/allOf/1/required/0", "the property 'b' is required, and additionalProperties: false does not allow it"),
    ("a forbidden requirement", closed(a=False), "/required/0", "the required property 'a' is one for which nothing fits"),
    ("required by all others", {"type": "object", "required": ["a"], "additionalProperties": {"not": {}}}, "/required/0", "the required property 'a' is one for which nothing fits"),
    ("a forbidden element", {"type": "array", "minItems": 1, "items": {"not": True}}, "/items", "the list needs an element for which nothing fits"),
    ("a forbidden first", {"type": "array", "minItems": 1, "prefixItems": [False]}, "/prefixItems/0", "the list needs an element for which nothing fits"),
    ("a forbidden content", {"type": "array", "contains": False}, "/contains", "the list needs an element for which nothing fits"),
    ("nothing", False, "", "nothing fits this"),
    ("deep inside", closed(a={"type": "array", "items": NUMBER | {"minimum": 5, "maximum": 3}, "minItems": 1}), "/properties/a/items/minimum", "minimum 5 is more than maximum 3, so no number fits"),
    ("where it may be left out", {"type": "object", "properties": {"a": TEXT | {"minLength": 2, "maxLength": 1}}}, "/properties/a/minLength", "minLength 2 is more than maxLength 1, so no text fits"),
    ("inside itself", {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "", "every value needs another one inside it, without end: # → #/properties/a → #"),
    ("inside each other", {"$ref": "#/$defs/a", "$defs": {"a": closed(b={"$ref": "#/$defs/b"}), "b": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/a"}}}}, "/$defs/a", "every value needs another one inside it, without end: #/$defs/a → #/$defs/a/properties/b → #/$defs/b → #/$defs/b/items → #/$defs/a"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "pointer", "message"), [case[1:] for case in NOTHING_FITS], ids=[c[0] for c in NOTHING_FITS]
)
def test_a_schema_that_nothing_fits_is_an_error_at_its_cause(schema: Json, pointer: str, message: str) -> None:
    found = [(one.code, one.severity, one.pointer, one.message) for one in suspicious_parts(schema)]
    assert found == [("unsatisfiable", "error", pointer, message)]


MISPLACED = {"type": "integer", "minimum": 5, "maximum": 3}
IN_A_CHOICE: list[tuple[str, Json, str]] = [
    ("anyOf", {"anyOf": [TEXT, MISPLACED]}, "/anyOf/1/minimum"),
    ("oneOf", {"oneOf": [TEXT, {"not": {}}]}, "/oneOf/1"),
    ("then", {"type": "number", "if": {"minimum": 1}, "then": MISPLACED}, "/then/minimum"),
    ("a pattern of names", {"type": "object", "patternProperties": {"^x": MISPLACED}}, "/patternProperties/^x/minimum"),
    ("an endless branch", {"anyOf": [TEXT, {"$ref": "#/$defs/n"}], "$defs": {"n": closed(n={"$ref": "#/$defs/n"})}}, "/$defs/n"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "pointer"), [case[1:] for case in IN_A_CHOICE], ids=[c[0] for c in IN_A_CHOICE])
def test_a_choice_that_nothing_fits_is_a_warning(schema: Json, pointer: str) -> None:
    found = [(one.code, one.severity, one.pointer) for one in suspicious_parts(schema)]
    assert found == [("unsatisfiable", "warning", pointer)]


DOUBTFUL: list[tuple[str, Json, str, str, str]] = [
    ("a value against the type", {"type": "string", "enum": ["a", 1]}, "enum-misfit", "/enum/1", "the enum lists 1, which its schema does not allow"),
    ("null against the type", {"type": "string", "enum": ["a", None]}, "enum-misfit", "/enum/1", "the enum lists null, which its schema does not allow"),
    ("a value against the length", TEXT | {"maxLength": 2, "enum": ["ab", "abc"]}, "enum-misfit", "/enum/1", 'the enum lists "abc", which its schema does not allow'),
    ("twice", {"enum": ["a", "b", "a"]}, "repeated-value", "/enum/2", 'the enum lists "a" twice'),
    ("a default", {"type": "integer", "default": "3"}, "default-misfit", "/default", 'the default is "3", which does not fit'),
    ("a default of parts", {"type": "object", "properties": {"a": NUMBER}, "default": {"a": "x"}}, "default-misfit", "/default", 'the default at /a is "x", which does not fit'),
    ("a default beside a reference", {"type": "array", "items": {"$ref": "#/$defs/x"}, "default": {}, "$defs": {"x": TEXT}}, "default-misfit", "/default", "the default is an empty object, which does not fit"),
    ("an example", TEXT | {"examples": ["a", 2]}, "default-misfit", "/examples/1", "the example is 2, which does not fit"),
    ("properties of text", TEXT | {"properties": {}}, "idle-keyword", "/properties", "'properties' speaks of objects, and the type allows only text"),
    ("a pattern of numbers", {"type": ["integer", "null"], "pattern": "^a$"}, "idle-keyword", "/pattern", "'pattern' speaks of text, and the type allows only an integer or null"),
    ("elements of an object", {"type": "object", "items": TEXT}, "idle-keyword", "/items", "'items' speaks of lists, and the type allows only an object"),
    ("a limit of text", TEXT | {"maximum": 3}, "idle-keyword", "/maximum", "'maximum' speaks of numbers, and the type allows only text"),
    ("a requirement without a schema", {"type": "object", "properties": {"title": TEXT}, "required": ["titel"]}, "required-unknown", "/required/0", "the property 'titel' is required, and properties does not name it"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "code", "pointer", "message"), [c[1:] for c in DOUBTFUL], ids=[c[0] for c in DOUBTFUL]
)
def test_what_is_hardly_meant_is_a_warning(schema: Json, code: str, pointer: str, message: str) -> None:
    found = [(one.code, one.severity, one.pointer, one.message) for one in suspicious_parts(schema)]
    assert found == [(code, "warning", pointer, message)]


GOOD: list[tuple[str, Json]] = [
    ("anything", True),
    ("equal limits", NUMBER | {"minimum": 1, "maximum": 1}),
    ("one integer", {"type": "integer", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1.5}),
    ("limits of one side", {"type": ["number", "null"], "minimum": 3, "minLength": 1} | {"type": ["number", "string"]}),
    ("limits of what need not be", {"minimum": 5, "maximum": 3}),
    ("a forbidden property", {"type": "object", "properties": {"a": False, "b": {"not": {}}}}),
    ("closed lists", {"type": "array", "prefixItems": [TEXT], "items": False, "minItems": 1}),
    ("an optional circle", {"type": "object", "properties": {"next": {"$ref": "#"}}}),
    ("a circle through a list", closed(parts={"type": "array", "items": {"$ref": "#"}})),
    ("a circle through null", closed(next={"anyOf": [{"$ref": "#"}, {"type": "null"}]})),
    ("a circle beside a value", closed(next={"type": ["object", "null"], "allOf": [{"if": {"type": "object"}, "then": {"$ref": "#"}}]})),
    ("forbidden in a condition", {"if": {"type": "string"}, "then": TEXT, "else": False}),
    ("inside not", {"not": NUMBER | {"minimum": 5, "maximum": 3}}),
    ("a definition that nothing uses", TEXT | {"$defs": {"x": {"enum": []}}}),
    ("required elsewhere", {"type": "object", "properties": {"a": TEXT}, "allOf": [{"properties": {"b": TEXT}}], "required": ["b"]}),
    ("required in a part", {"allOf": [{"properties": {"a": TEXT}, "required": ["b"]}, {"properties": {"b": TEXT}}]}),
    ("required in a shared definition", {"$ref": "#/$defs/x", "properties": {"b": TEXT}, "$defs": {"x": {"properties": {"a": TEXT}, "required": ["b"]}}}),
    ("required by a pattern", {"type": "object", "properties": {}, "patternProperties": {"^x": TEXT}, "required": ["xa"], "additionalProperties": False}),
    ("required of a map", {"type": "object", "required": ["a"], "additionalProperties": TEXT}),
    ("required and nothing said", {"type": "object", "required": ["a"]}),
    ("a list that contains", {"type": "array", "contains": TEXT}),
    ("a list that need not contain", {"type": "array", "contains": False, "minContains": 0}),
    ("whole numbers as floats", {"type": "integer", "enum": [1.0, 2]}),
    ("values of every kind", {"type": ["null", "boolean", "number", "string", "array", "object"], "enum": [None, True, 1, "a", [], {}]}),
    ("a null default of a choice", {"anyOf": [TEXT, {"type": "null"}], "default": None}),
    ("a default behind a reference", {"$ref": "#/$defs/x", "default": 1, "$defs": {"x": {"type": "integer"}}}),
    ("formats of numbers", {"type": "integer", "format": "int64"}),
    ("one and true", {"enum": [1, True, "1"]}),
    ("two integers", {"allOf": [{"type": "integer"}, NUMBER]}),
]  # fmt: skip


@pytest.mark.parametrize("schema", [case[1] for case in GOOD], ids=[case[0] for case in GOOD])
def test_nothing_is_said_of_a_schema_that_may_be_meant(schema: Json) -> None:
    assert list(suspicious_parts(schema)) == []


def test_a_mistake_in_a_shared_file_is_told_there(findings: Callable[..., str]) -> None:
    flow = "steps:\n  a: {model: me/any, prompt: x, schema: s.json}\n  b: {model: me/any, prompt: x, schema: s.json}\n"
    files = {
        "s.json": '{"type": "object", "properties": {"a": {"$ref": "parts.json#/$defs/n"}}}',
        "parts.json": '{"$defs": {\n  "n": {"type": "integer", "minimum": 9, "maximum": 1}}}',
    }
    shown = findings(flow, files=files)
    assert shown == "parts.json:2:39: unsatisfiable: minimum 9 is more than maximum 1, so no number fits"


def test_schemas_of_inputs_and_rows_are_looked_into(findings: Callable[..., str]) -> None:
    flow = """\
        data: {rows: {file: "-", schema: {type: object, properties: {a: {type: string, minLength: 3, maxLength: 1}}}}}
        inputs: {size: {type: integer, minimum: 5, maximum: 3}}
        steps:
          a: {model: me/any, for_each: data.rows, prompt: "{{ inputs.size }}"}
        """
    shown = findings(flow)
    assert "flow.yaml:1:91: unsatisfiable: minLength 3 is more than maxLength 1, so no text fits" in shown
    assert "flow.yaml:2:41: unsatisfiable: minimum 5 is more than maximum 3, so no number fits" in shown


def test_a_requirement_that_the_provider_refuses_too_is_told_once(findings: Callable[..., str]) -> None:
    flow = "steps:\n  a: {model: openai/small, prompt: x, schema: {type: object, properties: {a: {type: string}}, required: [b]%s}}\n"
    assert [line.split(": ")[1] for line in findings(flow % "").splitlines() if line.startswith("flow")] == [
        "schema-not-taken"
    ]
    shown = findings(flow % ", additionalProperties: false")
    assert [line.split(": ")[1] for line in shown.splitlines() if line.startswith("flow")] == ["unsatisfiable"]
