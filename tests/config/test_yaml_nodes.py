from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from runner.config import yaml_nodes
from runner.config.nodes import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    dotted_spans,
    pointer_spans,
    to_value,
)
from runner.config.yaml_nodes import normalise, parse_yaml
from runner.core.canonical import Json
from runner.core.span import Origin, Span

ReadNodes = Callable[[str], Node]
Complaints = Callable[[str | bytes], str]

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)


def _value_at(node: Node, *path: str | int) -> Node:
    for part in path:
        if isinstance(part, int):
            assert isinstance(node, SequenceNode)
            node = node.items[part]
        else:
            assert isinstance(node, MappingNode)
            inner = node.get(part)
            assert inner is not None
            node = inner
    return node


def _scalar(node: Node, *path: str | int) -> ScalarNode:
    found = _value_at(node, *path)
    assert isinstance(found, ScalarNode)
    return found


# --- values and places


def test_a_document_becomes_its_json_value(read_nodes: ReadNodes) -> None:
    text = "a: 1\nb: [x, 'no', no, 1e3]\nc:\n  d: |\n    text\n  e: {f: null, g: true}\n"
    assert to_value(read_nodes(text)) == {
        "a": 1,
        "b": ["x", "no", "no", 1000.0],
        "c": {"d": "text\n", "e": {"f": None, "g": True}},
    }


def test_keys_and_values_have_places(read_nodes: ReadNodes) -> None:
    node = read_nodes("a: 1\nbé:\n  - word\n  - {c: 'd e'}\n")
    assert isinstance(node, MappingNode)
    assert node.index["bé"].key_span == Span("f.yaml", 2, 1, 2)
    assert _value_at(node, "bé", 0).span == Span("f.yaml", 3, 5, 4)
    assert _value_at(node, "bé", 1).span == Span("f.yaml", 4, 5, 10)
    assert _value_at(node, "bé", 1, "c").span == Span("f.yaml", 4, 9, 5)


def test_a_value_over_several_lines_is_marked_to_the_end_of_its_first(read_nodes: ReadNodes) -> None:
    assert _value_at(read_nodes('a: "one\n  two"\nb: 1'), "a").span == Span("f.yaml", 1, 4, 4)


def test_dotted_and_pointer_places(read_nodes: ReadNodes) -> None:
    node = read_nodes("cache: {salt: x}\nensure: [a, b]\nschema: {a/b: 1}\n")
    assert isinstance(node, MappingNode)
    dotted = dotted_spans(node, leave_out=frozenset({"schema"}))
    assert sorted(dotted) == ["cache", "cache.salt", "ensure", "ensure.0", "ensure.1", "schema"]
    assert dotted["ensure.1"] == Span("f.yaml", 2, 13, 1)
    assert pointer_spans(_value_at(node, "schema"))["/a~1b"] == Span("f.yaml", 3, 15, 1)


def test_absent_key_is_none(read_nodes: ReadNodes) -> None:
    node = read_nodes("a: 1")
    assert isinstance(node, MappingNode)
    assert node.get("b") is None


@given(JSON_VALUES)
def test_json_is_yaml_and_keeps_its_value(value: Json) -> None:
    node, problems = parse_yaml(json.dumps({"value": value}), "f.json")
    assert problems == []
    assert node is not None
    assert to_value(node) == {"value": value}


@given(JSON_VALUES)
def test_what_a_yaml_writer_writes_is_read_back(value: Json) -> None:
    node, problems = parse_yaml(yaml.safe_dump({"value": value}, allow_unicode=True), "f.yaml")
    assume(all(problem.code != "key-not-text" for problem in problems))  # `0E0` is a number in YAML 1.2, not in 1.1
    numbers = [problem for problem in problems if problem.code != "bad-number"]
    assert numbers == []
    assert node is not None


@given(st.text() | st.binary())
def test_no_text_makes_the_reader_fall_over(text: str | bytes) -> None:
    node, problems = parse_yaml(text, "f.yaml")
    assert node is not None or problems


@given(st.text(alphabet="ab:-[]{}\"'|>&*!%#, \n\t{}1", max_size=60))
def test_no_punctuation_makes_the_reader_fall_over(text: str) -> None:
    node, problems = parse_yaml(text, "f.yaml")
    assert node is not None or problems
    for problem in problems:
        assert problem.span is not None
        assert problem.span.line <= max(1, len(text.split("\n")))


