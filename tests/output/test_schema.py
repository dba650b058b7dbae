from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json, digest, escape_pointer, ordered
from runner.core.ports import ReadFile
from runner.core.problem import render, render_all
from runner.core.span import Span
from runner.core.workflow import SchemaSource
from runner.output import documents
from runner.output.schema import CompiledSchema, SchemaProblems, compile_schema
from runner.output.validate import Validator

Files = Callable[[dict[str, str]], ReadFile]
HERE = Span("workflows/w.yaml", 3, 5)


def no_files(path: str) -> bytes:
    raise AssertionError(path)


def source(value: Json, *, base: str = "schemas", file: str = "", is_fields: bool = False) -> SchemaSource:
    spans = {"/properties": Span("workflows/w.yaml", 4, 1), "/properties/a": Span("workflows/w.yaml", 5, 1)}
    return SchemaSource(value, HERE, file=file, base=base, is_fields=is_fields, spans=spans)


def compiled(value: Json, read: ReadFile = no_files, **places: str) -> CompiledSchema:
    return compile_schema(source(value, **places), read)  # type: ignore[arg-type] # the flag is not passed here


def bundled(value: Json, read: ReadFile = no_files, **places: str) -> Json:
    return compiled(value, read, **places).bundled


def refusal(value: Json, read: ReadFile = no_files, **places: str) -> str:
    with pytest.raises(SchemaProblems) as caught:
        compiled(value, read, **places)
    return render_all(caught.value.problems, caught.value.sources)


def test_fields_become_a_schema() -> None:
    result = compile_schema(source({"name": "string"}, is_fields=True), no_files)
    assert result.bundled["properties"] == {"name": {"type": "string"}}
    assert result.source.is_fields


def test_mistakes_in_fields_have_their_place() -> None:
    with pytest.raises(SchemaProblems) as caught:
        compile_schema(source({"properties": {"a": "strin"}}, is_fields=True), no_files)
    assert caught.value.problems[0].span == Span("workflows/w.yaml", 5, 1)


def test_a_plain_schema_is_kept_as_written_and_in_order() -> None:
    schema = {
        "type": "object",
        "properties": {"z": {"$ref": "#/$defs/n%20m"}, "$ref": {"const": {"$ref": "data"}}, "a": True},
        "allOf": [{"required": ["z"]}],
        "$defs": {"n m": {"type": "integer"}},
        "default": {"$comment": "data"},
        "x-note": 5,
    }
    result = compiled(schema)
    assert ordered(result.bundled) == ordered(schema)
    assert result.digest == digest(ordered(schema))
    assert not Validator(result.bundled).fits({"z": "x", "$ref": {"$ref": "data"}})
    assert Validator(result.bundled).fits({"z": 1, "$ref": {"$ref": "data"}})


def test_the_order_of_properties_enters_the_digest() -> None:
    one = compiled({"properties": {"a": True, "b": True}})
    other = compiled({"properties": {"b": True, "a": True}})
    assert one.digest != other.digest


@pytest.mark.parametrize("schema", [True, False])
def test_true_and_false_are_schemas(schema: bool) -> None:
    assert bundled(schema) is schema


def test_identity_and_remarks_are_left_out_and_anchors_become_pointers() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema#",
        "$id": "https://example.com/order.json",
        "$comment": "ours",
        "$defs": {"n/o": {"$anchor": "no", "type": "integer"}, "tree": {"$dynamicAnchor": "tree", "type": "array"}},
        "properties": {"a": {"$ref": "#no"}, "b": {"$dynamicRef": "#tree"}},
    }
    assert bundled(schema) == {
        "$defs": {"n/o": {"type": "integer"}, "tree": {"type": "array"}},
        "properties": {"a": {"$ref": "#/$defs/n~1o"}, "b": {"$ref": "#/$defs/tree"}},
    }


