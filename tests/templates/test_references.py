"""The paths that a template reads, where they stand, and whether their author cares for a hole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.span import Origin, Span
from runner.core.workflow import Expression, Template
from runner.templates.environment import make_environment
from runner.templates.references import references_of

READINGS = [
    ("{{ steps.extract.output.title }}", ["steps.extract.output.title"]),
    ("{{ a['b c'].d[0].e }}", ["a.b c.d.0.e"]),
    ("{{ a[b.c].d }}", ["a", "b.c"]),
    ("{{ a[-1].b }} {{ a[1:n].b }}", ["a.[].b", "n", "a.b"]),
    ("{{ a ~ b + c * -d }} {{ [e, {'k': f}, (g,)] }} {{ not h }}", ["a", "b", "c", "d", "e", "f", "g", "h"]),
    ("{{ a < b in c }} {{ a | replace(b, new=c) }}", ["a", "b", "c", "b", "c", "a"]),
    ("{{ range(a) }} {{ dict(b=c) }}", ["a", "c"]),
    # Loops.
    ("{% for t in steps.tag.outputs %}{{ t.name }}{% endfor %}", ["steps.tag.outputs", "steps.tag.outputs.[].name"]),
    ("{% for t in a %}{{ loop.index }}{{ t }}{{ b }}{% else %}{{ t }}{% endfor %}", ["a", "a.[]", "b", "t"]),
    ("{% for t in a %}{% for u in t.xs %}{{ u.y }}{% endfor %}{% endfor %}", ["a", "a.[].xs", "a.[].xs.[].y"]),
    ("{% for k, v in a | items %}{{ k }}{{ v.x }}{% endfor %}{{ v }}", ["a", "v"]),
    ("{% for t in a if t.ok and b %}{{ t.x }}{% endfor %}", ["a", "a.[].ok", "b", "a.[].x"]),
    ("{% for t in [1, b] %}{{ t.x }}{% endfor %}", ["b"]),
    ("{% for c in a | chunks(2) %}{% for t in c %}{{ t.x }}{% endfor %}{{ c.y }}{% endfor %}", ["a", "a", "a.[].x", "a.y"]),
    ("{% for c in a | windows(2) %}{{ c[0].x }}{{ (c | first).y }}{% endfor %}", ["a", "a.[].x", "a.[].y"]),
    # Filters.
    ("{{ (a.b | first).c }} {{ (a | sort | last).c }} {{ a | list | length }}", ["a.b.[].c", "a.[].c", "a"]),
    ("{{ a | map(attribute='b.c') | join(', ') }}", ["a.[].b.c"]),
    ("{% for x in a | map(attribute='b') %}{{ x.c }}{% endfor %}", ["a.[].b", "a.[].b.c"]),
    ("{{ a | map('upper') }} {{ a | map(attribute=b) }}", ["a", "b", "a"]),
    ("{{ a | sort(attribute='b') | first }} {{ a | sort(attribute='b,c') | length }}", ["a.[].b", "a.[]", "a"]),
    ("{{ a | selectattr('b', 'eq', c.d) | sum(attribute='e') }}", ["c.d", "a.[].b", "a.[].e", "a"]),
    ("{{ (a | find('id', b)).c }} {{ (a | max(attribute='n')).c }}", ["b", "a.[].id", "a.[].c", "a.[].n", "a.[].c"]),
    ("{{ (a | sort)[0].x }} {{ a[1:][0].y }} {{ a[0].z }}", ["a.[].x", "a.[].y", "a.0.z"]),
    ("{{ ('x' | first).y }} {{ 'x'.y }} {{ 'x'['y'] }} {{ 'x'[0] }} {{ 'x'[-1] }} {{ 'x' | default('') }}", []),
    ("{{ (a | map(attribute='b')).c }} {{ a | sort(reverse=true) | length }}", ["a.[].b", "a"]),
    ("{{ a | map(attribute='b') | chunks(2) | map(attribute='c.d') | length }}", ["a.[].b"]),
    # Names bound by the template.
    ("{% set o = steps.a.output %}{{ o.t }} {{ o }}", ["steps.a.output", "steps.a.output.t", "steps.a.output"]),
    ("{% set o = a ~ b %}{{ o.t }}", ["a", "b"]),
    ("{% set o, p = a, b %}{{ o.x }}", ["a", "b"]),
    ("{% set o %}{{ a }}{{ o }}{% endset %}{{ o }}", ["a", "o"]),
    ("{% set o | replace(b, c) %}{{ a }}{% endset %}", ["a", "b", "c"]),
    ("{% set ns = namespace(x=a) %}{% set ns.x = b %}{{ ns.x.y }}", ["a", "b"]),
    ("{% with o = a.b, p = 1 %}{{ o.c }}{{ p }}{% endwith %}{{ o }}", ["a.b", "a.b.c", "o"]),
    ("{% if c %}{% set o = a %}{% else %}{% set o = b %}{% endif %}{{ o.x }}", ["c", "a", "b"]),
    ("{% if c %}{% set o = a %}{% else %}{% set o = a %}{% endif %}{{ o.x }}", ["c", "a", "a"]),
    ("{% macro m(a, b=k.l) %}{{ a.x }}{{ b }}{{ c.d }}{{ caller() }}{{ varargs }}{% endmacro %}{{ m(e.f) }}", ["k.l", "c.d", "e.f"]),
    ("{% call(u) m(a.b) %}{{ u.x }}{{ c }}{% endcall %}", ["m", "a.b", "c"]),
    ("{% filter replace(a, b) %}{{ c }}{% endfilter %}", ["a", "b", "c"]),
    ("{% block x %}{{ a.b }}{{ self.x() }}{{ super() }}{% endblock %}", ["a.b"]),
    ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #} {{ c }}", ["c"]),
    # Guards.
    ("{{ a.b | default('') }} {{ a.b | d(c.d) }} {{ (a.b | default({})).e }}", ["a.b?", "c.d", "a.b?", "a.b.e?"]),
    ("{{ a.b | default(c.d) | d(e.f, true) | default(g.h) }}", ["c.d?", "e.f?", "g.h", "a.b?"]),
    ("{{ a.b | default(c.d | upper) | default('') }}", ["c.d", "a.b?"]),
    ("{{ a.b is defined }} {{ a.b is undefined }} {{ a.b is not defined }} {{ a.b is eq c }}", ["a.b?", "a.b?", "a.b?", "a.b", "c"]),
    ("{{ steps.a.skipped }} {{ steps.a.failed }} {{ steps.a.output.failed }} {{ a.b.skipped }}",
     ["steps.a.skipped?", "steps.a.failed?", "steps.a.output.failed", "a.b.skipped"]),
    ("{% if a.b is defined %}{{ a.b }}{{ a.b.c }}{{ a.d }}{% else %}{{ a.b }}{% endif %}{{ a.b }}", ["a.b?", "a.b?", "a.b.c?", "a.d", "a.b", "a.b"]),
    ("{% if a is undefined %}{{ a }}{% elif a.x %}{{ a.y }}{% else %}{{ a.z }}{% endif %}", ["a?", "a", "a.x?", "a.y?", "a.z?"]),
    ("{{ a.b if a.b is defined else c }}", ["a.b?", "a.b?", "c"]),
    ("{{ c if a.b is not defined else a.b }} {{ a if b }}", ["a.b?", "c", "a.b?", "b", "a"]),
    ("{{ a.b is defined and a.b > 1 }} {{ a.b is undefined or a.b > 1 }}", ["a.b?", "a.b?", "a.b?", "a.b?"]),
    ("{{ c or a.b is defined and a.b }} {{ (a is defined or b is defined) and a }}", ["c", "a.b?", "a.b?", "a?", "b?", "a"]),
    ("{{ (a is defined or a is defined) and a }} {{ not (a is undefined or b is undefined) and a and b }}",
     ["a?", "a?", "a?", "a?", "b?", "a?", "b?"]),
    ("{% if not steps.a.skipped %}{{ steps.a.output.x }}{{ steps.b.text }}{% endif %}", ["steps.a.skipped?", "steps.a.output.x?", "steps.b.text"]),
    ("{% if steps.a.failed %}{{ steps.a.text }}{% else %}{{ steps.a.text }}{% endif %}", ["steps.a.failed?", "steps.a.text", "steps.a.text?"]),
    ("{% if not a.b.c %}{{ a.b }}{% endif %}{% if not 'x'.y %}{{ a }}{% endif %}{% if 'x' is defined %}{% endif %}", ["a.b.c", "a.b", "a"]),
    ("{% for t in a if t.x is defined %}{{ t.x }}{% endfor %}", ["a", "a.[].x?", "a.[].x?"]),
    ("{{ a | selectattr('b', 'defined') | map(attribute='c', default=0) | length }}", ["a.[].b?", "a.[].c?"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), READINGS, ids=[text for text, _ in READINGS])
def test_a_template_reads(bench: Any, text: str, expected: list[str]) -> None:
    assert bench.paths(text) == expected


def test_every_part_of_a_path_has_its_place(bench: Any) -> None:
    (found,) = bench.references("Dear you,\n  {{ steps['a b'].output.tags[0] .name }}")
    assert found.path == ("steps", "a b", "output", "tags", "0", "name")
    assert found.spans == (
        Span("p.md", 2, 6, 5),
        Span("p.md", 2, 12, 5),
        Span("p.md", 2, 19, 6),
        Span("p.md", 2, 26, 4),
        Span("p.md", 2, 31, 1),
        Span("p.md", 2, 35, 4),
    )
    assert found.span == Span("p.md", 2, 6, 33)


def test_places_are_places_in_the_file_around_the_template() -> None:
    env = make_environment()
    text = "A {{ a.b }}\nB {{ c.d\n  .e }}"
    first, second = references_of(env, Template(text, Origin("w.yaml", 12, 9, 6)))
    assert first.spans == (Span("w.yaml", 12, 14, 1), Span("w.yaml", 12, 16, 1))
    assert second.spans == (Span("w.yaml", 13, 12, 1), Span("w.yaml", 13, 14, 1), Span("w.yaml", 14, 10, 1))
    assert second.span == Span("w.yaml", 13, 12, 1)
    (expression,) = references_of(env, Expression("not x.y", Origin("w.yaml", 3, 11)))
    assert (expression.path, expression.span) == (("x", "y"), Span("w.yaml", 3, 15, 3))


def test_a_field_named_in_a_filter_has_its_place(bench: Any) -> None:
    found = bench.references("{{ a | map(attribute='bc.d') }}")[0]
    assert found.path == ("a", "[]", "bc", "d")
    assert found.spans[2:] == (Span("p.md", 1, 23, 2), Span("p.md", 1, 26, 1))


def test_a_bound_name_stands_for_its_path_at_the_place_of_the_name(bench: Any) -> None:
    found = bench.references("{% for t in xs %}{{ t.name }}{% endfor %}")[1]
    assert found.path == ("xs", "[]", "name")
    assert found.spans == (Span("p.md", 1, 21, 1), Span("p.md", 1, 21, 1), Span("p.md", 1, 23, 4))


def test_included_files_are_read_in_the_scope_that_includes_them(bench_with: Callable[..., Any]) -> None:
    project = bench_with(
        {
            "in.md": "{{ t.name }} {{ item.x }}{% include 'in.md' %}",
            "lib.md": "{% macro m(a) %}{{ a }}{{ inputs.q }}{% endmacro %}",
            "base.md": "{{ base.title }}{% block b %}{{ base.body }}{% endblock %}",
            "torn.md": "{{",
        }
    )
    inside = project.references("{% for t in xs %}{% include 'in.md' %}{% endfor %}")
    assert [found.path for found in inside] == [("xs",), ("xs", "[]", "name"), ("item", "x")]
    assert inside[1].span == Span("in.md", 1, 4, 6)
    assert project.paths("{% import 'lib.md' as l %}{{ l.m(a) }}") == ["a"]
    assert project.paths("{% import 'lib.md' as l with context %}{{ l.m(a) }}") == ["inputs.q", "a"]
    assert project.paths("{% from 'lib.md' import m, m as n with context %}{{ m(a) }}{{ n }}") == ["inputs.q", "a"]
    assert project.paths("{% include 'in.md' without context %}") == []
    assert project.paths("{% extends 'base.md' %}{% block b %}{{ own }}{% endblock %}") == [
        "base.title",
        "base.body",
        "own",
    ]
    assert project.paths(
        "{% include 'torn.md' %}{% include 'none.md' %}{% include '../x' %}{% include x %}{{ a }}"
    ) == ["a"]


def test_without_files_an_include_reads_nothing(bench: Any) -> None:
    assert bench.paths("{% include 'in.md' %}{{ a }}") == ["a"]


def test_what_is_nested_too_deeply_is_left_to_the_compiler(bench: Any) -> None:
    assert bench.references("{{ " + "+".join(["x"] * 3000) + " }}") == ()


def test_a_syntax_error_is_told(bench: Any) -> None:
    from runner.templates.problems import TemplateProblem

    with pytest.raises(TemplateProblem, match=r"p\.md:1:1: '\{\{' is never closed"):
        bench.references("{{ a")
    with pytest.raises(TemplateProblem, match=r"w\.yaml:1:1: the expression is empty"):
        references_of(bench.env, Expression("", Origin("w.yaml")))


@given(
    st.lists(st.from_regex(r"[a-z][a-z_0-9]{0,5}", fullmatch=True), min_size=1, max_size=5),
    st.text(alphabet="ab \n", max_size=9),
)
def test_the_places_of_a_path_spell_it(parts: list[str], before: str) -> None:
    words = {
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "true",
        "false",
        "none",
        "range",
        "dict",
        "self",
        "super",
        "caller",
    }
    parts = [f"{part}_" if part in words or part in ("namespace", "varargs", "kwargs") else part for part in parts]
    text = f"{before}{{{{ {'.'.join(parts)} }}}}"
    (found,) = references_of(make_environment(), Template(text, Origin("p.md"), "p.md"))
    lines = text.split("\n")
    assert found.path == tuple(parts)
    assert [lines[s.line - 1][s.column - 1 : s.column - 1 + s.length] for s in found.spans] == parts