# --- where a text stands


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("a: word", Origin("f.yaml", 1, 4)),
        ("a: 'word'", Origin("f.yaml", 1, 5)),
        ('a: "word"', Origin("f.yaml", 1, 5)),
        ('a: "wo\\x41rd"', Origin("f.yaml", 1, 5, is_exact=False)),
        ("a: 'it''s'", Origin("f.yaml", 1, 5, is_exact=False)),
        ("a: one\n  two", Origin("f.yaml", 1, 4, is_exact=False)),
        ("a: >\n  one\n", Origin("f.yaml", 1, 4, is_exact=False)),
        ("a: |\n    one\n      two\n", Origin("f.yaml", 2, 5, 4)),
        ("a: |\n\n    one\n", Origin("f.yaml", 2, 5, 4)),
        ("a: |2\n    one\n", Origin("f.yaml", 2, 3, 2)),
        ("a: |-\n  one", Origin("f.yaml", 2, 3, 2)),
        ("a: |\n", Origin("f.yaml", 1, 4, is_exact=False)),
        ("a: &x |\n  one\n", Origin("f.yaml", 2, 3, 2)),
        ("a: &x word\n", Origin("f.yaml", 1, 4, is_exact=False)),
    ],
)
def test_origins(read_nodes: ReadNodes, text: str, origin: Origin) -> None:
    assert _scalar(read_nodes(text), "a").origin == origin


def test_a_place_in_a_block_is_a_place_in_the_file(read_nodes: ReadNodes) -> None:
    text = "steps:\n  a:\n    prompt: |\n      Hello\n        {{ name }}\n"
    scalar = _scalar(read_nodes(text), "steps", "a", "prompt")
    second = scalar.raw.split("\n")[1]
    span = scalar.origin.span(2, second.index("name") + 1, 4)
    line = text.split("\n")[span.line - 1]
    assert line[span.column - 1 : span.column + 3] == "name"


# --- bytes


def test_byte_order_mark_and_line_ends_are_normalised() -> None:
    node, problems = parse_yaml(b"\xef\xbb\xbfa: |\r\n  x\r\n  y\rb: 1\r\n", "f.yaml")
    assert problems == []
    assert node is not None
    assert to_value(node) == {"a": "x\ny\n", "b": 1}
    assert normalise("\ufeffa") == "a"


def test_json_writes_far_characters_as_two_escapes() -> None:
    node, problems = parse_yaml(r'{"a": "\ud83d\ude00 \\ud83d\\ude00", "b": "\/"}', "f.json")
    assert problems == []
    assert node is not None
    assert to_value(node) == {"a": "😀 \\ud83d\\ude00", "b": "/"}


def test_json_may_be_indented_with_tabs() -> None:
    node, problems = parse_yaml('{\n\t"a": [\n\t\t1\n\t]\n}', "f.json")
    assert problems == []
    assert node is not None
    assert to_value(node) == {"a": [1]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: \x00", "f.yaml:1:1: not-text: f.yaml is not a text file: it is binary"),
        (b"\x89PNG\r\n\x00", "f.yaml:1:1: not-text: f.yaml is not a text file: it is binary"),
        (b"a: 1\nb: \xff", "f.yaml:1:1: not-text: f.yaml is not a text file: byte 0xff on line 2 is not UTF-8"),
        ("a: 1".encode("utf-16"), "f.yaml:1:1: not-text: f.yaml is not a text file: it is UTF-16"),
        (
            b"a: 1\nb: \x1b[0m",
            "f.yaml:2:4: control-character: the file holds the character U+001B, which YAML does not allow",
        ),
        ("a: \ud800", "f.yaml:1:4: control-character: the file holds the character U+D800, which YAML does not allow"),
    ],
)
def test_what_is_no_text(yaml_complaints: Complaints, data: str | bytes, message: str) -> None:
    _, problems = parse_yaml(data, "f.yaml")
    assert [f"{problem.span}: {problem.code}: {problem.message}" for problem in problems] == [message]


def test_size_is_checked_in_bytes_before_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "MAX_BYTES", 1000)
    message = "f.yaml has 1,002 bytes, more than the 1,000 that are read"
    for text in ("é" * 501, ("é" * 501).encode(), b"[" * 1002, "[" * 1002):
        node, problems = parse_yaml(text, "f.yaml")
        assert node is None
        assert [problem.message for problem in problems] == [message]


# --- mistakes that stop nothing


