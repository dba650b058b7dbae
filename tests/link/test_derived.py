"""Rows that are made from rows: their types, what they wait for, and whose own they are."""

from collections.abc import Callable
from typing import Any

import pytest

from runner.link.linked import Linked
from runner.link.paths import type_at, types_at, words_at

LinkText = Callable[..., Linked]

HEAD = """
data:
  rows: {file: rows.jsonl, schema: {type: object, required: [id, kind, tree], properties: {id: {type: string}, kind: {enum: [a, b, null]},
    n: {type: integer}, flag: {type: boolean}, tree: {$ref: "#/$defs/tree"}},
    $defs: {tree: {type: object, properties: {left: {$ref: "#/$defs/tree"}, value: {type: number}}, required: [left, value]}}}}
  plain: {file: rows.jsonl}
  closed: {file: rows.jsonl, schema: {type: object, required: [id, size], properties: {id: {type: string}, size: {type: integer}},
    additionalProperties: false}}
  open: {file: rows.jsonl, schema: {type: object}}
  table: {file: table.csv, schema: {type: object, properties: {id: {type: string}, n: {type: integer}}}}
"""
STEPS = """
steps:
  tag:
    for_each: data.rows
    prompt: "{{ item.id }}"
    schema: {type: object, required: [words], properties: {words: {type: array, maxItems: 4, items: {enum: [x, y]}},
      parts: {type: array, items: {type: object, properties: {quote: {type: string}}}},
      maybe: {anyOf: [{type: array, maxItems: 2}, {type: array, maxItems: 7}, {type: "null"}]}, free: {type: array}}}
  any: {prompt: q, schema: {$ref: "#/$defs/any", $defs: {any: true}}}
  say: {for_each: data.made, prompt: q}
"""


def rows_of(linked: LinkText, made: str, more: str = "") -> Any:
    """The schema of the rows of a source."""
    return source_of(linked, made, more).schema


def source_of(linked: LinkText, made: str, more: str = "") -> Any:
    found = linked(HEAD + more + f"  made: {made}\n" + STEPS, {"rows.jsonl": "", "table.csv": ""})
    return found.sources["made"]


@pytest.mark.parametrize(
    ("made", "path", "types"),
    [
        ("{rows: data.rows, columns: {x: item.n, y: item.id}}", "x", {"number"}),
        ("{rows: data.rows, where: item.n > 1}", "id", {"string"}),
        ("{rows: data.rows, each: steps.tag.output.words, columns: {word: each, n: item.n}}", "word", {"string"}),
        ("{rows: data.rows, columns: {t: item.tree}}", "t.left.left.value", {"number"}),
        ("{rows: data.rows, columns: {t: item.tree.left}}", "t.value", {"number"}),
        ("{rows: data.rows, group: tree, columns: {t: item.tree, n: (group | first).n}}", "t.left.value", {"number"}),
        ("{rows: data.rows, group: [kind, flag]}", "flag", {"boolean"}),
        ("{rows: data.rows, join: {with: data.closed, on: id}}", "closed.size", {"number"}),
        ("{rows: data.rows, join: {with: data.closed, on: id}}", "tree.left.value", {"number"}),
        ("{rows: data.closed, join: {with: data.rows, on: id}}", "rows.tree.left.value", {"number"}),
        ("{rows: data.closed, join: {with: data.rows, on: id}}", "size", {"number"}),
        ("{rows: data.plain, join: {with: data.closed, on: id}}", "closed.id", {"string"}),
        ("{rows: data.table, where: item.n > 1}", "n", {"number"}),
        ("{rows: data.rows, columns: {g: steps.tag.outputs}}", "g.[].words.[]", {"string"}),
    ],
)
def test_rows_have_the_types_of_what_they_are_made_from(
    linked: LinkText, made: str, path: str, types: set[str]
) -> None:
    schema = rows_of(linked, made)
    found = type_at(schema, tuple(path.split(".")), schema)
    assert (found.kind, set(types_at(found)), found.gaps) == ("value", types, ())


@pytest.mark.parametrize(
    ("made", "path"),
    [
        ("{rows: data.rows, columns: {x: item.n + 1}}", "x"),
        ("{rows: data.plain, columns: {x: item.n}}", "x"),
        ("{rows: data.plain, where: item.n}", "n"),
        ("{rows: data.plain, group: n}", "n"),
        ("{rows: data.rows, each: steps.tag.output.words | reverse}", "anything"),
        ("{rows: data.rows, each: steps.tag.output.words | reverse, columns: {x: each.y}}", "x"),
        ("{rows: data.rows, each: steps.tag.output.free}", "anything"),
        ("{rows: data.rows, columns: {x: steps.any.output}}", "x"),
        ("{rows: data.open, join: {with: data.closed, on: id}}", "x"),
    ],
)
def test_what_is_not_known_is_anything(linked: LinkText, made: str, path: str) -> None:
    schema = rows_of(linked, made)
    found = type_at(schema, (path,), schema)
    assert found.kind == "any" or set(types_at(found)) >= {"string", "object"}


