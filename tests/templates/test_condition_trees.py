"""Expressions as plain trees: what can be told without values is kept, the rest is left open."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.condition import (
    Calculated,
    Compared,
    Condition,
    Defined,
    Every,
    Known,
    Length,
    Listed,
    Made,
    Not,
    Read,
    Some,
    Unknown,
)

A, B = Read(("a",)), Read(("b",))

TREES: list[tuple[str, Condition]] = [
    ("3", Known(3)),
    ("-3", Known(-3)),
    ("-a", Made(frozenset(("number",)))),
    ("[1, 'x']", Known([1, "x"])),
    ("(1, 2)", Known([1, 2])),
    ("[1, a]", Listed((Known(1), A))),
    ("a", A),
    ("a.b['c d'][0]", Read(("a", "b", "c d", "0"))),
    ("a[b]", Unknown()),
    ("a[true]", Unknown()),
    ("a[b].c", Unknown()),
    ("a and b", Every((A, B))),
    ("a or not b", Some((A, Not(B)))),
    ("a > 3", Compared("gt", A, Known(3))),
    ("1 <= a < 3", Every((Compared("lteq", Known(1), A), Compared("lt", A, Known(3))))),
    ("a not in [1]", Compared("notin", A, Known([1]))),
    ("a | length", Length(A)),
    ("a | count == 2", Compared("eq", Length(A), Known(2))),
    ("a | upper", Made(frozenset(("string",)))),
    ("a is defined", Defined(A)),
    ("a is undefined", Not(Defined(A))),
    ("a is none", Compared("eq", A, Known(None))),
    ("a is gt 3", Compared("gt", A, Known(3))),
    ("a is in [1]", Compared("in", A, Known([1]))),
    ("a is odd", Unknown()),
    ("a + 1", Calculated("+", A, Known(1))),
]


@pytest.mark.parametrize(("text", "tree"), TREES)
def test_an_expression_is_a_plain_tree(text: str, tree: Condition, bench: Any) -> None:
    assert bench.expression(text).condition() == tree
