"""What the texts of a loop see, and what is known of it outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.link.linked import Linked

LinkText = Callable[..., Linked]
Complain = Callable[..., str]

LOOP = """\
inputs: {goal: {type: string, default: x}}
steps:
  outer: {prompt: x, fields: {words: [string]}}
  play:
    %(beside)s
    loop:
      max: 3
      state:
        fields: {n: integer, log: [string]}
        start: {n: 0, log: {from: steps.outer.output.words}}
      steps:
        ask: {prompt: "%(prompt)s", fields: {plus: integer, why: string?}}
        say: {prompt: "{{ steps.ask.output.plus }}"}
      next: {n: "%(next)s"}
      %(until)s
  end: {prompt: "%(end)s"}
"""
DEFAULTS = {
    "beside": "description: plays",
    "prompt": "{{ state.n }} {{ turn }} {{ inputs.goal }}",
    "next": "state.n + steps.ask.output.plus",
    "until": "until: state.n > 3",
    "end": "{{ steps.play.state.log }} {{ steps.play.turns[0].ask.plus }} {{ steps.play.last.say }}",
}


def text(**others: str) -> str:
    return LOOP % {**DEFAULTS, **others}


def test_a_loop_needs_what_its_texts_read_of_the_workflow(linked: LinkText) -> None:
    found = linked(text(prompt="{{ steps.outer.output.words }} {{ state.n }}"))
    play = found.steps["play"]
    assert play.needs == play.hard == {"outer"}
    assert play.loop is not None
    assert play.loop.steps["say"].needs == {"ask"}
    assert play.loop.steps["ask"].needs == set()
    assert play.loop.steps["ask"].answers == {"outer"}
    assert play.loop.steps["ask"].carried == {"state"}
    assert found.steps["end"].needs == {"play"}
    assert [stage.steps for stage in found.stages] == [("outer",), ("play",), ("end",)]
    assert list(found.questions) == ["outer", "play.ask", "play.say", "end"]


def test_paths_into_state_and_turns_have_types(linked: LinkText) -> None:
    found = linked(text(prompt="{{ turn }} {{ state.n }}", until="over: steps.outer.output.words\n      as: word"))
    titles = {reading.subject.title: reading.typed.kind for reading in found.typing.readings}
    assert titles["the state of 'play'"] == "value"
    assert titles["the number of the turn"] == "value"
    assert titles["the turns of 'play'"] == "value"
    assert titles["the last turn of 'play'"] == "value"
    assert titles["the output of 'play.ask'"] == "value"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"end": "{{ steps.play.output }}"}, "step 'end' reads steps.play.output, but 'play' is a loop"),
        ({"end": "{{ steps.play.model }}"}, "step 'end' reads steps.play.model, but 'play' is a loop"),
        ({"end": "{{ steps.ask.output }}"}, "step 'end' reads step 'ask', but no step has that name"),
        ({"end": "{{ steps.outer.state }}"}, "step 'end' reads steps.outer.state, but 'outer' is no loop"),
        ({"end": "{{ state.n }}"}, "step 'end' reads 'state', which exists only inside a loop"),
        ({"end": "{{ turn }}"}, "step 'end' reads 'turn', which exists only inside a loop"),
        ({"prompt": "{{ steps.ask.text }}"}, "step 'play.ask' reads steps.ask.text, but 'ask' has a schema"),
        ({"prompt": "{{ steps.say.text }}"}, "steps need each other in a circle: ask → say → ask"),
        ({"prompt": "{{ steps.play.state }}"}, "step 'play' needs itself"),
        ({"next": "steps.ask.text"}, "next of step 'play' reads steps.ask.text, but 'ask' has a schema"),
        ({"until": "until: states.n"}, "until of step 'play' reads 'states', but there is no such name here"),
        ({"until": "over: inputs.gaol\n      as: word"}, "step 'play' reads input 'gaol', but no input has that name"),
    ],
)
def test_a_wrong_name_is_told(complaints: Complain, changed: dict[str, str], message: str) -> None:
    assert message in complaints(text(**changed))


def test_the_steps_of_a_loop_see_the_item_and_the_element(linked: LinkText) -> None:
    found = linked(
        """\
        data: {rows: {file: r.jsonl, schema: {type: object, properties: {ws: {type: array, items: {type: string}}}, required: [ws]}}}
        steps:
          play:
            for_each: data.rows
            as: row
            loop:
              max: 3
              state: {fields: {s: string}, start: {s: {literal: "{from: x}"}}}
              steps: {ask: {prompt: "{{ row.ws }} {{ word }} {{ item.ws[0] }}", when: word != "", fields: {a: string}}}
              next: {s: steps.ask.output.a | default("")}
              over: row.ws
              as: word
          end: {prompt: "{{ steps.play.outputs | length }}"}
          next: {for_each: data.rows, prompt: "{{ steps.play.turns | length }} {{ steps.play.state.s }}"}
        """
    )
    play = found.steps["play"]
    assert play.loop is not None
    ask = play.loop.steps["ask"]
    assert ask.lane == "data.rows"
    assert ask.item_fields == {"ws"}
    assert ask.carried == {"word"}
    assert found.steps["end"].barriers == {"play"}
    assert found.steps["next"].needs == {"play"}


def test_an_answer_with_references_is_any_in_its_turn(linked: LinkText) -> None:
    schema = '{$defs: {a: {type: string}}, type: object, properties: {x: {$ref: "#/$defs/a"}}, required: [x]}'
    found = linked(
        text(end="{{ steps.play.last.ask.x.y }}")
        .replace("fields: {plus: integer, why: string?}", f"schema: {schema}")
        .replace("steps.ask.output.plus", "steps.ask.output.x | length")
    )
    (reading,) = [one for one in found.typing.readings if one.subject.title == "the last turn of 'play'"]
    assert reading.typed.kind == "any"


def test_a_broken_state_schema_is_told_once_and_nothing_is_said_of_the_state(complaints: Complain) -> None:
    broken = text(end="x").replace("fields: {n: integer, log: [string]}", "schema: {type: strange}")
    assert complaints(broken).count("strange") == 2


def test_a_start_may_be_computed_inside_mappings_and_lists(linked: LinkText) -> None:
    flow = LOOP.replace("fields: {n: integer, log: [string]}", "schema: {type: object}")
    flow = flow.replace("log: {from: steps.outer.output.words}", "log: {a: [{from: inputs.goal}], b: 1}")
    play = linked(flow % {**DEFAULTS, "end": "x"}).steps["play"]
    assert play.loop is not None
    assert play.loop.start["log"]({"inputs": {"goal": "win"}, "steps": {}}) == {"a": ["win"], "b": 1}
