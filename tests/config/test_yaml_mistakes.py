from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from runner.config.nodes import to_value
from runner.config.yaml_mistakes import explain_syntax
from runner.config.yaml_nodes import parse_yaml

Complaints = Callable[[str | bytes], str]


def test_an_unquoted_template_gets_its_own_message(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("a:\n  prompt: {{ inputs.x }}\n") == (
        "f.yaml:2:11: unquoted-template: YAML reads the unquoted {{ as the start of a mapping, not as a template\n"
        "    2 |   prompt: {{ inputs.x }}\n"
        "      |           ^^^^^^^^^^^^^^\n"
        "  expected: text in quotes, or a block with |\n"
        '  fix:      prompt: "{{ inputs.x }}"'
    )


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("p: {{ x }} more\n", 'p: "{{ x }} more"'),
        ("p: {% if x %}y{% endif %}\n", 'p: "{% if x %}y{% endif %}"'),
        ("p: {# note #} x\nq: 1\n", 'p: "{# note #} x"'),
        ('p: {{ x["a"] }}\n', "p: '{{ x[\"a\"] }}'"),
        ("p: {{ x | f(1, 2) }}\n", 'p: "{{ x | f(1, 2) }}"'),
        ("- {{ x }}\n", '"{{ x }}"'),
        ("a: [b, {{ x }}]\n", '"{{ x }}"'),
        ("{p: {{ x }}}\n", 'p: "{{ x }}"'),
        ("{{ x }}\n", '"{{ x }}"'),
        ("{{ x }} y\n", '"{{ x }} y"'),
    ],
)
def test_every_spelling_of_an_unquoted_template(text: str, fix: str) -> None:
    _, problems = parse_yaml(text, "f.yaml")
    assert [(problem.code, problem.fix) for problem in problems] == [("unquoted-template", fix)]


def test_an_unquoted_template_reads_on_as_text() -> None:
    node, _ = parse_yaml("p: {{ x }}\nq: 1\n", "f.yaml")
    assert node is not None
    assert to_value(node) == {"p": "{{ x }}", "q": 1}


def test_braces_inside_text_are_no_mistake() -> None:
    node, problems = parse_yaml("p: Hello {{ x }}\nq: {a: {b: 1}}\n", "f.yaml")
    assert problems == []
    assert node is not None
    assert to_value(node) == {"p": "Hello {{ x }}", "q": {"a": {"b": 1}}}


def test_an_expression_cut_at_its_comma(yaml_complaints: Complaints) -> None:
    assert yaml_complaints("a: {rows: xs | windows(1, 1), file: f.csv}\n") == (
        "f.yaml:1:11: cut-expression: inside brackets YAML cuts xs | windows(1, 1) at its comma\n"
        "    1 | a: {rows: xs | windows(1, 1), file: f.csv}\n"
        "      |           ^^^^^^^^^^^^^^^^^^\n"
        "  expected: the whole value in quotes, or block style\n"
        '  fix:      rows: "xs | windows(1, 1)"'
    )


@pytest.mark.parametrize(
    ("text", "value", "fix"),
    [
        ("[f(1, 2, 3), g]", ["f(1, 2, 3)", "g"], '"f(1, 2, 3)"'),
        ("{a: f(1, 1, 1), b: 2}", {"a": "f(1, 1, 1)", "b": 2}, 'a: "f(1, 1, 1)"'),
        ("{a: x == 'p, q'}", {"a": "x == 'p, q'"}, "a: \"x == 'p, q'\""),
        ('{a: x == "p, q", b: 1}', {"a": 'x == "p, q"', "b": 1}, "a: 'x == \"p, q\"'"),
        ("{a: f(\"p\", x 'q')}", {"a": "f(\"p\", x 'q')"}, "a: 'f(\"p\", x ''q'')'"),
    ],
)
def test_cut_values_are_joined(text: str, value: object, fix: str) -> None:
    node, problems = parse_yaml(text, "f.yaml")
    assert node is not None
    assert to_value(node) == value
    assert [(problem.code, problem.fix) for problem in problems] == [("cut-expression", fix)]


