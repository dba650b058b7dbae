"""The short way to a syntax tree leads to the tree of Jinja's parser, place by place, or nowhere."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from runner.templates.environment import Environment, make_environment
from runner.templates.places import Place, place_of_name
from runner.templates.quick import quick_expression, quick_template
from runner.templates.syntax import OurParser
from runner.templates.tree import Tree

WORDS = st.sampled_from(
    ["a", "_x", "steps", "A1", "if", "in", "not", "none", "True", "loop", "é", "self", "1a", "or", "is"]
)
PATHS = st.lists(WORDS, min_size=1, max_size=4).map(".".join)
BLANKS = st.sampled_from(["", " ", "\t ", "\n", "-", "+"])
INSERTED = st.builds("{{{{{}{}{}}}}}".format, BLANKS, PATHS, BLANKS)
DATA = st.sampled_from(
    ["", "text", "\n", "two\nlines", "{", "}", "}}", "{{", "{ {", "%}", "  ", "é✓ ", "{%", "{#", "\r\n", "\x85"]
)
TEXTS = st.lists(INSERTED | DATA | st.text(max_size=3), max_size=6).map("".join)


def parse_fully(env: Environment, text: str) -> nodes.Template | None:
    try:
        return OurParser(env, text, "p.md").parse()
    except TemplateSyntaxError:
        return None


def told(root: nodes.Node) -> list[tuple[object, ...]]:
    """The shape of a tree and the places of all that stands in it."""
    shown: list[tuple[object, ...]] = [(repr(root),)]
    for node in Tree(root).nodes[1:]:
        place = node.lineno
        assert isinstance(place, Place)
        name = place_of_name(node) if isinstance(node, nodes.Getattr) else place
        shown.append((type(node), int(place), place.column, place.text, int(name), name.column, name.text))
    return shown


@given(TEXTS)
@example("{{ a.b }}\n{{ c }}\n")
@example("x\n\n")
@example("\n")
@example("{{ a }}\n x {{ b.c }}{{ d }}")
@example("{{ a {{ b }}")
@example("{{ not.a }}")
def test_a_quick_template_is_the_one_that_jinja_parses(text: str) -> None:
    env = make_environment()
    quick = quick_template(text)
    if quick is not None:
        full = parse_fully(env, text)
        assert full is not None
        assert told(quick) == told(full)


@given(PATHS | st.text(max_size=6))
@example("a.b.c")
@example("steps.tag.output\n")
def test_a_quick_expression_is_the_one_that_jinja_parses(text: str) -> None:
    quick = quick_expression(text)
    if quick is not None:
        full = OurParser(make_environment(), text, state="variable").parse_whole_expression()
        assert told(nodes.Output([quick]))[1:] == told(nodes.Output([full]))[1:]


@pytest.mark.parametrize(
    "text", ["", "plain", "{{ a }}", "For {{ inputs.who }}:\n{{ steps.a.output.b }}\n", "} {{x}} {"]
)
def test_plain_templates_go_the_quick_way(text: str) -> None:
    assert quick_template(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "{{ a | upper }}",
        "{{ a[0] }}",
        "{% if a %}{% endif %}",
        "{# a #}",
        "{{ true }}",
        "{{- a }}",
        "{{ a\n}}",
        "a\r\n",
        "{{",
    ],
)
def test_all_others_are_left_to_the_parser(text: str) -> None:
    assert quick_template(text) is None


@pytest.mark.parametrize("text", ["a.b | length", "none", "a + b", " a", "a.1", "", "é"])
def test_other_expressions_are_left_to_the_parser(text: str) -> None:
    assert quick_expression(text) is None
