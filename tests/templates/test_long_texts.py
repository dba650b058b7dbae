"""Texts of megabytes are not copied: neither out of their file, nor into the rendered prompt."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.long_text import LongText, Stretch

LINE = "The road went on past the mill; nobody saw it.\n"
LONG = LINE * 60_000
SOME = LINE * 300  # more than is written into code, less than what stays in pieces


def test_a_long_prompt_with_an_input_shares_the_text_of_its_file(bench: Any) -> None:
    text = f"{LONG}{{{{ inputs.question }}}}\n"
    rendered = bench.compiled(text).render_in_pieces({"inputs": {"question": "Where?"}})
    assert isinstance(rendered, LongText)
    assert rendered.pieces[0].text is text
    assert str(rendered) == f"{LONG}Where?"


def test_a_long_value_is_shared_by_the_prompt(bench: Any) -> None:
    rendered = bench.compiled("Read {{ item.text }} now").render_in_pieces({"item": {"text": LONG}})
    assert isinstance(rendered, LongText)
    assert [piece.text is LONG for piece in rendered.pieces] == [False, True, False]
    assert str(rendered) == f"Read {LONG} now"


def test_a_prompt_is_whole_where_a_text_is_asked_for(bench: Any) -> None:
    assert bench.rendered(f"{LONG}{{{{ x }}}}", x=1) == f"{LONG}1"
    assert bench.compiled("{{ x }}").render_in_pieces({"x": "short"}) == "short"
    assert bench.compiled(f"{SOME}{{{{ x }}}}").render_in_pieces({"x": "short"}) == f"{SOME}short"


@pytest.mark.parametrize(
    "text",
    [
        "{% include 'some.md' %}{{ x }}",
        "{% set kept %}{% include 'some.md' %}{{ x }}{% endset %}{{ kept }}",
        "{% from 'macro.md' import all with context %}{{ all() }}{{ x }}",
        "{% block b %}{% include 'some.md' %}{{ x }}{% endblock %}",
        "{% filter upper %}{% include 'some.md' %}{% endfilter %}",
    ],
)
def test_a_long_text_is_found_wherever_it_is_brought_in(bench_with: Any, text: str) -> None:
    made = bench_with({"some.md": f"{SOME}!", "macro.md": f"{{% macro all() %}}{SOME}!{{% endmacro %}}"})
    expected = f"{SOME}!".upper() if "upper" in text else f"{SOME}!1"
    assert made.rendered(text, x=1) == expected


def test_a_mistake_behind_a_long_text_is_shown_at_its_place(bench: Any) -> None:
    assert bench.problems(f"{SOME}ab {{{{ x.y. }}}}").startswith("p.md:301:12: template-syntax: ")


def test_the_literals_of_a_long_prompt_are_parts_of_its_text(bench: Any) -> None:
    text = f"{LONG}{{{{ x }}}} end"
    assert bench.compiled(text).literals == (Stretch(text, 0, len(LONG)), " end")