@pytest.mark.parametrize(
    ("made", "names"),
    [
        ("{rows: data.rows, columns: {x: item.n, y: item.id}}", ("x", "y")),
        ("{rows: data.rows, group: [kind, flag]}", ("kind", "flag")),
        ("{rows: data.rows, group: kind, columns: {n: group | length}}", ("n",)),
        ("{rows: data.closed, join: {with: data.closed, on: id}}", ("closed", "id", "size")),
    ],
)
def test_rows_have_no_other_fields(linked: LinkText, made: str, names: tuple[str, ...]) -> None:
    schema = rows_of(linked, made)
    found = type_at(schema, ("other",), schema)
    assert (found.kind, set(found.names)) == ("missing", set(names))


def test_types_go_through_several_sources(linked: LinkText) -> None:
    more = "  first: {rows: data.rows, each: steps.tag.output.words, columns: {word: each, tree: item.tree}}\n"
    schema = rows_of(linked, "{rows: data.first, group: [word, tree]}", more)
    assert words_at(type_at(schema, ("word",), schema)) == ("x", "y")
    assert set(types_at(type_at(schema, ("tree", "left", "value"), schema))) == {"number"}


@pytest.mark.parametrize(
    ("each", "most"),
    [
        ("steps.tag.output.words", 4),
        ("'steps.tag.output.maybe | default([], true)'", None),
        ("steps.tag.output.free", None),
        ("'[1, 2]'", None),
    ],
)
def test_the_schema_of_a_list_bounds_its_elements(linked: LinkText, each: str, most: int | None) -> None:
    assert source_of(linked, f"{{rows: data.rows, each: {each}}}").most_each == most


def test_the_longest_of_several_lists_is_the_bound(linked: LinkText) -> None:
    assert source_of(linked, "{rows: data.rows, each: steps.tag.output.maybe}").most_each == 7


@pytest.mark.parametrize(
    ("group", "most"),
    [("kind", 3), ("flag", 2), ("[kind, flag]", 6), ("id", None), ("[kind, id]", None)],
)
def test_words_that_are_listed_bound_the_groups(linked: LinkText, group: str, most: int | None) -> None:
    assert source_of(linked, f"{{rows: data.rows, group: {group}}}").most_groups == most


def test_made_rows_wait_for_all_steps_that_they_are_made_from(linked: LinkText) -> None:
    more = "  first: {rows: data.rows, each: steps.tag.output.words, columns: {word: each}}\n"
    found = linked(
        HEAD + more + "  made: {rows: data.first, group: word}\n" + STEPS, {"rows.jsonl": "", "table.csv": ""}
    )
    assert found.sources["made"].needs == found.lanes["data.made"].needs == {"tag"}
    assert [(stage.lane, stage.steps) for stage in found.stages] == [
        ("", ("any",)),
        ("data.rows", ("tag",)),
        ("data.made", ("say",)),
    ]
    assert found.files_walked == {"rows"}


def test_rows_are_those_of_the_row_that_they_come_from_until_they_are_grouped(linked: LinkText) -> None:
    more = """
  words: {rows: data.rows, each: steps.tag.output.words, columns: {word: each}}
  some: {rows: data.words, where: item.word == "x"}
  deeper: {rows: data.some, each: "[1, 2]"}
  groups: {rows: data.words, group: word}
"""
    text = HEAD + more + "  made: {rows: data.rows, limit: 3}\n" + STEPS
    text += "  a: {for_each: data.some, prompt: q}\n  b: {for_each: data.groups, prompt: q}\n"
    text += '  c: {for_each: data.rows, prompt: "{{ steps.a.texts }} {{ steps.b.texts }} {{ steps.say.texts }}"}\n'
    found = linked(text, {"rows.jsonl": "", "table.csv": ""})
    assert {name: set(source.above) for name, source in found.sources.items()} == {
        "words": {"rows"},
        "some": {"rows"},
        "deeper": {"rows", "some"},
        "groups": set(),
        "made": set(),
    }
    assert found.steps["c"].barriers == {"a", "b", "say"}
    assert found.steps["c"].below == {"a"}


def test_a_loop_may_read_its_rows_own_answers(linked: LinkText) -> None:
    text = HEAD + "  made: {rows: data.rows, each: steps.tag.output.words, columns: {word: each}}\n" + STEPS
    text += """
  think:
    for_each: data.rows
    loop:
      max: 2
      state: {schema: {type: object}, start: {}}
      steps: {ask: {prompt: "{{ steps.say.texts }}"}}
"""
    found = linked(text, {"rows.jsonl": "", "table.csv": ""})
    assert found.steps["think"].below == {"say"}


