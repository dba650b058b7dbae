"""The closed list of filters and tests."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.span import Origin
from runner.core.workflow import Expression
from runner.templates.environment import make_environment
from runner.templates.expression import compile_expression

ENV = make_environment()
PEOPLE = [
    {"name": "bo", "age": 30, "city": "Rome", "tags": ["x"]},
    {"name": "Al", "age": 25, "city": "oslo", "tags": []},
    {"name": "cy", "age": 30, "city": "rome", "tags": ["y", "x"]},
]
NAMES = {"people": PEOPLE, "xs": [3, 1, 2], "m": {"b": 1, "A": 2}, "text": "the quick brown fox"}


def value(text: str, **names: Any) -> Any:
    return compile_expression(ENV, Expression(text, Origin("w.yaml"))).evaluate({**NAMES, **names})


FILTERS = [
    ("'aBc' | upper ~ 'aBc' | lower ~ 'aBc d' | capitalize ~ 'aBc d-e' | title", "ABCabcAbc dAbc D-E"),
    ("'  a ' | trim ~ 'xax' | trim('x')", "aa"),
    ("none | upper", "NULL"),
    ("'a b c' | wordcount", 3),
    ("[1500 | filesizeformat, 1024 | filesizeformat(true)]", ["1.5 kB", "1.0 KiB"]),
    ("'a/b c&d' | urlencode ~ {'k e': 'v/', 'n': none} | urlencode", "a/b%20c%26dk%20e=v%2F&n=null"),
    ("'ab' | center(6)", "  ab  "),
    ("text | truncate(12) ~ text | truncate(12, true, '…', 0) ~ text | truncate(99)", "the...the quick b…the quick brown fox"),
    ("'aXbXc' | replace('X', '-') ~ 'aXbXc' | replace('X', none, 1)", "a-b-canullbXc"),
    ("'a1a' | replace(1, true)", "atruea"),
    ("'a\n\nb' | indent(2)", "a\n\n  b"),
    ("'a\n\nb' | indent('> ', first=true, blank=true)", "> a\n> \n> b"),
    ("'aa bb cc\n\nd' | wordwrap(5)", "aa bb\ncc\n\nd"),
    ("'<p>a &amp;  b</p><!-- <x> -->c < d' | striptags", "a & bc < d"),
    ("'a <!-- open' | striptags", "a <!-- open"),
    ("'a <b>c' | striptags", "a c"),
    ("xs | chunks(*[2])", [[3, 1], [2]]),
    ("'x' | fenced", "```\nx\n```"),
    ("'a\n```\nb\n' | fenced('md')", "````md\na\n```\nb\n````"),
    ("'' | fenced", "```\n```"),
    ("{'b': [1, none, '<é>'], 'a': true} | json", '{"b": [1, null, "<é>"], "a": true}'),
    ("[1] | tojson(indent=2)", "[\n  1\n]"),
    ("'%s is %.1f%%, %5d|%-3s|' | format('x', 2.25, 7, none)", "x is 2.2%,     7|null|"),
    ("'%(a)s %(b)05.1f' | format(a=[1], b=2)", "[1] 002.0"),
    ("['12' | int, '1.9' | int, 'x' | int, 'x' | int(7), '0x1F' | int(base=16), 1.9 | int, none | int, ('9' * 30) | int(-1)]",
     [12, 1, 0, 7, 31, 1, 0, -1]),
    ("['1.5' | float, 'x' | float, 'x' | float(2), '1e999' | float]", [1.5, 0.0, 2, 0.0]),
    ("[-3 | abs, 2.5 | round, 2.55 | round(1, 'floor'), 2.51 | round(1, 'ceil'), 1250 | round(-2)]", [3, 2, 2.5, 2.6, 1200]),
    ("1 | string", "1"),
    ("[xs | length, text | count, m | length]", [3, 19, 2]),
    ("[xs | first, xs | last, text | first, m | first, xs | min, xs | max]", [3, 2, "t", "b", 1, 3]),
    ("[people | min(attribute='age'), people | max(attribute='name')] | map(attribute='name')", ["Al", "cy"]),
    ("'abc' | list + range(2) | list + m | list", ["a", "b", "c", 0, 1, "b", "A"]),
    ("m | items", [["b", 1], ["A", 2]]),
    ("[m | dictsort, m | dictsort(true), m | dictsort(by='value', reverse=true)]",
     [[["A", 2], ["b", 1]], [["A", 2], ["b", 1]], [["A", 2], ["b", 1]]]),
    ("people | sort(attribute='name') | map(attribute='name')", ["Al", "bo", "cy"]),
    ("people | sort(attribute='name', case_sensitive=true, reverse=true) | map(attribute='name')", ["cy", "bo", "Al"]),
    ("people | sort(attribute='age,name') | map(attribute='name')", ["Al", "bo", "cy"]),
    ("[xs | sort, ['b', 'A'] | sort, [['b', 1]] | sort(attribute=0)]", [[1, 2, 3], ["A", "b"], [["b", 1]]]),
    ("[['a', 'A', 1, true, '1', {'x': 1}, {'x': 1}] | unique, ['a', 'A'] | unique(true)]",
     [["a", 1, True, "1", {"x": 1}], ["a", "A"]]),
    ("people | unique(attribute='city') | map(attribute='name')", ["bo", "Al"]),
    ("[xs | sum, people | sum(attribute='age'), [0.5] | sum(start=1), [] | sum]", [6, 85, 1.5, 0]),
    ("[xs | join, xs | join('-'), people | join(', ', attribute='name'), 'ab' | join('.')]", ["312", "3-1-2", "bo, Al, cy", "a.b"]),
    ("people | groupby('city') | map(attribute='grouper')", ["oslo", "Rome"]),
    ("people | groupby('age') | last", [30, [PEOPLE[0], PEOPLE[2]]]),
    ("[{'a': 1}, {}] | groupby('a', default=0) | map(attribute='list')", [[{}], [{"a": 1}]]),
    ("people | groupby('city', case_sensitive=true) | length", 3),
    ("[['a', 'b'] | map('upper'), ['a-b'] | map('replace', '-', '+'), people | map(attribute='tags.0', default='-')]",
     [["A", "B"], ["a+b"], ["x", "-", "y"]]),
    ("[people | map(attribute='tags') | map('length'), [none] | map('default', 'x', true)]", [[1, 0, 2], ["x"]]),
    ("[[0, 1, '', none] | select, [0, 1] | reject, xs | select('odd'), xs | reject('>', 2)]", [[1], [0], [3, 1], [1, 2]]),
    ("people | selectattr('age', 'gt', 26) | rejectattr('city', 'eq', 'Rome') | map(attribute='name')", ["cy"]),
    ("[people | selectattr('tags') | length, people | rejectattr('tags') | length]", [2, 1]),
    ("[xs | reverse, 'abc' | reverse]", [[2, 1, 3], "cba"]),
    ("[range(5) | batch(2), range(5) | batch(2, 0), range(4) | batch(2, 0), [] | batch(2, 0)]",
     [[[0, 1], [2, 3], [4]], [[0, 1], [2, 3], [4, 0]], [[0, 1], [2, 3]], []]),
    ("[range(5) | slice(2), range(5) | slice(2, 'x'), range(4) | slice(2, 'x')]",
     [[[0, 1, 2], [3, 4]], [[0, 1, 2], [3, 4, "x"]], [[0, 1], [2, 3]]]),
    ("[range(5) | chunks(2), [] | chunks(2)]", [[[0, 1], [2, 3], [4]], []]),
    ("[range(4) | windows(2), range(5) | windows(2, 2), range(5) | windows(2, step=3), [1] | windows(2)]",
     [[[0, 1], [1, 2], [2, 3]], [[0, 1], [2, 3]], [[0, 1], [3, 4]], []]),
    ("[[[1], 2, [[3]]] | flatten, [[1], [[3]]] | flatten(2), [] | flatten]", [[1, 2, [3]], [1, 3], []]),
    ("[['b', 'a', 'a'] | vote, ['b', 'a'] | vote, [1, true, true] | vote, [{'x': 1}, {'x': 1}, 2] | vote]", ["a", "b", True, {"x": 1}]),
    ("[people | find('name', 'Al'), [{}, {'a': none}] | find('a', none), [{'a': 1}, {'a': true}] | find('a', true)]",
     [PEOPLE[1], {"a": None}, {"a": True}]),
    ("[xs | zip('ab'), [1] | zip([2], [3])]", [[[3, "a"], [1, "b"]], [[1, 2, 3]]]),
    ("[[1, 0] | cosine([1, 0]), [1, 0] | cosine([0, 2]), [1, 2] | cosine([-1, -2]) | round(6), [0, 0] | cosine([1, 1])]", [1.0, 0.0, -1.0, 0.0]),
    ("[range(8) | shuffle('seed'), range(8) | shuffle(1), range(8) | shuffle('1')]",
     [[0, 3, 2, 7, 1, 5, 4, 6], [1, 4, 5, 3, 6, 0, 7, 2], [1, 4, 5, 3, 6, 0, 7, 2]]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FILTERS, ids=[text for text, _ in FILTERS])
def test_a_filter_gives(text: str, expected: Any) -> None:
    assert value(text) == expected


TRUE_TESTS = (
    "3 is odd, 4 is even, 9 is divisibleby 3, true is boolean, false is false, true is true, 1.5 is float, 1 is integer, "
    "true is not integer, 1 is number, 1.5 is number, true is not number, none is none, 'a' is string, 'a' is lower, "
    "'A' is upper, m is mapping, xs is list, 'a' is not list, xs is sequence, m is iterable, 1 is not iterable, "
    "1 is in xs, 1 is eq 1, 1 is equalto 1, 1 is ne 2, 1 is lt 2, 1 is lessthan 2, 2 is gt 1, 2 is greaterthan 1, "
    "1 is le 1, 1 is ge 1, x is undefined, m is defined"
)


@pytest.mark.parametrize("claim", TRUE_TESTS.split(", "))
def test_a_test_holds(claim: str) -> None:
    assert value(claim) is True


REFUSALS = [
    ("1 | first", "a number has no elements"),
    ("1 | length", "the filter 'length' does not work on a number"),
    ("[1, 'a'] | sort", "the filter 'sort' does not work on a list of a number and a text"),
    ("[{}, 1] | max", "the filter 'max' does not work on a list of a mapping and a number"),
    ("['a'] | sum", "'sum' adds numbers, and a text is none"),
    ("1 | items", "'items' works on a mapping, and this is a number"),
    ("m | dictsort(by='k')", "'dictsort' cannot sort by 'k'"),
    ("1 | round(1, 'up')", "'round' has no method 'up'"),
    ("xs | chunks(0)", "'chunks' needs a whole number of at least 1"),
    ("xs | chunks('a')", "'chunks' needs a whole number of at least 1"),
    ("xs | windows(2, -1)", "'windows' needs a whole number of at least 1"),
    ("xs | batch(true)", "'batch' needs a whole number of at least 1"),
    ("xs | map", "'map' needs the name of a filter, or attribute=…"),
    ("xs | map(text)", "there is no filter 'the quick brown fox'"),
    ("xs | map('each element')", "there is no filter 'each element'"),
    ("xs | select(text)", "there is no test 'the quick brown fox'"),
    ("[1] | cosine([1, 2])", "'cosine' needs vectors of one length, and these have 1 and 2 numbers"),
    ("['a'] | cosine([1])", "the filter 'cosine' does not work on a list of a text with a list"),
    ("'abc' | truncate(1)", "'truncate' to 1 leaves no room for its ending '...'"),
    ("'%s' | format", "'format' has no value for '%s'"),
    ("'%(a)s' | format(b=1)", "'format' has no value for '%(a)s'"),
    ("'%s' | format(1, 2)", "'format' got more values than the text has places"),
    ("'%s' | format(1, a=2)", "'format' takes values by position or by name, not both"),
    ("'%q' | format(1)", "'%q' is no place for a value that 'format' knows"),
    ("'%d' | format('x')", "the filter 'format' does not work on a text with a text"),
    ("'a' is odd", "the test 'odd' does not work on a text"),
    ("'a' + 1", "'+' does not work on a text and a number"),
    ("[1] + 'a'", "'+' does not work on a list and a text"),
    ("none - true", "'-' does not work on null and true"),
    ("{} * false", "'*' does not work on a mapping and false"),
    ("1 / 0", "'/' divides by zero"),
    ("1 % 0", "'%' divides by zero"),
    ("1 < 'a'", "'<' cannot compare a number with a text"),
    ("none >= [1]", "'>=' cannot compare null with a list"),
    ("1 in 2", "'in' cannot look into a number"),
    ("1 in text", "the template cannot be rendered: 'in <string>' requires string as left operand, not int"),
    ("1[1:]", "a number cannot be sliced"),
    ("{1: 2}", "a mapping has a key that is no text"),
    ("{(1, 2): 2} | json | upper", "a mapping with a key that is no text cannot be written"),
    ("range", "a part of the template language is no value that can be handed on"),
    ("range | string", "a part of the template language cannot be written as text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSALS, ids=[text for text, _ in REFUSALS])
def test_what_cannot_be_done_is_said_in_plain_words(bench: Any, text: str, message: str) -> None:
    assert message in bench.expression_failure(text, **NAMES)


@given(st.lists(st.integers()), st.text())
def test_shuffle_only_moves_elements_and_depends_on_the_seed_alone(numbers: list[int], seed: str) -> None:
    shuffled = value("n | shuffle(s)", n=numbers, s=seed)
    assert sorted(shuffled) == sorted(numbers)
    random.seed(1)
    assert value("n | shuffle(s)", n=numbers, s=seed) == shuffled


@given(st.text())
def test_a_fenced_text_cannot_end_its_fence(inside: str) -> None:
    made = value("t | fenced('x')", t=inside)
    fence = made.partition("x\n")[0]
    assert made.startswith(fence + "x\n" + inside)
    assert fence not in inside
    assert made.endswith("\n" + fence)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_chunks_and_windows_keep_every_element_in_order(numbers: list[int], size: int) -> None:
    assert value("n | chunks(s) | flatten", n=numbers, s=size) == numbers
    windows = value("n | windows(s)", n=numbers, s=size)
    assert windows == [numbers[start : start + size] for start in range(len(numbers) - size + 1)]


@given(st.lists(st.booleans() | st.integers(0, 3) | st.text(max_size=1), min_size=1))
def test_the_vote_is_won_by_a_most_frequent_element(ballots: list[Any]) -> None:
    winner = value("b | vote", b=ballots)
    same = [type(x) is type(winner) and x == winner for x in ballots]
    assert sum(same) == max(sum(type(x) is type(y) and x == y for x in ballots) for y in ballots)


def test_no_filter_changes_what_it_is_given() -> None:
    rows = [[3, 1], [2]]
    value("[r | sort, r | flatten, r | shuffle(1), r | reverse, r | batch(3, 0), r | slice(3, 0)]", r=rows)
    assert rows == [[3, 1], [2]]
