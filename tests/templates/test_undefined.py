"""A hole in the data is never hidden, and always named."""

from __future__ import annotations

from typing import Any

import pytest

HOLES = {"steps": {"classify": {"output": {"label": "bug", "tone": "calm"}}}, "empty": {}, "xs": [1], "t": "text"}


@pytest.mark.parametrize(
    "use",
    [
        "{{ steps.classify.output.queue }}",
        "{{ steps.classify.output.queue | upper }}",
        "{{ steps.classify.output.queue ~ 'x' }}",
        "{{ steps.classify.output.queue + 1 }}",
        "{{ 1 + steps.classify.output.queue }}",
        "{{ -steps.classify.output.queue }}",
        "{{ steps.classify.output.queue == 1 }}",
        "{{ steps.classify.output.queue != none }}",
        "{{ 1 < steps.classify.output.queue }}",
        "{{ steps.classify.output.queue in [1] }}",
        "{{ 1 in steps.classify.output.queue }}",
        "{{ not steps.classify.output.queue }}",
        "{{ steps.classify.output.queue and 1 }}",
        "{{ steps.classify.output.queue is none }}",
        "{{ steps.classify.output.queue[1:] }}",
        "{{ [steps.classify.output.queue] }}",
        "{{ {'a': [steps.classify.output.queue]} | tojson }}",
        "{{ ', ' | join(steps.classify.output.queue) }}",
        "{{ 'a' | replace('a', steps.classify.output.queue) }}",
        "{% if steps.classify.output.queue %}x{% endif %}",
        "{% for x in steps.classify.output.queue %}x{% endfor %}",
        "{% for x in steps.classify.output.queue %}{{ loop.last }}{% endfor %}",
        "{% set q = steps.classify.output.queue %}{{ q }}",
        "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(steps.classify.output.queue) }}",
        "{{ [1, 2] | sum(start=steps.classify.output.queue) }}",
    ],
)
def test_any_use_of_a_missing_value_is_an_error_that_names_its_whole_path(bench: Any, use: str) -> None:
    assert "undefined-value: 'steps.classify.output.queue' is undefined" in bench.failure("line 1\n" + use, **HOLES)


def test_the_error_points_at_the_path_in_its_line(bench: Any) -> None:
    assert bench.failure("Dear all,\n{{ inputs.x }}: {{ steps.classify.output.tonne }}.", inputs={"x": 1}, **HOLES) == (
        "p.md:2:20: undefined-value: 'steps.classify.output.tonne' is undefined\n"
        "    2 | {{ inputs.x }}: {{ steps.classify.output.tonne }}.\n"
        "      |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  expected: one of: label, tone\n"
        "  nearest:  tone"
    )


def test_the_error_says_where_the_hole_begins(bench: Any) -> None:
    assert bench.failure("{{ steps.reply.output.text }}", **HOLES) == (
        "p.md:1:4: undefined-value: 'steps.reply.output.text' is undefined: there is no 'steps.reply'\n"
        "    1 | {{ steps.reply.output.text }}\n"
        "      |    ^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  expected: one of: classify"
    )


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ xs[3] }}", "'xs[3]' is undefined: it is looked for in a list"),
        ("{{ xs[xs[0] + 7] }}", "'xs[…]' is undefined: it is looked for in a list"),
        ("{{ xs['a b'] }}", "'xs[\"a b\"]' is undefined: it is looked for in a list"),
        ("{{ (xs | first).name }}", "'(…).name' is undefined: it is looked for in a number"),
        ("{{ t.upper }}", "'t.upper' is undefined: it is looked for in a text"),
        ("{{ [] | first }}", "'first' found nothing: the list is empty"),
        ("{{ [] | last }}", "'last' found nothing: the list is empty"),
        ("{{ [] | min }}", "'min' found nothing: the list is empty"),
        ("{{ [] | max }}", "'max' found nothing: the list is empty"),
        ("{{ [] | vote }}", "'vote' found nothing: the list is empty"),
        ("{{ [{'a': 1}] | find('a', 2) }}", "'find' found nothing: no element has a = 2"),
        ("{% for x in xs %}{{ loop.previtem }}{% endfor %}", "there is no previous item"),
        (
            "{{ ('a' if t == 1) | upper }}",
            "the condition of an 'if' without 'else' does not hold, so there is no value",
        ),
        ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", "parameter 'a' was not provided"),
    ],
)
def test_holes_of_every_kind_are_named(bench: Any, use: str, message: str) -> None:
    assert f": undefined-value: {message}\n" in bench.failure(use, **HOLES) + "\n"


def test_the_error_shows_what_could_have_been_meant(bench: Any) -> None:
    many = {f"field_{number:02}": 1 for number in range(20)}
    assert "  expected: nothing: the mapping is empty" in bench.failure("{{ empty.x }}", **HOLES)
    assert "field_11, …\n  nearest:  field_07" in bench.failure("{{ m.Field_07 }}", m=many)


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("{{ steps.x.output.y | default('-') }}", "-"),
        ("{{ steps.x.output.y | d('-') }}", "-"),
        ("{{ steps.x.output.y | default }}", ""),
        ("{{ steps.x['output'][0].y | default(1) }}", "1"),
        ("{{ t | default('-') }}", "text"),
        ("{{ '' | default('-') }}|{{ '' | default('-', true) }}|{{ none | default('-', true) }}", "|-|-"),
        ("{{ none | default('-') }}", "null"),
        ("{{ steps.x is defined }} {{ steps.x.y.z is undefined }} {{ t is defined }}", "false true true"),
        ("{{ steps.x if steps.x is defined else 'no' }}", "no"),
        ("{{ xs | selectattr('a', 'defined') }} {{ xs | map(attribute='a', default=0) }}", "[] [0]"),
    ],
)
def test_default_and_is_defined_take_a_missing_value(bench: Any, use: str, expected: str) -> None:
    assert bench.rendered(use, **HOLES) == expected


def test_a_missing_value_has_no_spelling_that_could_slip_into_a_text(bench: Any) -> None:
    from runner.templates.values import Missing

    assert repr(Missing.at("a.b", {})) == "undefined"