def test_a_group_is_read_where_its_source_is_walked(linked: LinkText) -> None:
    text = (
        HEAD
        + "  made: {rows: data.rows, group: kind}\n  next: {rows: data.made, each: group, columns: {id: each.id}}\n"
        + STEPS
    )
    text = text.replace("for_each: data.made, prompt: q", "for_each: data.made, prompt: '{{ group }} {{ item.kind }}'")
    found = linked(text + "  b: {for_each: data.next, prompt: '{{ item.id }}'}\n", {"rows.jsonl": "", "table.csv": ""})
    assert found.steps["say"].reads_group
    assert found.steps["say"].item_fields == {"kind"}
    assert not found.steps["b"].reads_group
    schema = found.sources["next"].schema
    assert set(types_at(type_at(schema, ("id",), schema))) == {"string"}


def test_a_column_that_is_broken_is_told_and_types_nothing(complaints: Callable[..., str]) -> None:
    text = (
        HEAD + "  made: {rows: data.rows, columns: {x: 'item.'}}\n  more: {rows: data.made, where: item.x.y}\n" + STEPS
    )
    told = complaints(text, {"rows.jsonl": "", "table.csv": ""})
    assert told.count("flow.yaml:") == 1
    assert "template-syntax" in told


def test_what_reads_a_source_in_a_circle_is_told_nothing_more(complaints: Callable[..., str]) -> None:
    text = (
        HEAD
        + "  made: {rows: data.more, group: x}\n  more: {rows: data.made}\n  last: {rows: data.made, where: item.x}\n"
        + STEPS
    )
    text = text.replace("for_each: data.made, prompt: q", "for_each: data.made, prompt: '{{ group }} {{ item.kind }}'")
    told = complaints(
        text + "  b: {for_each: data.last, prompt: '{{ item.x }}'}\n", {"rows.jsonl": "", "table.csv": ""}
    )
    assert told == (
        "flow.yaml:11:16: circle: data sources are made from each other in a circle: made → more → made\n"
        "   11 |   made: {rows: data.more, group: x}\n"
        "      |                ^^^^^^^^^\n"
        "  fix:      let one of them be made from a file"
    )


def test_the_answer_for_the_row_before_is_carried_along_as_a_column(complaints: Callable[..., str]) -> None:
    text = HEAD + "  made: {rows: data.rows, each: steps.tag.output.words}\n" + STEPS
    text = text.replace("for_each: data.made, prompt: q", "for_each: data.made, prompt: '{{ steps.tag.output.words }}'")
    told = complaints(text, {"rows.jsonl": "", "table.csv": ""})
    assert "fix:      give data.made a column, tag: steps.tag.output, and read item.tag" in told


def test_a_source_that_cannot_be_read_is_told_once(complaints: Callable[..., str]) -> None:
    told = complaints(HEAD + "  made: {rows: 'data.'}\n" + STEPS, {"rows.jsonl": "", "table.csv": ""})
    assert told.count("flow.yaml:") == 1
    assert "template-syntax" in told


def test_what_an_items_own_rows_say_is_not_the_same_for_all(linked: LinkText) -> None:
    text = HEAD + "  made: {rows: data.rows, each: steps.tag.output.words}\n" + STEPS
    text += """
  all: {for_each: data.rows, context_cache: {ttl: 1h}, messages: [{role: user, text: "{{ steps.tag.outputs }}"}]}
  own: {for_each: data.rows, context_cache: {ttl: 1h}, messages: [{role: user, text: "{{ steps.say.texts }}"}]}
"""
    found = linked(text, {"rows.jsonl": "", "table.csv": ""})
    shared = [found.steps[name].shared for name in ("all", "own")]
    assert [one.messages for one in shared if one is not None] == [1, 0]


@pytest.mark.parametrize(
    ("made", "path", "is_sure"),
    [
        ("{rows: data.rows, where: item.n is defined}", "n", True),
        ("{rows: data.rows, where: item.id}", "n", False),
        ("{rows: data.rows, where: item.tree.left.left is defined}", "tree.left.left.value", True),
        ("{rows: data.rows, each: steps.tag.output.parts, where: each.quote is defined}", "quote", True),
        ("{rows: data.rows, each: steps.tag.output.parts, where: item.n is defined}", "quote", False),
    ],
)
def test_what_where_asks_for_is_there(linked: LinkText, made: str, path: str, is_sure: bool) -> None:
    schema = rows_of(linked, made)
    found = type_at(schema, tuple(path.split(".")), schema)
    assert (found.kind, found.gaps == ()) == ("value", is_sure)


@pytest.mark.parametrize(
    ("made", "path"),
    [
        ("{rows: data.rows, where: item.kind is not none}", "kind"),
        ("{rows: data.rows, where: item.kind is not none, columns: {kind: item.kind}}", "kind"),
    ],
)
def test_whether_a_value_is_null_that_where_asks_for_is_not_known(linked: LinkText, made: str, path: str) -> None:
    schema = rows_of(linked, made)
    assert type_at(schema, (path,), schema).kind == "any"