def test_duplicate_keys_are_shown_with_both_places(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("a: 1\nb:\n  c: 1\n  c: 2\n") == (
        "f.yaml:4:3: duplicate-key: the key 'c' is there twice\n"
        "    4 |   c: 2\n"
        "      |   ^\n"
        "  first:    f.yaml:3:3\n"
        "  fix:      keep one of the two"
    )


def test_the_first_of_two_equal_keys_counts() -> None:
    node, _ = parse_yaml("a: 1\na: 2\n", "f.yaml")
    assert node is not None
    assert to_value(node) == {"a": 1}


def test_tags_are_refused(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("a: !!python/object:os.system x\n") == (
        "f.yaml:1:4: tag: the tag !!python/object:os.system is not allowed\n"
        "    1 | a: !!python/object:os.system x\n"
        "      |    ^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  expected: a plain value; text that looks like a number goes in quotes\n"
        "  fix:      remove the tag"
    )


@pytest.mark.parametrize("text", ["a: !x [1]", "a: !x {b: 1}", "a: !!str 1"])
def test_tags_are_refused_on_every_kind_of_value(text: str) -> None:
    _, problems = parse_yaml(text, "f.yaml")
    assert [problem.code for problem in problems] == ["tag"]


def test_merge_keys_point_to_defaults(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("x: &x {a: 1}\ny:\n  <<: *x\n") == (
        "f.yaml:3:3: merge-key: merge keys (<<) are not allowed\n"
        "    3 |   <<: *x\n"
        "      |   ^^\n"
        "  expected: keys written out; what steps share stands once under 'defaults'\n"
        "  fix:      move the shared keys to 'defaults'"
    )


def test_keys_must_be_text(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("1: a\n[b]: c\nnull: d\n'2': e\n") == (
        "f.yaml:1:1: key-not-text: a key must be text\n"
        "    1 | 1: a\n"
        "      | ^\n"
        '  fix:      "1": …\n'
        "\n"
        "f.yaml:2:1: key-not-text: a key must be text\n"
        "    2 | [b]: c\n"
        "      | ^^^\n"
        "\n"
        "f.yaml:3:1: key-not-text: a key must be text\n"
        "    3 | null: d\n"
        "      | ^^^^\n"
        '  fix:      "null": …'
    )


def test_numbers_that_json_cannot_hold(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("a: .inf\n") == (
        "f.yaml:1:4: bad-number: .inf is not a number that JSON can hold\n"
        "    1 | a: .inf\n"
        "      |    ^^^^\n"
        '  fix:      as text: ".inf"'
    )


def test_a_second_document_is_refused_and_the_first_is_read(yaml_complaints: Complaints) -> None:
    text = "---\na: 1\n---\nb: 2\n"
    node, _ = parse_yaml(text, "f.yaml")
    assert node is not None
    assert to_value(node) == {"a": 1}
    assert yaml_complaints(text) == (
        "f.yaml:3:1: second-document: a second document starts here\n"
        "    3 | ---\n"
        "      | ^^^\n"
        "  expected: one document per file\n"
        "  fix:      put it in a file of its own"
    )


def test_a_file_of_comments_is_empty() -> None:
    node, problems = parse_yaml("# nothing\n", "f.yaml")
    assert node is None
    assert [problem.message for problem in problems] == ["f.yaml holds nothing but comments"]


@pytest.mark.parametrize("text", ["", "---\n", "---\n...\n", b"", b"\xef\xbb\xbf"])
def test_empty_files(text: str | bytes) -> None:
    node, problems = parse_yaml(text, "f.yaml")
    assert node is None
    assert [problem.message for problem in problems] == ["f.yaml is empty"]


# --- aliases and depth


def test_aliases_repeat_values(read_nodes: ReadNodes) -> None:
    assert to_value(read_nodes("a: &x [1, 2]\nb: *x\nc: {d: *x}\n")) == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}


def test_an_alias_without_an_anchor(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("a: *b\n") == (
        "f.yaml:1:4: unknown-alias: *b repeats a value, but no &b stands before it\n    1 | a: *b\n      |    ^^"
    )


def test_alias_cycles(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("a: &x [*x]\n") == (
        "f.yaml:1:8: alias-cycle: *x stands inside the value that it repeats\n    1 | a: &x [*x]\n      |        ^^"
    )


def test_alias_bombs() -> None:
    lines = ["a0: &a0 [lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    node, problems = parse_yaml("\n".join(lines), "f.yaml")
    assert node is None
    assert [(problem.code, problem.message) for problem in problems] == [
        ("alias-bomb", "with its aliases written out the file is more than 1,000,000 characters longer")
    ]


def test_a_large_file_without_aliases_is_no_bomb() -> None:
    node, problems = parse_yaml("- " + "x" * 3_000_000, "f.yaml")
    assert problems == []
    assert node is not None


def test_64_levels_are_read_and_65_are_not(read_nodes: ReadNodes) -> None:
    read_nodes("[" * 64 + "]" * 64)
    _, problems = parse_yaml("[" * 65 + "]" * 65, "f.yaml")
    assert [(problem.code, problem.message) for problem in problems] == [
        ("too-deep", "values are nested more than 64 levels deep")
    ]


def test_aliases_count_towards_the_depth() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 80)]
    _, problems = parse_yaml("\n".join(lines), "f.yaml")
    assert [problem.code for problem in problems] == ["too-deep"]


@pytest.mark.parametrize("text", ["[" * 50_000, "{a: " * 50_000, "- " * 50_000, '{"a":[' * 50_000, "? " * 50_000])
def test_nesting_of_50_000_is_one_clear_problem(text: str) -> None:
    node, problems = parse_yaml(text, "f.yaml")
    assert node is None
    assert [problem.code for problem in problems] == ["too-deep"]
