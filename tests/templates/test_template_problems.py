"""What is wrong with a template is said before it is rendered, at its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runner.core.problem import render
from runner.core.span import Origin
from runner.core.workflow import Expression, Template
from runner.templates.expression import compile_expression
from runner.templates.problems import RenderFailed, TemplateProblem
from runner.templates.text import compile_template

RAW = "\n  fix:      braces that are meant as text stand between {% raw %} and {% endraw %}"
SYNTAX = [
    ("a {{ x", "1:3: template-syntax: '{{' is never closed"),
    ("a {{ x\nb c", "2:1: template-syntax: expected '}}' and found 'b'"),
    ("a {{ }} b", "1:6: template-syntax: an expression is missing before '}}'"),
    ("a {{ x y }} b", "1:8: template-syntax: expected '}}' and found 'y'"),
    ("a {{ x ? }} b", "1:8: template-syntax: unexpected character '?'"),
    ("a {{ x) }} b", "1:7: template-syntax: unexpected ')'"),
    ("a {{ (x] }} b", "1:8: template-syntax: unexpected ']', expected ')'"),
    ("a {{ x| }}", "1:9: template-syntax: expected 'name' and found '}}'"),
    ("a {{ x. }}", "1:9: template-syntax: expected name or number"),
    ("a\n  {% if x %}\nb", "2:6: template-syntax: 'if' is never closed: {% endif %} is missing"),
    ("{% if x %}\n{% for y in x %}\n{% endif %}", "3:4: template-syntax: 'endif' closes nothing that is open here"),
    ("{% else %}", "1:4: template-syntax: 'else' closes nothing that is open here"),
    ("{% foo %}", "1:4: template-syntax: there is no tag 'foo'; 'for' is one"),
    ("{% %}", "1:4: template-syntax: tag name expected"),
    ("{% if x", "1:1: template-syntax: '{%' is never closed"),
    ("{% autoescape true %}x{% endautoescape %}", "1:4: template-syntax: 'autoescape' is not available: text is inserted as it is"),
    ("a {# b\nc", "1:3: template-syntax: missing end of comment tag"),
    ("a {% raw %} b", "1:3: template-syntax: missing end of raw directive"),
    ("{% set loop.x y %}", "1:15: template-syntax: expected '%}' and found 'y'"),
    ("{{ 'a\\x' }}", "1:4: template-syntax: truncated \\xXX escape"),
    ("{{ a² }}", "1:4: template-syntax: invalid character in identifier"),
    ("{{ ᧚ }}", "1:4: template-syntax: invalid character in identifier"),
    ("{% for loop in x %}{% endfor %}", "1:8: template-syntax: can't assign to special loop variable in for-loop target"),
    ("{% for true in x %}{% endfor %}", "1:8: template-syntax: can't assign to 'const'"),
    ("{% block a %}{% endblock %}{% block a %}{% endblock %}", "1:31: template-syntax: block 'a' defined twice"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SYNTAX, ids=[text for text, _ in SYNTAX])
def test_a_syntax_error_stands_at_its_token(bench: Any, text: str, expected: str) -> None:
    shown = bench.problems(text)
    assert shown.startswith(f"p.md:{expected}\n")
    names_its_way_out = "%} is missing" in expected or "there is no tag" in expected
    assert shown.endswith(RAW) is not names_its_way_out


def test_an_unknown_filter_is_shown_with_the_nearest_one(bench: Any) -> None:
    assert bench.problems("Dear {{ name }},\n{{ name | uper }}") == (
        "p.md:2:11: unknown-filter: there is no filter 'uper'\n"
        "    2 | {{ name | uper }}\n"
        "      |           ^^^^\n"
        "  expected: a filter: abs, batch, capitalize, center, chunks, cosine, count, d, default, dictsort, fenced, "
        "filesizeformat, find, first, flatten, float, format, groupby, indent, int, items, join, json, last, length, "
        "list, lower, map, max, min, reject, rejectattr, replace, reverse, round, select, selectattr, shuffle, slice, "
        "sort, string, striptags, sum, title, tojson, trim, truncate, unique, upper, urlencode, vote, windows, "
        "wordcount, wordwrap, zip\n"
        "  nearest:  upper"
    )


def test_an_unknown_test_is_shown_with_the_nearest_one(bench: Any) -> None:
    assert bench.problems("{% if a is not defned %}{% endif %}") == (
        "p.md:1:16: unknown-test: there is no test 'defned'\n"
        "    1 | {% if a is not defned %}{% endif %}\n"
        "      |                ^^^^^^\n"
        "  expected: a test: boolean, defined, divisibleby, eq, equalto, even, false, float, ge, greaterthan, gt, in, "
        "integer, iterable, le, lessthan, list, lower, lt, mapping, ne, none, number, odd, sequence, string, true, "
        "undefined, upper\n"
        "  nearest:  defined"
    )


FOUND = [
    ("{{ item.name.upper() }}", "1:14: method-call: 'item.name.upper' cannot be called: data has no methods", "fix:      item.name | upper"),
    ("{{ item.go() }}", "1:9: method-call: 'item.go' cannot be called: data has no methods", ""),
    ("{{ x[0]() }}", "1:4: method-call: this cannot be called: data has no methods", ""),
    ("{{ now() }}", "1:4: unknown-function: there is no function 'now'", "expected: a function: dict, namespace, range"),
    ("{{ rnge(2) }}", "1:4: unknown-function: there is no function 'rnge'", "nearest:  range"),
    ("{{ length(x) }}", "1:4: unknown-function: there is no function 'length'", "fix:      … | length"),
    ("{{ x | chunks }}", "1:8: filter-arguments: the filter 'chunks' needs an argument: size", "expected: size"),
    ("{{ x | upper(1) }}", "1:8: filter-arguments: the filter 'upper' takes fewer arguments", "expected: no arguments"),
    ("{{ x | sort(by=1) }}", "1:8: filter-arguments: the filter 'sort' has no argument 'by'", "expected: reverse, case_sensitive, attribute"),
    ("{{ x | chunks(1, size=2) }}", "1:8: filter-arguments: the filter 'chunks' gets 'size' twice", "expected: size"),
    ("{{ x | map('uper') }}", "1:12: unknown-filter: there is no filter 'uper'", "nearest:  upper"),
    ("{{ x | select('odd_') }}", "1:15: unknown-test: there is no test 'odd_'", "nearest:  odd"),
    ("{{ x | rejectattr('a', 'equal') }}", "1:24: unknown-test: there is no test 'equal'", "nearest:  equalto"),
    ("{% if false %}{{ x | foo }}{% endif %}", "1:22: unknown-filter: there is no filter 'foo'", ""),
    ("{% include x %}", "1:12: computed-file: the name of a file that is brought in must be written out", 'expected: a text, such as "parts/tone.md"'),
    ("{% include 'a.md' %}", "1:12: template-file: 'a.md' cannot be read: no other file may be brought in here", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "row"), FOUND, ids=[text for text, _, _ in FOUND])
def test_what_is_wrong_without_any_data_is_found_while_compiling(bench: Any, text: str, line: str, row: str) -> None:
    shown = bench.problems(text)
    assert shown.startswith(f"p.md:{line}\n")
    assert row in shown


def test_all_problems_are_shown_together(bench: Any) -> None:
    shown = bench.problems("{{ a | foo }}\n{{ b is bar }}\n{{ c.d() }}")
    assert [line.split(" ")[1] for line in shown.splitlines() if line.startswith("p.md")] == [
        "unknown-filter:",
        "unknown-test:",
        "method-call:",
    ]


def test_calls_of_what_the_template_defines_are_fine(bench: Any) -> None:
    template = (
        "{% macro m(x) %}{{ x }}{% endmacro %}{% set n = m %}{{ m(1) }}{{ n(2) }}{{ n.q.r is defined }}"
        "{{ [1] | map('upper') | select('string') | select('==', '1') | join }}{% set o = {'m': m} %}{{ o.m(3) }}"
    )
    assert bench.rendered(template) == "12false13"


def test_a_place_in_a_block_of_yaml_is_a_place_in_its_file(bench: Any) -> None:
    text = "Product: {{ a }}\nQueue: {{ b | uper }}\n"
    with pytest.raises(TemplateProblem) as caught:
        compile_template(bench.env, Template(text, Origin("workflows/w.yaml", 7, 7, 6)))
    assert str(caught.value) == "workflows/w.yaml:8:21: there is no filter 'uper'"
    assert caught.value.exit_code == 2
    compiled = compile_template(bench.env, Template("{{ a }}\n{{ b.c }}", Origin("workflows/w.yaml", 7, 7, 6)))
    with pytest.raises(RenderFailed) as failed:
        compiled.render({"a": 1, "b": {}})
    assert str(failed.value) == "workflows/w.yaml:8:10: 'b.c' is undefined"
    assert failed.value.exit_code == 1
    assert render(failed.value.problem, failed.value.sources) == (
        "workflows/w.yaml:8:10: undefined-value: 'b.c' is undefined\n  expected: nothing: the mapping is empty"
    )


def test_the_failing_path_is_found_where_it_failed_first(bench: Any) -> None:
    assert "p.md:3:3: undefined-value: 'a.b'" in bench.failure(
        "{% if false %}{{ a.b }}{% endif %}\n{{\n  a.b }}{{ a.b }}", a={}
    )


def test_windows_line_ends_do_not_move_places(bench: Any) -> None:
    assert bench.problems("a\r\n{{ x | uper }}").startswith("p.md:2:8: unknown-filter:")
    assert bench.failure("a\r\n\r\n{{ x.y }}", x={}).startswith("p.md:3:4: undefined-value:")


EXPRESSION_PROBLEMS = [
    ("", "3:5: template-syntax: the expression is empty"),
    ("  ", "3:5: template-syntax: the expression is empty"),
    ("{{ a.b }}", "3:5: template-syntax: an expression is written without braces\n  fix:      a.b"),
    ("{% if a %}", "3:5: template-syntax: an expression is written without braces"),
    ("{{ a", "3:5: template-syntax: an expression is written without braces"),
    ("a b", "3:7: template-syntax: 'b' is one too many: the expression ends before it"),
    ("a +", "3:7: template-syntax: the expression ends too early"),
    ("a = b", "3:7: template-syntax: '=' sets a value, and an expression has none to set: '==' compares"),
    ("a & b", "3:7: template-syntax: unexpected character '&'\n  fix:      and"),
    ("a || b", "3:8: template-syntax: expected 'name' and found '|'"),
    ("!a", "3:5: template-syntax: unexpected character '!'\n  fix:      not"),
    ("a.b | uper", "3:11: unknown-filter: there is no filter 'uper'"),
    ("a.b is not odd_", "3:16: unknown-test: there is no test 'odd_'"),
    ("a.items()", "3:7: method-call: 'a.items' cannot be called: data has no methods"),
    ("x == 'a", "3:10: template-syntax: unexpected character \"'\""),
    ("9" * 5000, "3:5: template-syntax: the expression cannot be read: it is nested too deeply, or a number in it has too many digits"),
    ("(" * 3000, "3:5: template-syntax: the expression cannot be read: it is nested too deeply, or a number in it has too many digits"),
    ("+".join("1" * 3000), "3:5: template-syntax: the expression is nested too deeply"),
    ("(" * 220 + "1 * x" + ") * 1" * 220, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), EXPRESSION_PROBLEMS, ids=range(len(EXPRESSION_PROBLEMS)))
def test_an_expression_is_refused_at_its_place(bench: Any, text: str, expected: str | None) -> None:
    if expected is not None:
        assert bench.expression_failure(text).startswith(f"w.yaml:{expected}")
    else:
        assert "template-syntax" in bench.expression_failure(text, x=1)


def test_an_inexact_origin_still_points_at_the_text(bench: Any) -> None:
    with pytest.raises(TemplateProblem) as caught:
        compile_expression(bench.env, Expression("a |\n b", Origin("w.yaml", 4, 9, is_exact=False)))
    assert str(caught.value.problem.span) == "w.yaml:4:9"


def test_a_python_complaint_that_is_not_known_stays_general() -> None:
    from runner.templates.examine import _spoken

    assert _spoken(TypeError("something else")) == "cannot take these arguments"


def test_an_error_without_a_line_stands_at_the_beginning() -> None:
    from jinja2.exceptions import TemplateSyntaxError

    from runner.templates.problems import describe_syntax

    assert str(describe_syntax(TemplateSyntaxError("", 0), "x", Origin("p.md")).span) == "p.md:1:1"


FILES = {
    "prompts/main.md": "",
    "prompts/parts/tone.md": "{{ tone }}, {% include 'deep.md' %}",
    "prompts/parts/deep.md": "{{ word | upper }}",
    "prompts/broken.md": "a\n{{ x | foo }}",
    "prompts/twice.md": "{% block a %}{% endblock %}{% block a %}{% endblock %}",
    "prompts/torn.md": "a {% if",
    "prompts/fails.md": "ok\n  {{ y.z }}",
    "prompts/binary.md": "\udcff\udcfe",
    "prompts/self.md": "{% include 'self.md' %}",
    "prompts/base.md": "<{% block body %}base{% endblock %}>{% block end required %}{% endblock %}",
    "macros.md": "{% macro shout(x) %}{{ x | upper }}!{% endmacro %}{% set greeting = 'hi' %}{% macro bad(x) %}\n{{ x.no }}{% endmacro %}",
    "bom.md": "\ufeffx\r\n",
    "blind.md": "{% macro m(a) %}{{ a }}{{ inputs.q | default('') }}\n{{ inputs.tone }}{% endmacro %}",
}


@pytest.fixture
def project(bench_with: Callable[..., Any]) -> Any:
    return bench_with(FILES)


def test_a_file_is_included_relative_to_the_one_that_includes_it(project: Any) -> None:
    template = project.compiled("{% include 'parts/tone.md' %}", file="prompts/main.md")
    assert template.render({"tone": "calm", "word": "hey"}) == "calm, HEY"
    assert template.render({"tone": "rude", "word": "you"}) == "rude, YOU"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% import 'macros.md' as m %}{{ m.shout('a') }}{{ m.greeting }}{{ m._x is defined }}", "A!hifalse"),
        ("{% from 'macros.md' import shout as s, greeting %}{{ s('b') }}{{ greeting }}", "B!hi"),
        (
            "{% extends 'prompts/base.md' %}{% block body %}[{{ super() }}]{% endblock %}{% block end %}.{% endblock %}",
            "<[base]>.",
        ),
        ("{% include 'nowhere.md' ignore missing %}-", "-"),
        ("{% include 'bom.md' %}-", "x-"),
        ("{% include './prompts/../bom.md' %}-", "x-"),
        ("{% if false %}{% include 'prompts/self.md' %}{% endif %}-", "-"),
    ],
)
def test_other_files_bring_in_blocks_macros_and_text(project: Any, text: str, expected: str) -> None:
    assert project.rendered(text) == expected


FILE_PROBLEMS = [
    ("{% include 'prompts/twice.md' %}", "prompts/twice.md:1:31: template-syntax: block 'a' defined twice"),
    ("{% include 'prompts/broken.md' %}", "prompts/broken.md:2:8: unknown-filter: there is no filter 'foo'"),
    ("{% include 'prompts/torn.md' %}", "prompts/torn.md:1:3: template-syntax: '{%' is never closed"),
    ("x {% include 'nope.md' %}", "p.md:1:14: missing-file: there is no file 'nope.md'"),
    ("{% include 'prompts/binary.md' %}", "p.md:1:12: template-file: 'prompts/binary.md' is not a text in UTF-8"),
    ("{% include '../up.md' %}", "p.md:1:12: template-file: '../up.md' is not a file inside the project"),
    ("{% include 'a/../../up.md' %}", "p.md:1:12: template-file: 'a/../../up.md' is not a file inside the project"),
    ("{% include '/etc/passwd' %}", "p.md:1:12: template-file: '/etc/passwd' is not a file inside the project"),
    ("{% include 'a\\\\b.md' %}", "p.md:1:12: template-file: 'a\\b.md' is not a file inside the project"),
    ("{% include '.' %}", "p.md:1:12: template-file: '.' is not a file inside the project"),
    ("{% include ['bom.md'] %}", "p.md:1:12: computed-file: the name of a file that is brought in must be written out"),
]


@pytest.mark.parametrize(("text", "expected"), FILE_PROBLEMS, ids=[text for text, _ in FILE_PROBLEMS])
def test_what_is_wrong_with_a_file_that_is_brought_in_is_found_while_compiling(
    project: Any, text: str, expected: str
) -> None:
    assert project.problems(text).startswith(expected + "\n")


def test_a_failure_in_an_included_file_points_into_that_file(project: Any) -> None:
    assert project.failure("x\n{% include 'prompts/fails.md' %}", y={"a": 1}) == (
        "prompts/fails.md:2:6: undefined-value: 'y.z' is undefined\n"
        "    2 |   {{ y.z }}\n"
        "      |      ^^^\n"
        "  expected: one of: a"
    )
    assert project.failure("{% import 'macros.md' as m %}{{ m.bad({}) }}").startswith("macros.md:2:4: undefined-value:")


def test_a_file_that_includes_itself_stops(project: Any) -> None:
    shown = project.failure("{% include 'prompts/self.md' %}")
    assert "template-limit: the template calls or includes itself too deeply" in shown


def test_an_imported_file_that_lacks_a_name_says_so(project: Any) -> None:
    shown = project.failure("{% from 'macros.md' import nothing %}{{ nothing }}")
    assert (
        "undefined-value: the template 'macros.md' (imported on line 1 in 'p.md') does not export the requested name 'nothing'"
        in shown
    )


def test_an_imported_file_that_reads_what_it_cannot_see_is_found_while_compiling(project: Any) -> None:
    assert project.problems("{% import 'blind.md' as b %}{{ b.m(1) }}") == (
        "blind.md:2:4: import-context: 'inputs.tone' cannot be seen here: 'blind.md' is imported without its context\n"
        "    2 | {{ inputs.tone }}{% endmacro %}\n"
        "      |    ^^^^^^^^^^^\n"
        "  fix:      add 'with context' to the import"
    )
    seen = "{% from 'blind.md' import m with context %}{{ m(1) }}"
    assert project.rendered(seen, inputs={"tone": "calm"}) == "1\ncalm"


def test_lines_that_a_minus_drops_are_counted(bench: Any) -> None:
    assert bench.problems("one\n\n\n  {{- (x | nofilter) }}").startswith("p.md:4:12: unknown-filter")
