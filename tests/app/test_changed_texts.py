"""The first place where a text or a schema is not as it was."""

from __future__ import annotations

from typing import Any

import pytest

from runner.app.changed_texts import ChangedTexts, kept_texts
from runner.app.preparing import prepare_program
from runner.app.types import RunOptions
from runner.core.canonical import digest

FLOW = """\
format: 1
defaults: {model: box/small}
steps:
  a:
    prompt: |
      one
      two
    schema: SCHEMA
    enforce: local
"""
NOW = digest("one\ntwo\n")


def program_of(project: Any, schema: str) -> Any:
    return prepare_program(project.workflow(FLOW.replace("SCHEMA", schema)), RunOptions()).program


@pytest.mark.parametrize(
    ("old", "place"),
    [
        ("one\ntw", "flow.yaml:7:9"),
        ("one\nto", "flow.yaml:7:8"),
        ("one", "flow.yaml:7:7"),
        ("one\ntwo\nthree", "flow.yaml:7:10"),
        ("zero\none\ntwo", "flow.yaml:6:7"),
    ],
)
def test_a_text_differs_first_at_a_line_and_column(project: Any, old: str, place: str) -> None:
    texts = ChangedTexts([program_of(project, "{type: object}")], {"old": old}.get)
    assert str(texts.first_change("flow.yaml:6", "old", NOW)) == place


def test_what_is_not_kept_or_does_not_stand_there_is_not_compared(project: Any) -> None:
    texts = ChangedTexts([program_of(project, "{type: object}")], {"old": "one"}.get)
    assert texts.first_change("flow.yaml:6", "gone", NOW) is None
    assert texts.first_change("flow.yaml:99", "old", NOW) is None
    assert texts.schema_change("gone", NOW) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{type: object}", "{type: object, minProperties: 2}", ("/minProperties", None, 2)),
        ("{type: object, minProperties: 2}", "{type: object}", ("/minProperties", 2, None)),
        ("{enum: [1, 2]}", "{enum: [1, 2, 3]}", ("/enum", "1, 2", "1, 2, 3")),
        ("{anyOf: [{type: string}, {type: integer}]}", "{anyOf: [{type: string}, {type: number}]}",
         ("/anyOf/1/type", "integer", "number")),
        ("{anyOf: [{type: string}]}", "{anyOf: [{type: string}, {type: number}]}",
         ("/anyOf", [{"type": "string"}], [{"type": "string"}, {"type": "number"}])),
        ("{type: object, properties: {a/b: true}}", "{type: object, properties: {a/b: false}}",
         ("/properties/a~1b", "true", "false")),
        ("{type: object, properties: {a: true, b: true}}", "{type: object, properties: {b: true, a: true}}",
         ("/properties", None, None)),
        ("{minLength: 1}", "{minLength: 1.0}", ("/minLength", 1, 1.0)),
    ],
)  # fmt: skip
def test_schemas_differ_first_at_a_pointer(project: Any, old: str, new: str, told: tuple[str, Any, Any]) -> None:
    before = {digest(text): text for text in kept_texts([program_of(project, old)])}
    program = program_of(project, old)
    was = program.steps["a"].linked.schema.digest
    now = program_of(project, new)
    change = ChangedTexts([now], before.get).schema_change(was, now.steps["a"].linked.schema.digest)
    assert change is not None
    assert (change.pointer, change.old, change.new) == told
    assert str(change.span).startswith("flow.yaml:8:")


def test_schemas_that_are_the_same_have_no_difference(project: Any) -> None:
    program = program_of(project, "{type: object}")
    kept = {digest(text): text for text in kept_texts([program])}
    now = program.steps["a"].linked.schema.digest
    assert ChangedTexts([program], kept.get).schema_change(now, now) is None
