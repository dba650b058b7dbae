"""A text is parsed once, and turned into code only where that may fail or when it is rendered."""

from __future__ import annotations

from contextlib import suppress
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import nodes

from runner.core.span import Origin
from runner.core.workflow import Expression, Template
from runner.templates.environment import Environment, make_environment
from runner.templates.expression import compile_expression
from runner.templates.problems import TemplateProblem
from runner.templates.references import references_of
from runner.templates.text import compile_template
from runner.templates.tree import Tree, children_of

NAMES = st.sampled_from(
    ["item", "inputs.name", "steps.tag.outputs", "loop.index", "x", "rows[0]", "'word'", "7", "[1, x]"]
)
EXPRESSIONS = st.recursive(
    NAMES,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "~", "==", "in", "and", "or", "<", "//"]), inner),
        st.builds(
            "({} | {})".format, inner, st.sampled_from(["length", "first", "default('-')", "map(attribute='a')"])
        ),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(not {} is defined)".format, inner),
        st.builds("{{'a': {}}}".format, inner),
        st.builds("({})[:2]".format, inner),
    ),
    max_leaves=8,
)
TEXTS = st.recursive(
    st.builds("{{{{ {} }}}}".format, EXPRESSIONS) | st.sampled_from(["text\n", "{% set x = 1 %}", "{# no #}"]),
    lambda inner: st.one_of(
        st.builds("{{% for row in {} %}}{}{{% else %}}{}{{% endfor %}}".format, EXPRESSIONS, inner, inner),
        st.builds("{{% for loop in {} %}}{}{{% endfor %}}".format, EXPRESSIONS, inner),
        st.builds("{{% if {} %}}{}{{% elif {} %}}{}{{% endif %}}".format, EXPRESSIONS, inner, EXPRESSIONS, inner),
        st.builds("{{% macro m(a) %}}{}{{% endmacro %}}{{{{ m(1) }}}}".format, inner),
        st.builds("{{% block b %}}{}{{% endblock %}}".format, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=8,
)


def template(text: str) -> Template:
    return Template(text, Origin("p.md"), "p.md")


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    compiled: list[str] = []
    assemble = Environment.assemble

    def noting(env: Environment, root: nodes.Node, name: str) -> Any:
        compiled.append(name)
        return assemble(env, root, name)

    monkeypatch.setattr(Environment, "assemble", noting)
    return compiled


def test_a_template_becomes_code_when_it_is_first_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = counting(monkeypatch)
    found = compile_template(make_environment(), template("{% for x in xs %}{{ x }}{% endfor %}"))
    assert compiled == []
    assert [found.render({"xs": [1, 2]}), found.render({"xs": []})] == ["12", ""]
    assert compiled == ["p.md"]


def test_an_expression_that_only_names_a_value_never_becomes_code(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = counting(monkeypatch)
    found = compile_expression(make_environment(), Expression("a.b", Origin("w.yaml")))
    assert found.evaluate({"a": {"b": 3}}) == 3
    assert compiled == []


def test_equal_texts_are_parsed_once() -> None:
    env = make_environment()
    assert env.parse_template("{{ a }}", "p.md") is env.parse_template("{{ a }}", "p.md")
    assert env.parse_expression("a + 1") is env.parse_expression("a + 1")
    assert env.parse_template("a", "") is not env.parse_expression("a")


@given(TEXTS)
@example("{% for loop in xs %}{{ loop }}{% endfor %}")
@example("{% block b %}{% endblock %}{% block b %}{% endblock %}")
def test_a_plain_tree_always_compiles(text: str) -> None:
    env = make_environment()
    tree = env.parse_template(text, "p.md")
    try:
        env.assemble(tree.root, "p.md")
    except Exception:
        assert not tree.is_plain


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "+".join("1" * 3000) + " }}",
        "{% if a %}" + "{% elif a %}" * 3000 + "{% endif %}",
        "{% for loop in xs %}{% endfor %}",
        "{% macro m(a, a) %}{% endmacro %}",
        "{{ x | default(a=1, a=2) }}",
        "{% include 'a.md' %}",
    ],
)
def test_what_may_not_compile_is_not_plain(text: str) -> None:
    assert not make_environment().parse_template(text, "p.md").is_plain


def test_a_mistake_that_only_the_compiler_finds_is_still_told_by_checking() -> None:
    with pytest.raises(TemplateProblem) as caught:
        compile_template(make_environment(), template("a\n{% for loop in xs %}{{ loop }}{% endfor %}"))
    assert str(caught.value) == "p.md:2:8: can't assign to special loop variable in for-loop target"
    with pytest.raises(TemplateProblem) as deep:
        compile_expression(make_environment(), Expression("-" * 300 + "1", Origin("w.yaml")))
    assert str(deep.value) == "w.yaml:1:1: the expression is nested too deeply"


def test_a_path_of_thousands_of_names_is_told_as_nested_too_deeply() -> None:
    with pytest.raises(TemplateProblem) as caught:
        compile_template(make_environment(), template("{{ a" + ".b" * 3000 + "() }}"))
    assert str(caught.value) == "p.md:1:1: the template is nested too deeply"
    with pytest.raises(TemplateProblem) as of_path:
        compile_expression(make_environment(), Expression("a" + ".b" * 3000, Origin("w.yaml")))
    assert str(of_path.value) == "w.yaml:1:1: the expression is nested too deeply"


def test_an_expression_that_is_too_deep_to_be_spelled_anew_is_known_by_its_text() -> None:
    text = "not " * 150 + "a"
    assert compile_expression(make_environment(), Expression(f" {text} ", Origin("w.yaml"))).canonical == text


@given(TEXTS)
def test_compiling_leaves_the_tree_as_it_was(text: str) -> None:
    env = make_environment()
    tree = env.parse_template(text, "p.md")
    shape = repr(tree.root)
    read = references_of(env, template(text))
    with suppress(Exception):  # a mistake of the text: nothing was changed for it either
        env.assemble(tree.root, "p.md")
    assert repr(tree.root) == shape
    assert references_of(env, template(text)) == read


@given(TEXTS)
def test_a_tree_lists_its_nodes_in_the_order_of_jinja(text: str) -> None:
    tree: Tree = make_environment().parse_template(text, "p.md")
    assert tree.nodes == [tree.root, *tree.root.find_all(nodes.Node)]
    assert all(children_of(node) == list(node.iter_child_nodes()) for node in tree.nodes)
    assert tree.find(nodes.Name, nodes.For) == [n for n in tree.nodes if isinstance(n, nodes.Name | nodes.For)]


def test_threads_may_render_one_template_for_the_first_time_together() -> None:
    env = make_environment()
    found = [compile_template(env, template("{% for x in xs if x == y %}{{ x }}{% endfor %}")) for _ in range(8)]
    start = Barrier(8)
    made: list[str] = []

    def render(index: int) -> None:
        start.wait()
        made.append(found[index].render({"xs": [1, 2, 1], "y": 1}))

    threads = [Thread(target=render, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["11"] * 8


def test_a_long_text_is_rendered_as_it_stands() -> None:
    words = "word é {# gone #}" * 2_000
    compiled = compile_template(make_environment(), template(f"{words}{{{{ x }}}}{words}{{% raw %}}{{{{{{% endraw %}}"))
    plain = "word é " * 2_000
    assert compiled.render({"x": 7}) == f"{plain}7{plain}{{{{"
