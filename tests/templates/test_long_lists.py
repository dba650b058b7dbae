"""A list that is not in memory behaves as a list does, in texts and in expressions."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.canonical import Json
from runner.core.long_list import LongList
from runner.templates.bounds import Limits

ROWS = [{"n": 3, "t": ["a"]}, {"n": 1, "t": []}, {"n": 2, "t": ["b", "é"]}]


class Rows(LongList):
    """Counts how often it was read."""

    def __init__(self, rows: list[Json]) -> None:
        self._rows = rows
        self.reads = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Json:
        self.reads += 1
        return self._rows[index]

    def digest(self) -> str:
        return "rows"


@pytest.mark.parametrize(
    "expression",
    [
        "rows",
        "rows | length",
        "rows[0].n + rows[-1].n",
        "rows[1:]",
        "rows | first",
        "rows | last",
        "rows | map(attribute='n') | sum",
        "rows | selectattr('n', 'gt', 1) | list",
        "rows | sort(attribute='n')",
        "rows + rows",
        "[{}] + rows",
        "[rows, [rows]] | flatten | length",
        "[rows] | flatten",
        "rows == rows",
        "rows == 3 * rows",
        "{'n': 1} in rows",
        "rows[0] in rows",
        "rows is list",
        "rows is sequence",
        "rows is iterable",
        "rows is mapping",
        "rows | map(attribute='t') | flatten | unique | list",
        "rows | batch(2) | list",
        "rows | reverse | list",
        "rows | tojson",
        "{'all': rows, 'few': [rows]}",
        "rows | groupby('n') | length",
        "rows | vote",
        "rows if rows else 'none'",
        "rows ~ ''",
    ],
)
def test_an_expression_gives_what_it_gives_for_a_list(bench: Any, expression: str) -> None:
    found = bench.value(expression, rows=Rows(ROWS))
    assert found == bench.value(expression, rows=ROWS)
    assert not isinstance(found, LongList)


@pytest.mark.parametrize(
    "text",
    [
        "{{ rows }}",
        "{% for row in rows %}{{ loop.index }} of {{ loop.length }}: {{ row.n }}\n{% endfor %}",
        "{{ rows | length }} {{ rows[1].n }} {{ rows[0:2] }}",
        "{% if rows %}some{% endif %}{{ rows | json }}",
    ],
)
def test_a_text_says_what_it_says_for_a_list(bench: Any, text: str) -> None:
    assert bench.rendered(text, rows=Rows(ROWS)) == bench.rendered(text, rows=ROWS)


@pytest.mark.parametrize("expression", ["rows", "(rows if 1 == 1 else [])"])
def test_a_list_that_is_walked_may_stay_where_it_is(bench: Any, expression: str) -> None:
    rows = Rows(ROWS)
    assert bench.expression(expression).evaluate({"rows": rows}, may_be_long=True) is rows
    assert rows.reads == 0


def test_its_length_is_known_without_reading_it(bench: Any) -> None:
    rows = Rows(ROWS)
    assert bench.value("rows | length > 2 and rows", rows=rows) == ROWS
    rows.reads = 0
    assert bench.value("rows | length", rows=rows) == 3
    assert rows.reads == 0


def test_a_filter_that_does_not_work_on_it_says_what_is_inside(bench: Any) -> None:
    listed = bench.expression_failure("rows | sum", rows=ROWS)
    assert bench.expression_failure("rows | sum", rows=Rows(ROWS)) == listed


def test_it_is_weighed_with_all_that_is_inside(bench_with: Any) -> None:
    bench = bench_with(limits=Limits(nodes=10))
    assert bench.value("rows | sort(attribute='n') | length", rows=Rows([{"n": 1}] * 5)) == 5
    assert "a value has more than 10 elements inside" in bench.failure("{{ rows }}", rows=Rows([{"n": 1}] * 6))
    assert "a value has more than 10 elements inside" in bench.failure("{{ rows }}", rows=Rows([1] * 11))