def test_files_are_bundled_under_stable_names(files: Files) -> None:
    read = files(
        {
            "schemas/zip code.json": '{"type": "string", "$anchor": "top"}',
            "shared/order.json": '{"properties": {"zip": {"$ref": "../schemas/zip%20code.json#top"}, "next": {"$ref": "#"}}}',
            "schemas/sub/order.json": '{"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}',
        }
    )
    schema = {
        "properties": {
            "a": {"$ref": "../shared/order.json"},
            "b": {"$ref": "sub/order.json#/$defs/n"},
            "c": {"$ref": "sub/../sub/order.json"},
        },
        "$defs": {"own": True},
    }
    result = bundled(schema, read)
    assert result == {
        "properties": {
            "a": {"$ref": "#/$defs/order"},
            "b": {"$ref": "#/$defs/order_2/$defs/n"},
            "c": {"$ref": "#/$defs/order_2"},
        },
        "$defs": {
            "own": True,
            "order": {"properties": {"zip": {"$ref": "#/$defs/zip_code"}, "next": {"$ref": "#/$defs/order"}}},
            "order_2": {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/order_2/$defs/n"},
            "zip_code": {"type": "string"},
        },
    }
    assert Validator(result).fits({"a": {"zip": "x", "next": {"next": {"zip": "y"}}}, "b": 1})
    assert not Validator(result).fits({"a": {"next": {"next": {"zip": 5}}}})


def test_files_may_name_each_other_and_the_file_they_are_named_in(files: Files) -> None:
    read = files(
        {
            "schemas/b.json": '{"anyOf": [{"type": "null"}, {"$ref": "c.json"}]}',
            "schemas/c.json": '{"properties": {"b": {"$ref": "b.json"}, "a": {"$ref": "a.json#/$defs/n"}}}',
        }
    )
    schema = {"$defs": {"n": {"type": "integer"}}, "properties": {"b": {"$ref": "b.json"}}}
    result = bundled(schema, read, file="schemas/a.json")
    assert result["$defs"]["c"]["properties"]["a"] == {"$ref": "#/$defs/n"}
    assert Validator(result).fits({"b": {"b": {"b": None, "a": 3}}})
    assert not Validator(result).fits({"b": {"b": {"a": "three"}}})


def test_a_file_may_be_true_and_a_byte_order_mark_is_dropped(files: Files) -> None:
    assert bundled({"items": {"$ref": "any.json"}}, files({"schemas/any.json": "\ufefftrue"})) == {
        "items": {"$ref": "#/$defs/any"},
        "$defs": {"any": True},
    }


@dataclass(frozen=True)
class Case:
    schema: Json
    message: str


PLACE = "workflows/w.yaml:5:1"
LOCAL = "  expected: a reference such as '#/$defs/name' or 'file.json#/$defs/name'"


def at_a(schema: Json) -> Json:
    return {"properties": {"a": schema}}


TYPES = "array, boolean, integer, null, number, object, string"
WRONG = {
    "no mapping": Case(
        ["string"], "workflows/w.yaml:3:5: invalid-schema: the schema is no mapping\n  expected: a JSON Schema"
    ),
    "type": Case(
        at_a({"type": "strin"}),
        f"{PLACE}: invalid-schema: 'type' does not take \"strin\"\n"
        f"  expected: one of {TYPES}, or a list of these, each once\n  nearest:  string",
    ),
    "types twice": Case(
        at_a({"type": ["string", "string"]}),
        f"{PLACE}: invalid-schema: 'type' does not take a list of 2\n"
        f"  expected: one of {TYPES}, or a list of these, each once",
    ),
    "no schema": Case(at_a(5), f"{PLACE}: invalid-schema: 5 is no schema\n  expected: a mapping, or true or false"),
    "required": Case(
        at_a({"required": "x"}),
        f"{PLACE}: invalid-schema: 'required' does not take \"x\"\n  expected: a list of property names, each once",
    ),
    "required name": Case(
        at_a({"required": [1]}), f"{PLACE}: invalid-schema: 'required' does not take 1\n  expected: a property name"
    ),
    "pattern": Case(
        at_a({"pattern": "["}),
        f"{PLACE}: invalid-schema: 'pattern' does not take \"[\"\n  expected: a regular expression",
    ),
    "list": Case(
        at_a({"anyOf": []}),
        f"{PLACE}: invalid-schema: 'anyOf' does not take an empty list\n  expected: a list of at least one schema",
    ),
    "mapping": Case(
        at_a({"properties": []}),
        f"{PLACE}: invalid-schema: 'properties' does not take an empty list\n  expected: a mapping from names to schemas",
    ),
    "inner": Case(
        at_a({"items": 1}), f"{PLACE}: invalid-schema: 1 is no schema\n  expected: a mapping, or true or false"
    ),
    "text": Case(at_a({"title": 1}), f"{PLACE}: invalid-schema: 'title' does not take 1\n  expected: text"),
    "ref": Case(
        at_a({"$ref": 5}),
        f"{PLACE}: invalid-schema: '$ref' does not take 5\n  expected: a reference such as '#/$defs/name'",
    ),
    "http": Case(
        at_a({"$ref": "http://127.0.0.1:1/x"}),
        f"{PLACE}: refused-ref: '$ref' names the address 'http://127.0.0.1:1/x', and nothing is fetched\n{LOCAL}\n"
        "  fix:      save that schema in the project and name the file",
    ),
    "file": Case(
        at_a({"$ref": "file:///etc/passwd"}),
        f"{PLACE}: refused-ref: '$ref' names the address 'file:///etc/passwd', and nothing is fetched\n{LOCAL}\n"
        "  fix:      save that schema in the project and name the file",
    ),
    "other host": Case(
        at_a({"$dynamicRef": "//example.com/x"}),
        f"{PLACE}: refused-ref: '$dynamicRef' names the address '//example.com/x', and nothing is fetched\n{LOCAL}\n"
        "  fix:      save that schema in the project and name the file",
    ),
    "dynamic file": Case(
        at_a({"$dynamicRef": "x.json#a"}),
        f"{PLACE}: refused-ref: '$dynamicRef' names the file 'x.json'\n  expected: an anchor of this schema",
    ),
    "above the root": Case(
        at_a({"$ref": "../../x.json"}), f"{PLACE}: refused-ref: '../../x.json' is no file inside the project\n{LOCAL}"
    ),
    "absolute": Case(
        at_a({"$ref": "/etc/x.json"}), f"{PLACE}: refused-ref: '/etc/x.json' is no file inside the project\n{LOCAL}"
    ),
    "escaped": Case(
        at_a({"$ref": "..%2f..%2fx.json"}),
        f"{PLACE}: refused-ref: '../../x.json' is no file inside the project\n{LOCAL}",
    ),
    "no json": Case(at_a({"$ref": "x.yaml"}), f"{PLACE}: refused-ref: 'x.yaml' is no .json file\n{LOCAL}"),
    "missing file": Case(
        at_a({"$ref": "x.json"}),
        f"{PLACE}: missing-file: there is no file 'schemas/x.json'",
    ),
    "unknown": Case(at_a({"$ref": "#/$defs/x"}), f"{PLACE}: unknown-ref: '#/$defs/x' leads to no schema\n{LOCAL}"),
    "nearest": Case(
        {**at_a({"$ref": "#/$defs/adress"}), "$defs": {"address": {"$anchor": "here"}}},
        f"{PLACE}: unknown-ref: '#/$defs/adress' leads to no schema\n"
        "  expected: #/$defs/address, #here\n  nearest:  #/$defs/address",
    ),
    "unknown anchor": Case(at_a({"$ref": "#x"}), f"{PLACE}: unknown-ref: '#x' leads to no schema\n{LOCAL}"),
    "no schema there": Case(
        {**at_a({"$ref": "#/default"}), "default": {}}, f"{PLACE}: unknown-ref: '#/default' leads to no schema\n{LOCAL}"
    ),
    "both references": Case(
        at_a({"$ref": "#", "$dynamicRef": "#"}),
        f"{PLACE}: invalid-schema: a schema with both '$ref' and '$dynamicRef' is not supported\n  expected: '$ref' alone",
    ),
    "draft": Case(
        at_a({"$schema": "http://json-schema.org/draft-07/schema#"}),
        f"{PLACE}: schema-draft: '$schema' names 'http://json-schema.org/draft-07/schema#'\n"
        "  expected: JSON Schema 2020-12: https://json-schema.org/draft/2020-12/schema",
    ),
    "inner id": Case(
        at_a({"$id": "https://example.com/x"}),
        f"{PLACE}: invalid-schema: '$id' stands inside a schema, where it would change what references mean\n"
        "  expected: '$anchor', or a name under '$defs'",
    ),
    "anchor twice": Case(
        {"$defs": {"b": {"$dynamicAnchor": "x"}}, **at_a({"$anchor": "x"})},
        f"{PLACE}: invalid-schema: two schemas have the anchor 'x'",
    ),
    "circle": Case(
        at_a({"allOf": [{"$ref": "#/properties/a"}]}),
        f"{PLACE}: circular-ref: the references go in a circle without coming to a value further inside\n"
        "  circle:   #/properties/a → #/properties/a/allOf/0 → #/properties/a",
    ),
    "not a number": Case(
        at_a({"const": float("nan")}), f"{PLACE}: invalid-schema: the schema holds no JSON: nan is not a JSON number"
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_at_its_place(case: Case, files: Files) -> None:
    assert refusal(case.schema, files({})) == case.message


def test_a_schema_that_is_only_itself_is_a_circle() -> None:
    assert refusal({"$ref": "#"}).endswith("circle:   # → #")
    assert refusal({"$ref": ""}).endswith("circle:   # → #")


def test_a_circle_through_files_is_shown_in_the_file(files: Files) -> None:
    read = files({"schemas/b.json": '{\n  "allOf": [{"$ref": "b.json"}]\n}'})
    assert refusal({"items": {"$ref": "b.json"}}, read) == (
        "schemas/b.json:2:22: circular-ref: the references go in a circle without coming to a value further inside\n"
        '    2 |   "allOf": [{"$ref": "b.json"}]\n'
        "      |                      ^^^^^^^^\n"
        "  circle:   #/$defs/b → #/$defs/b/allOf/0 → #/$defs/b"
    )


def test_a_circle_that_goes_deeper_is_allowed() -> None:
    tree = {"properties": {"children": {"items": {"$ref": "#"}}}, "additionalProperties": False}
    assert Validator(bundled(tree)).fits({"children": [{"children": []}]})


def test_references_that_multiply_are_refused() -> None:
    definitions: dict[str, Json] = {"d0": {"type": "integer"}}
    for number in range(1, 30):
        reference = {"$ref": f"#/$defs/d{number - 1}"}
        definitions[f"d{number}"] = {"allOf": [reference, reference]}
    text = refusal({"$defs": definitions, "$ref": "#/$defs/d29"})
    assert text == (
        "workflows/w.yaml:3:5: schema-too-large: one value would be checked in more than 100000 steps\n"
        "  expected: fewer references to references"
    )


def test_mistakes_in_files_are_shown_there(files: Files) -> None:
    read = files({"schemas/b.json": '{"type": "object",\n "properties": {"n": {"minimum": "one"}}}'})
    assert refusal(at_a({"$ref": "b.json"}), read) == (
        "schemas/b.json:2:34: invalid-schema: 'minimum' does not take \"one\"\n"
        '    2 |  "properties": {"n": {"minimum": "one"}}}\n'
        "      |                                  ^^^^^\n"
        "  expected: a number"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,}', "schemas/b.json:1:1: invalid-schema: the file is no JSON: a trailing comma"),
        ('{"a": 1, "a": 2}', "schemas/b.json:1:1: invalid-schema: the file is no JSON: the property 'a' twice"),
        ("\udcff", "schemas/b.json:1:1: invalid-schema: the file is no JSON: text that is not UTF-8"),
        ("[]", "schemas/b.json:1:1: invalid-schema: the file holds no schema\n  expected: a mapping, or true or false"),
    ],
)
def test_a_file_that_is_no_schema_is_told_once(text: str, message: str, files: Files) -> None:
    shown = refusal({"items": {"$ref": "b.json"}, "contains": {"$ref": "b.json"}}, files({"schemas/b.json": text}))
    assert "\n".join(line for line in shown.split("\n") if "|" not in line) == message


def test_a_missing_file_is_told_once(files: Files) -> None:
    shown = refusal({"items": {"$ref": "b.json"}, "contains": {"$ref": "b.json"}}, files({}))
    assert shown.count("there is no file") == 1


def test_all_mistakes_are_told_together(files: Files) -> None:
    schema = {"type": "objekt", "properties": {"a": {"$ref": "http://x"}, "b": {"$ref": "#/no"}}}
    assert [line.split(":")[3].strip() for line in refusal(schema, files({})).split("\n") if line.startswith("w")] == [
        "invalid-schema",
        "unknown-ref",
        "refused-ref",
    ]


def test_the_same_dynamic_anchor_in_two_files_is_refused(files: Files) -> None:
    read = files({"schemas/b.json": '{"$dynamicAnchor": "node"}'})
    schema = {"$dynamicAnchor": "node", "items": {"$ref": "b.json"}}
    assert refusal(schema, read, file="schemas/a.json") == (
        "schemas/b.json:1:20: refused-ref: the files 'schemas/a.json' and 'schemas/b.json' both have the dynamic anchor 'node'\n"
        '    1 | {"$dynamicAnchor": "node"}\n'
        "      |                    ^^^^^^\n"
        "  expected: '$anchor' and '$ref'"
    )


def nested(levels: int) -> Json:
    schema: Json = {"type": "integer"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def test_deep_schemas_are_refused(files: Files) -> None:
    assert (
        refusal(nested(70))
        == "workflows/w.yaml:3:5: invalid-schema: the schema holds values that are nested more than 64 deep"
    )
    read = files({"schemas/b.json": json.dumps(nested(60))})
    assert bundled(at_a({"$ref": "b.json"}), read)
    read = files({"schemas/b.json": json.dumps(nested(63))})
    assert refusal(at_a({"$ref": "b.json"}), read).startswith(
        "schemas/b.json:1:631: schema-too-large: with its files, the schema is nested more than 64 deep"
    )


def test_large_schemas_are_refused(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    large = {"title": "x" * 600_000}
    assert refusal({**large, "description": "y" * 600_000}) == (
        "workflows/w.yaml:3:5: schema-too-large: the schema has more than 1 MB"
    )
    read = files({"schemas/b.json": json.dumps(large)})
    assert refusal({**large, "items": {"$ref": "b.json"}}, read) == (
        "workflows/w.yaml:3:5: schema-too-large: with its files, the schema has more than 1 MB"
    )
    monkeypatch.setattr(documents, "MAX_FILES", 1)
    read = files({"schemas/b.json": '{"items": {"$ref": "c.json"}}', "schemas/c.json": "true"})
    assert "the schema reads more than 1 files" in refusal(at_a({"$ref": "b.json"}), read)


def test_what_the_validator_cannot_do_is_told() -> None:
    pattern = "(((a{1,1000}){1,1000}){1,1000})"
    assert refusal(at_a({"pattern": pattern})).startswith(f"{PLACE}: invalid-schema: ")


NAMES = st.sampled_from(["a", "b/c", "d~", "é f", "%41"])
LEAVES = st.sampled_from([{"type": "integer"}, {"type": "string"}, True, {"enum": [1, "x"]}])


@given(
    st.dictionaries(NAMES, LEAVES, min_size=1),
    st.data(),
)
def test_a_schema_behind_a_reference_judges_as_the_schema_itself(
    definitions: dict[str, Json], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(definitions)))
    reference = {"$ref": "d.json#/$defs/" + quote(escape_pointer(name))}
    text = json.dumps({"$defs": definitions})
    result = bundled({"items": reference}, lambda _path: text.encode())
    for value in (1, "x", None, 2.5):
        assert Validator(result).fits([value]) == Validator(definitions[name]).fits(value)


def test_render_needs_no_sources_for_inline_schemas() -> None:
    with pytest.raises(SchemaProblems) as caught:
        compiled(at_a(5))
    assert caught.value.sources == {}
    assert render(caught.value.problems[0], {}).startswith(PLACE)


def test_every_pointer_of_a_bundle_has_its_place(files: Files) -> None:
    read = files({"schemas/b.json": '{"type":\n"string"}'})
    found = compiled({"properties": {"a": {"$ref": "b.json"}}}, read)
    assert found.at("/$defs/b/type") == Span("schemas/b.json", 2, 1, 8)
    assert found.at("/properties/a/$ref") == Span("workflows/w.yaml", 5, 1)


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("", 3),
        ("/required/0", 3),
        ("/properties", 3),
        ("/properties/a/minimum", 4),
        ("/properties/b/items/properties/c~1d/type", 6),
        ("/properties/b/items/type", 5),
    ],
)
def test_a_pointer_into_what_fields_mean_has_the_place_of_the_word(pointer: str, place: int) -> None:
    spans = {
        path: Span("w.yaml", line, 1) for path, line in {"": 3, "/a": 4, "/b": 7, "/b/0": 5, "/b/0/c~1d": 6}.items()
    }
    fields = {"a": "integer 1..5", "b": [{"c/d": "string"}]}
    found = compile_schema(SchemaSource(fields, HERE, is_fields=True, spans=spans), no_files)
    assert found.at(pointer).line == place
