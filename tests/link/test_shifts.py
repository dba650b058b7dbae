"""An answer that is picked by its number is told, where that number can come to mean another item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runner.link.linked import Linked

LoadAndLink = Callable[..., tuple[Any, Linked]]

FLOW = """\
inputs: {words: {type: array, items: {type: string}}}
data: {rows: {file: r.jsonl}}
steps:
  tag: {for_each: %s, prompt: x%s}
  sum: {prompt: "{{ steps.tag.texts[0] }}"%s}
"""


@pytest.mark.parametrize(
    ("items", "tag", "reader", "when"),
    [
        ("data.rows", "", "", "rows are added or change places"),
        ("inputs.words", "", "", "rows are added or change places"),
        ("data.rows", "", ", when: inputs.words", "rows are added or change places"),
        ("data.rows", ", on_error: skip", "", "an item fails"),
        ('\'["a", "b"]\'', ", on_error: skip", "", "an item fails"),
        ('\'["a", "b"]\'', ', when: item == "a"', "", "an item is skipped"),
        ('\'["a", "b"]\'', "", "", ""),
        ("'[\"a\", inputs.words[0]]'", "", "", "rows are added or change places"),
    ],
)
def test_what_shifts_positions(load_and_link: LoadAndLink, items: str, tag: str, reader: str, when: str) -> None:
    problems = load_and_link(FLOW % (items, tag, reader), None)[1].problems
    told = [problem.message for problem in problems]
    assert told == ([f"steps.tag.texts[0] is another item's answer when {when}"] if when else [])
    assert all(not problem.is_error for problem in problems)
