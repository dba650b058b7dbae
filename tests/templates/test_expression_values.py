"""Expressions give native values, have one normal form, and know when they are only a path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.span import Origin
from runner.core.workflow import Expression
from runner.templates.environment import make_environment
from runner.templates.expression import compile_expression

ENV = make_environment()
VALUES = {
    "steps": {"a": {"output": {"lines": [1, 2], "a b": {"x": None}, "ok": True}}},
    "inputs": {"n": 3},
    "empty": [],
}


WAYS = [
    [compile_expression(ENV, Expression(text, Origin("w.yaml"))) for text in (path, f"[{path}]")]
    for path in ("a", "a.b", "a.b.c", "c.a")
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps.a.output.lines", [1, 2]),
        ("steps.a.output.lines[0]", 1),
        ("steps.a.output.lines.1", 2),
        ("steps['a'].output['a b']", {"x": None}),
        ("steps.a.output.ok", True),
        ("steps.a.output['a b'].x", None),
        ("inputs.n > 2 and steps.a.output.ok", True),
        ("(1, [2, (3,)], {'a': (4,)})", [1, [2, [3]], {"a": [4]}]),
        ("range(3)", [0, 1, 2]),
        ("[range(2)]", [[0, 1]]),
        ("inputs.n if inputs.n is defined else 0", 3),
        ("steps.b.output | default([])", []),
        ("not empty", True),
        ("'a' ~ 1", "a1"),
        ("  inputs.n\n", 3),
        ("__result | default(1)", 1),
    ],
)
def test_an_expression_gives_a_plain_native_value(bench: Any, text: str, expected: Any) -> None:
    assert bench.value(text, **VALUES) == expected


def test_data_is_handed_on_without_a_copy(bench: Any) -> None:
    rows = [{"a": 1}]
    assert bench.value("xs", xs=rows) is rows
    assert bench.value("xs | default([])", xs=rows) is rows
    mapping = {"a": rows}
    assert bench.value("m or 1", m=mapping) is mapping


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps.a.output.linez", "w.yaml:3:5: undefined-value: 'steps.a.output.linez' is undefined"),
        ("1 + steps.b.x", "w.yaml:3:9: undefined-value: 'steps.b.x' is undefined: there is no 'steps.b'"),
        ("[nothing]", "w.yaml:3:6: undefined-value: 'nothing' is undefined"),
        ("{'a': {'b': nothing}}", "w.yaml:3:17: undefined-value: 'nothing' is undefined"),
        ("1 if false", "w.yaml:3:5: undefined-value: the condition of an 'if' without 'else' does not hold"),
        ("1 +\n  x.y", "w.yaml:4:7: undefined-value: 'x.y' is undefined: there is no 'x'"),
    ],
)
def test_an_expression_that_ends_undefined_is_an_error_at_its_place(bench: Any, text: str, message: str) -> None:
    assert bench.expression_failure(text, **VALUES).startswith(message)


@pytest.mark.parametrize(
    ("text", "expected"), [("inputs.n", True), ("empty", False), ("inputs.n == 4", False), ("''", False)]
)
def test_a_condition_holds_or_not(bench: Any, text: str, expected: bool) -> None:
    assert bench.expression(text).holds(VALUES) is expected


def test_a_condition_over_a_missing_value_is_an_error(bench: Any) -> None:
    from runner.templates.problems import RenderFailed

    with pytest.raises(RenderFailed, match=r"w\.yaml:3:5: 'steps\.b\.ok' is undefined: there is no 'steps\.b'"):
        bench.expression("steps.b.ok").holds(VALUES)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("data.reviews", ("data", "reviews")),
        ("item", ("item",)),
        ("(steps . a.output['lines'])", ("steps", "a", "output", "lines")),
        ("xs[0].a", ("xs", "0", "a")),
        ("xs[-1]", None),
        ("xs[i]", None),
        ("xs[i].a", None),
        ("xs[i]['a']", None),
        ("xs[true]", None),
        ("a.b | first", None),
        ("a == b", None),
    ],
)
def test_a_plain_path_is_known(bench: Any, text: str, path: tuple[str, ...] | None) -> None:
    assert bench.expression(text).path == path


SAME = [
    ("data.reviews", " data . reviews ", "data['reviews']", '(data)["reviews"]'),
    ("steps.a.output.xs | chunks(2)", "steps.a.output['xs']|chunks( 2 )", "(steps.a.output.xs) | chunks(2)"),
    ("xs | selectattr('a', 'eq', \"b\") | list", "(xs|selectattr(\"a\",'eq','b'))|list"),
    ("xs | d([])", "xs|default([ ])"),
    ("a and (b or c)", "(a) and (b or (c))"),
    ("xs[1:2]", "xs[ 1 : 2 ]"),
    ("{'a': 1}", '{ "a" : 1 }'),
    ("x is defined", "(x) is defined"),
    ("f | sort(attribute='a')", 'f|sort( attribute = "a" )'),
]
DIFFERENT = [
    "data.reviews", "data.items", "data", "a.b", "a['b c']", "'a.b'", "a[0]", "a['0']", "a | first", "a | last", "a + b",
    "b + a", "a - b", "a and b", "a or b", "not a", "a == b", "a != b", "a < b", "a in b", "a not in b", "a[1:]", "a[:1]",
    "a[::1]", "[a]", "(a,)", "{'a': a}", "{'a': b}", "1", "1.0", "true", "'1'", "none", "a ~ b", "a if b else c",
    "a if b", "a is odd", "a is even", "a | sort", "a | sort(true)", "a | sort(reverse=true)", "a | sort(attribute=true)",
    "a | chunks(1)", "a | chunks(2)", "range(a)", "range(a, b)", "-a", "+a", "a | map('first')", "a | map('last')",
]  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_spacing_quotes_and_parentheses_do_not_change_the_normal_form(bench: Any, spellings: tuple[str, ...]) -> None:
    assert len({bench.expression(text).canonical for text in spellings}) == 1


def test_different_expressions_have_different_normal_forms(bench: Any) -> None:
    forms = [bench.expression(text).canonical for text in DIFFERENT]
    assert len(set(forms)) == len(DIFFERENT)


def test_the_normal_form_of_a_path_can_be_read(bench: Any) -> None:
    assert bench.expression("(data [ 'reviews' ])").canonical == "data.reviews"


@given(
    st.dictionaries(
        st.sampled_from("abc"), st.recursive(st.integers(), lambda x: st.dictionaries(st.sampled_from("abc"), x))
    )
)
def test_the_short_way_through_a_path_finds_what_the_long_way_finds(values: dict[str, Any]) -> None:
    from runner.core.errors import RunnerError

    for short, long in WAYS:
        try:
            expected = long.evaluate(values)[0]
        except RunnerError:
            with pytest.raises(RunnerError):
                short.evaluate(values)
        else:
            assert short.evaluate(values) == expected
