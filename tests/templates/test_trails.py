"""Holes that a text provides for, what it decides by, and the words that it compares values with."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.span import Origin
from runner.core.workflow import Expression, Template
from runner.templates.references import readings_of

# A reading is shown with "|" behind the parts that may be absent without harm.
PROVIDED = [
    ("{{ a.b.c }}", ["|a.b.c"]),
    ("{{ a.b.c | default('') }} {{ (a.b | default({})).c }}", ["a.b.c|", "a.b.c|"]),
    ("{% if a.b is defined %}{{ a.b.c }}{% endif %}", ["a.b|", "a.b|.c"]),
    ("{% if 'b' in a %}{{ a.b.c }}{{ a.d }}{% endif %}", ["|a", "a.b|.c", "|a.d"]),
    ("{% if 'b' not in a %}{{ a.b }}{% else %}{{ a.b }}{% endif %}", ["|a", "|a.b", "a.b|"]),
    ("{% if 'b' in 'abc' %}{{ a.b }}{% endif %}", ["|a.b"]),
    ("{% set x = a.b %}{{ x }}{{ x | default('') }}", ["a.b|", "|a.b", "a.b|"]),
    ("{% with x = a.b %}{{ x.c }}{% endwith %}", ["a.b|", "|a.b.c"]),
    ("{{ f(a.b, k=a.c) }} {{ [a.d, (a.e,), {'k': a.f}] }}", ["f|", "a.b|", "a.c|", "a.d|", "a.e|", "a.f|"]),
    ("{% macro m(x=a.b) %}{{ a.c }}{% endmacro %}", ["a.b|", "|a.c"]),
    ("{{ a.b | default(a.c) }}", ["a.c|", "a.b|"]),
    ("{{ (a.b if a.c else a.d) | default('') }} {{ a.e if a.f else a.g }}", ["|a.c", "a.b|", "a.d|", "|a.f", "|a.e", "|a.g"]),
    ("{{ (a.b and a.c) | default('') }} {{ a.b or a.c }}", ["|a.b", "a.c|", "|a.b", "|a.c"]),
    ("{{ a | map(attribute='b') | join }}", ["|a.[].b"]),
    ("{{ a | map(attribute='b') | select('defined') | join }}", ["a.[].b|"]),
    ("{{ a | map(attribute='b') | reject('undefined') | join }}", ["a.[].b|"]),
    ("{{ a | map(attribute='b') | reject('defined') | join }}", ["|a.[].b"]),
    ("{{ a | map(attribute='b') | map('default', c.d) | join }}", ["c.d|", "a.[].b|"]),
    ("{{ a | selectattr('b', 'defined') | map(attribute='b') | join }}", ["a.[].b|", "a.[].b|"]),
    ("{% for x in a | rejectattr('b', 'undefined') %}{{ x.b.c }}{% endfor %}", ["a.[].b|", "|a", "a.[].b|.c"]),
    ("{{ a | selectattr('b') | list | length }} {{ (a | find('b', 1)).c }}", ["|a.[].b", "|a", "a.[].b|", "|a.[].c"]),
    ("{{ a | select | list | length }}", ["|a"]),
    ("{{ steps.a.skipped }} {% if not steps.a.skipped %}{{ steps.a.output.x }}{% endif %}",
     ["steps.a.skipped|", "steps.a.skipped|", "steps.a|.output.x"]),
]  # fmt: skip


def _shown(path: tuple[str, ...], provided: int) -> str:
    before, after = ".".join(path[:provided]), ".".join(path[provided:])
    return f"{before}|{'.' if before and after else ''}{after}"


@pytest.mark.parametrize(("text", "expected"), PROVIDED, ids=[text for text, _ in PROVIDED])
def test_a_text_provides_for_holes(bench: Any, text: str, expected: list[str]) -> None:
    assert [_shown(found.path, found.provided) for found in bench.references(text)] == expected


COMPARED = [
    ("{{ a.b == 'x' }} {{ 'y' != a.b }}", ["a.b x", "a.b y"]),
    ("{{ a.b in ['x', 'y', c] }} {{ a.b not in ('z',) }}", ["a.b x y", "a.b z"]),
    ("{{ 'x' in a.b }}", ["a.b.[] x"]),
    ("{{ 'x' in (a | map(attribute='b')) }}", ["a.[].b x"]),
    ("{{ a.b is eq 'x' }} {{ a.b is in ['y'] }} {{ a.b is in c }} {{ 'x' is eq 'x' }}", ["a.b x", "a.b y"]),
    ("{{ a | select('eq', 'x') | list }} {{ a | reject('ne', 'y') | list }}", ["a.[] x", "a.[] y"]),
    ("{{ a | selectattr('b', 'equalto', 'x') | list }} {{ a | rejectattr('b', 'gt', 'y') | list }}", ["a.[].b x"]),
    ("{{ a | find('b', 'x') }} {{ a | find('b', c) }}", ["a.[].b x"]),
    ("{% for t in a %}{% if t.b == 'x' %}{% endif %}{% endfor %}", ["a.[].b x"]),
    # Nothing is known of a value that was computed or replaced.
    ("{{ a.b | upper == 'x' }} {{ (a.b | default('y')) == 'x' }} {{ (a | chunks(2)) == 'x' }}", []),
    ("{{ a.b == 1 }} {{ a.b == c }} {{ a.b == '' }} {{ a.b < 'x' }} {{ 'a' < a.b < 'x' }}", []),
]


@pytest.mark.parametrize(("text", "expected"), COMPARED, ids=[text for text, _ in COMPARED])
def test_words_that_a_value_is_compared_with(bench: Any, text: str, expected: list[str]) -> None:
    found = readings_of(bench.env, Template(text, Origin("p.md"), "p.md")).comparisons
    assert [" ".join((".".join(one.path), *(word.text for word in one.words))) for one in found] == expected


def test_a_word_has_its_place(bench: Any) -> None:
    (found,) = readings_of(bench.env, Expression("a.b == 'xyz'", Origin("w.yaml", 3, 11))).comparisons
    assert (str(found.words[0].span), found.words[0].span.length) == ("w.yaml:3:18", 5)


# Readings that depend on a test are shown in brackets.
ON_A_TEST = [
    ("{{ a }}{% if b %}{{ c }}{% elif d %}{{ e }}{% else %}{{ f }}{% endif %}{{ g }}", "a b [c] [d] [e] [f] g"),
    ("{{ a if b else c }} {{ d and e }} {{ f or g }}", "b [a] [c] d [e] f [g]"),
    ("{% for x in a if b %}{{ c }}{% endfor %}{% for x in d %}{{ e }}{% endfor %}", "a b [c] d e"),
    ("{% macro m(x=a) %}{{ b }}{% endmacro %}{{ c }}", "a [b] c"),
    ("{% if a %}{% for x in b %}{{ c }}{% endfor %}{% endif %}", "a [b] [c]"),
]


@pytest.mark.parametrize(("text", "expected"), ON_A_TEST)
def test_what_is_read_only_where_a_test_comes_out_one_way(bench: Any, text: str, expected: str) -> None:
    found = readings_of(bench.env, Template(text, Origin("p.md"))).references
    assert " ".join(f"[{one.path[0]}]" if one.is_on_a_test else one.path[0] for one in found) == expected


def test_what_decides_is_what_a_test_reads(bench: Any) -> None:
    text = "{% if a.b %}{{ c }}{% elif a.c == d %}{% endif %}{{ e if f else g }}{{ h and i }}{% for x in j if x.k %}{% endfor %}"
    found = readings_of(bench.env, Template(text, Origin("p.md"), "p.md")).tested
    assert sorted(".".join(path) for path in found) == ["a.b", "a.c", "d", "f", "h", "j.[].k"]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("a.b is defined", ["a.b"]),
        ("a.b is defined and c is not undefined and d", ["a.b", "c"]),
        ("a.b is defined or c is defined", []),
        ("not (a.b is undefined or c is undefined)", ["a.b", "c"]),
        ("'x' in a.b and not steps.s.skipped", ["a.b.x", "steps.s"]),
        ("a.b", []),
    ],
)
def test_what_has_a_value_wherever_an_expression_holds(bench: Any, text: str, facts: list[str]) -> None:
    found = readings_of(bench.env, Expression(text, Origin("w.yaml"))).facts
    assert sorted(".".join(path) for path in found) == facts
