"""Prompts that no window holds, and caps that no answer can keep to, by the least that a text takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.checks.sizes import least_tokens, without_edges
from runner.core.canonical import Json
from runner.core.long_text import Stretch

TEXT: Json = {"type": "string"}
LEAST: list[tuple[Json, int]] = [
    (True, 0),
    ({}, 0),
    (TEXT, 0),
    ({"type": "integer"}, 1),
    ({"type": ["string", "integer"]}, 0),
    ({"type": ["null", "integer"]}, 1),
    ({"const": "a"}, 1),
    ({"enum": ["a", 3]}, 1),
    ({"enum": ["a", "", "!"]}, 0),
    ({"enum": ["a", {}]}, 0),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 30}, 30),
    ({"type": "array", "minItems": 30}, 0),
    ({"type": "array", "prefixItems": [{"const": 1}, TEXT], "items": {"type": "null"}, "minItems": 4}, 3),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": TEXT}, "required": ["a"]}, 2),
    ({"type": "object", "required": ["a", "-"]}, 1),
    ({"anyOf": [{"type": "integer"}, TEXT]}, 0),
    ({"allOf": [{"type": "integer"}, {}]}, 1),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, 1),
    ({"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"],
      "$defs": {"n": {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"]}}}, 2),
]  # fmt: skip


@given(st.text("ab \n\u2003"))
def test_a_part_of_a_text_loses_the_same_words_at_its_ends_as_a_text(text: str) -> None:
    assert str(without_edges(Stretch(f"x{text}x", 1, 1 + len(text)))) == without_edges(text)


@pytest.mark.parametrize(("schema", "tokens"), LEAST)
def test_an_answer_takes_a_token_for_each_name_number_and_word(schema: Json, tokens: int) -> None:
    assert least_tokens(schema, schema) == tokens


FLOW = "steps:\n  a: {model: openai/%s, prompt: x, fields: {list: [integer], n: integer}, %s}\n"


def test_a_cap_below_the_shortest_answer_is_an_error(findings: Callable[..., str]) -> None:
    shown = findings(FLOW % ("small", "max_output_tokens: 2"))
    assert shown.splitlines()[0] == (
        "flow.yaml:2:97: cut-for-sure: step 'a' allows 2 output tokens, and an answer that fits its schema has at least 3"
    )
    assert findings(FLOW % ("small", "max_output_tokens: 3")) == ""


def test_thinking_that_counts_towards_a_low_cap_is_a_warning(findings: Callable[..., str]) -> None:
    shown = findings(FLOW % ("counting", "max_output_tokens: 300, thinking: high"))
    assert (
        "little-room: step 'a' allows 300 output tokens, and openai/counting thinks within them at level 'high'"
        in shown
    )
    assert findings(FLOW % ("counting", "max_output_tokens: 300")) == ""
    assert findings(FLOW % ("counting", "thinking: high")) == ""
    assert findings(FLOW % ("thinker", "max_output_tokens: 300, thinking: high")) == ""
    assert findings("steps: {a: {model: openai/small, prompt: x, max_output_tokens: 3}}") == ""


def test_a_prompt_whose_own_words_overflow_the_window_is_an_error(findings: Callable[..., str]) -> None:
    prompt = "one two three {{ inputs.a }} four five six, seven {% if inputs.a %}not this one{% endif %} eight 9 10 11"
    flow = "inputs: {{a: {{type: string}}}}\nsteps:\n  a: {{model: openai/short, prompt: {{file: long.md}}, system: s{0}}}\n"
    assert findings(flow.format(" t u v w x"), files={"long.md": prompt}) == (
        "long.md:1:1: over-the-window: the prompt of step 'a' has at least 13 tokens, more than openai/short can read\n"
        f"    1 | {prompt}\n"
        "      | ^\n"
        "  expected: at most 8 tokens, the answer included\n"
        "  fix:      shorten it, or choose a model with a larger window ('runner models')"
    )


def test_what_a_prompt_may_leave_out_does_not_count(findings: Callable[..., str]) -> None:
    prompt = "{% if inputs.a %}one two three four five six seven eight nine ten{% endif %} - - - - - - - - - -"
    flow = "inputs: {a: {type: string}}\nsteps:\n  a: {model: openai/short, prompt: {file: long.md}}\n"
    assert findings(flow, files={"long.md": prompt}) == ""
