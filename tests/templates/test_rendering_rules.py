"""What a template inserts, byte by byte: rendering enters the key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.span import Origin
from runner.core.workflow import Template
from runner.templates.environment import make_environment
from runner.templates.text import compile_template

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PLAIN = compile_template(make_environment(), Template("{{ x }}", Origin("p.md"), "p.md"))


@given(JSON)
def test_text_is_inserted_as_it_is_and_everything_else_as_json(value: Any) -> None:
    made = PLAIN.render({"x": value})
    assert made == value if isinstance(value, str) else json.loads(made) == value


@given(st.text())
def test_inserted_text_is_never_read_as_a_template(data: str) -> None:
    tricky = "{{ 7 * 7 }}{% raw %}" + data + "{# x #}{{ inputs.secret }}"
    assert PLAIN.render({"x": tricky}) == tricky


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ none }} {{ true }} {{ false }} {{ 3 }} {{ 2.5 }}", "null true false 3 2.5"),
        ('{{ [1, none, "é"] }}', '[1, null, "é"]'),
        ('{{ {"b": true, "a": []} }}', '{"b": true, "a": []}'),
        ("{{ (1, 2) }} {{ range(3) }}", "[1, 2] [0, 1, 2]"),
        ('{{ "<&\'>" }}', "<&'>"),
        ('{{ ["<a>"] | tojson }} {{ ["<a>"] | json }}', '["<a>"] ["<a>"]'),
        ('{{ "n" ~ none ~ true ~ [1] }}', "nnulltrue[1]"),
        ('{{ "%s %s" % (none, [true]) }}', "null [true]"),
        ('{{ none | string }} {{ [none, true] | join(" ") }}', "null null true"),
        ('{{ "a" if false }}|{{ ("x" ~ ("y" if false)) }}', "|x"),
        ("{% for i in range(3) %}{{ i }}{{ ', ' if not loop.last }}{% endfor %}", "0, 1, 2"),
    ],
)
def test_values_never_show_python_spelling(bench: Any, template: str, expected: str) -> None:
    assert bench.rendered(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a\r\nb\rc\n", "a\nb\nc"),
        ("a\n\n", "a\n"),
        ("  {% if true %}\n  x\n  {% endif %}\nend", "  x\nend"),
        ("{# note #}\nx", "x"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("a  {{- ' b' -}}  c", "a bc"),
        ("{% set x %}[{{ 1 }}]{% endset %}{{ x }}{{ x }}", "[1][1]"),
        ("{% filter upper %}a{{ 'b' }}{% endfilter %}", "AB"),
        (
            "{% macro m(a, b=2) %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}{{ m(1) }}{% call m(3) %}!{% endcall %}",
            None,
        ),
        ("{% with a = 1 %}{{ a }}{% endwith %}", "1"),
        ("{% block b scoped %}x{% endblock %}{{ self.b() }}", "xx"),
        ("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "3"),
        (
            "{% for x in [[1, [2]]] recursive %}({{ x[0] }}{{ loop([x[1]]) if x[1] is defined else '' }}){% endfor %}",
            "(1(2))",
        ),
        (
            "{% for a in [1, 1, 2] %}{{ loop.cycle('x', 'y') }}{{ loop.changed(a) }}{% else %}none{% endfor %}",
            "xtrueyfalsextrue",
        ),
        ("{% for a in [] %}{% else %}none{% endfor %}", "none"),
        ("{% for k in {'a': 1} %}{{ k }}{% endfor %}{% for c in 'xy' %}{{ c }}.{% endfor %}", "ax.y."),
        ("{{ dict(a=1) }}{{ 'abc'[1:] }}{{ [1, 2, 3][::2] }}{{ 'abc'[0] }}{{ [1, 2][-1] }}", '{"a": 1}bc[1, 3]a2'),
        ("{{ 1 < 2 < 3 }} {{ [1] == [1] }} {{ 'a' in 'cat' }} {{ 'b' not in ['a'] }}", "true true true true"),
        (
            "{{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 10 }} {{ 1 - 2 }} {{ -(3) }} {{ 'ab' * 2 }} {{ [1] * 2 }} {{ [1] + [2] }}",
            "3 3 1024 -1 -3 abab [1, 1] [1, 2]",
        ),
        ("{{ 4 / 2 }} {{ '%(a)s-%(b)03d' % {'a': 'x', 'b': 7} }} {{ '%d%%' % 5 }}", "2.0 x-007 5%"),
    ],
)
def test_whitespace_statements_and_operators(bench: Any, template: str, expected: str | None) -> None:
    if expected is not None:
        assert bench.rendered(template) == expected
    else:
        assert "caller" in bench.failure(template)


def test_a_macro_can_ask_for_its_caller(bench: Any) -> None:
    template = "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{% endcall %}"
    assert bench.rendered(template) == "<x>"


def test_mapping_keys_come_before_anything_else(bench: Any) -> None:
    item = {"items": [1], "keys": "k", "get": "g", "pop": "p", "values": {"copy": "c"}}
    made = bench.rendered(
        "{{ item.items }}{{ item.keys }}{{ item.get }}{{ item.pop }}{{ item.values.copy }}", item=item
    )
    assert made == "[1]kgpc"


def test_values_may_be_lazy_mappings_and_sequences(bench: Any) -> None:
    from collections import UserDict, UserList

    rows = UserList([1, 2])
    values = UserDict({"rows": rows, "inner": UserDict({"a": 1})})
    template = (
        "{{ v.rows | length }} {{ v.rows[1] }} {{ v.rows[5] is defined }} {{ v.inner.a }} {{ v.inner.b is defined }}"
    )
    assert bench.rendered(template, v=values) == "2 2 false 1 false"
    assert (
        bench.rendered("{{ v.rows }} {{ v.inner }} {% for r in v.rows %}{{ r }}{% endfor %}", v=values)
        == '[1, 2] {"a": 1} 12'
    )
    assert bench.value("v.rows", v=values) is rows