@pytest.mark.parametrize(
    "text", ["{a, b: 1}", "[a, b]", "{a: (, b: 1}", "[(, x]", "{a: f(1,\n 2)}", '["(", b]', "[f(1, [2]]"]
)
def test_what_only_looks_cut_is_left_alone(text: str) -> None:
    _, problems = parse_yaml(text, "f.yaml")
    assert problems == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "{when: xs[0]}\n",
            (
                "f.yaml:1:10: cut-expression: inside brackets YAML ends the value before [\n"
                "    1 | {when: xs[0]}\n"
                "      |          ^\n"
                "  expected: a comma, or the closing bracket\n"
                "  fix:      put the whole value in quotes, or write it in block style on a line of its own"
            ),
        ),
        (
            'a: {when: "x" == y}\n',
            (
                "f.yaml:1:15: cut-expression: inside brackets YAML ends the value before =\n"
                '    1 | a: {when: "x" == y}\n'
                "      |               ^\n"
                "  expected: a comma, or the closing bracket\n"
                "  fix:      put the whole value in quotes, or write it in block style on a line of its own"
            ),
        ),
        (
            'when: "a" == x\nb: 1\n',
            (
                "f.yaml:1:11: cut-expression: the value ends at its closing quote, but more text follows\n"
                '    1 | when: "a" == x\n'
                "      |           ^\n"
                "  expected: the end of the line\n"
                "  fix:      put the whole value in the other kind of quotes, or use a block with |"
            ),
        ),
        (
            "a:\n\tb: 1\n",
            (
                "f.yaml:2:1: tab: this line is indented with a tab\n"
                "    2 |  b: 1\n"
                "      | ^\n"
                "  expected: spaces: YAML does not allow tabs in indentation\n"
                "  fix:      replace the tab by spaces"
            ),
        ),
        (
            "a:\n  b: 1\n  \tc: 2\n",
            (
                "f.yaml:3:3: tab: this line is indented with a tab\n"
                "    3 |    c: 2\n"
                "      |   ^\n"
                "  expected: spaces: YAML does not allow tabs in indentation\n"
                "  fix:      replace the tab by spaces"
            ),
        ),
        (
            "a: [1, 2\nb: 3\n",
            (
                "f.yaml:2:2: yaml-syntax: the bracket [ from line 1 is not closed before this place\n"
                "    2 | b: 3\n"
                "      |  ^\n"
                "  expected: a comma, or ]\n"
                "  opened:   f.yaml:1:4"
            ),
        ),
        (
            "a: {b: 1\n",
            (
                "f.yaml:1:9: yaml-syntax: the bracket { from line 1 is not closed before this place\n"
                "    1 | a: {b: 1\n"
                "      |         ^\n"
                "  expected: a comma, or }\n"
                "  opened:   f.yaml:1:4"
            ),
        ),
        (
            "a: {b: [}\n",
            (
                "f.yaml:1:9: yaml-syntax: a value is missing here\n"
                "    1 | a: {b: [}\n"
                "      |         ^\n"
                "  expected: a value, or the closing bracket"
            ),
        ),
        (
            'a: "one\nb: 1\n',
            (
                "f.yaml:1:4: yaml-syntax: the quote that opens here is never closed\n"
                '    1 | a: "one\n'
                "      |    ^\n"
                "  fix:      close the quote"
            ),
        ),
        (
            'a: "\\d+"\n',
            (
                "f.yaml:1:5: yaml-syntax: a backslash in double quotes starts an escape that YAML does not know\n"
                '    1 | a: "\\d+"\n'
                "      |     ^\n"
                "  fix:      write \\\\ for a backslash, or use single quotes"
            ),
        ),
        (
            "a: b: c\n",
            (
                "f.yaml:1:5: yaml-syntax: a colon with a blank after it starts a value, but none can start here\n"
                "    1 | a: b: c\n"
                "      |     ^\n"
                "  fix:      put text with a colon in quotes or in a block with |, or mend the indentation"
            ),
        ),
        (
            "a: @b\n",
            (
                "f.yaml:1:4: yaml-syntax: unquoted text cannot start with @\n"
                "    1 | a: @b\n"
                "      |    ^\n"
                "  fix:      put the value in quotes"
            ),
        ),
        (
            "a: - b\n",
            (
                "f.yaml:1:4: yaml-syntax: a dash with a blank after it starts a list entry, but none can start here\n"
                "    1 | a: - b\n"
                "      |    ^\n"
                "  fix:      put text with a dash in quotes or in a block with |, or put the list on a line of its own"
            ),
        ),
        (
            "a: 1\n- b\n",
            (
                "f.yaml:2:1: yaml-syntax: a list entry stands among the keys of the mapping of line 1\n"
                "    2 | - b\n"
                "      | ^\n"
                "  fix:      indent it below the entry that it belongs to"
            ),
        ),
        (
            "a:\n    b: 1\n   c: 1\n",
            (
                "f.yaml:3:4: yaml-syntax: this line starts at column 4, where nothing around it starts\n"
                "    3 |    c: 1\n"
                "      |    ^\n"
                "  expected: column 5 or 1\n"
                "  fix:      mend the indentation"
            ),
        ),
    ],
)
def test_syntax_errors(yaml_complaints: Complaints, text: str, shown: str) -> None:
    assert yaml_complaints(text) == shown


def test_an_error_without_a_place_is_shown_at_the_start() -> None:
    problem = explain_syntax(yaml.YAMLError("odd"), [], "f.yaml")
    assert (str(problem.span), problem.code, problem.message) == (
        "f.yaml:1:1",
        "yaml-syntax",
        "the file is not valid YAML",
    )


def test_what_was_found_before_a_syntax_error_is_shown_too() -> None:
    _, problems = parse_yaml("b:\n  a: 1\n  a: 2\nc: [\n", "f.yaml")
    assert [problem.code for problem in problems] == ["duplicate-key", "yaml-syntax"]
