"""What a loop may come to at most is said in calls and in dollars before its turns are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from runner.core.model import ModelFacts, Price
from runner.plan.estimate import REPAIR_TOKENS
from runner.plan.plan import make_plan
from runner.plan.planned import StepPlan

if TYPE_CHECKING:
    from tests.plan.conftest import Flow

MakeFlow = Callable[..., "Flow"]

LOOP = """\
inputs: {parts: {type: array, default: [a, b]}}
steps:
  first: {prompt: begin}
  play:
    %(more)s
    loop:
      max: 4
      state: {%(state)s}
      steps:
        ask: {prompt: "%(prompt)s", repair: %(repair)d}
        say: {prompt: "{{ steps.ask.text }}"}
      next: {}
      %(ends)s
"""
DEFAULTS = {
    "more": "description: plays",
    "state": "schema: {type: object, properties: {a: {enum: [x, y]}}, additionalProperties: false}, start: {a: x}",
    "prompt": "turn",
    "repair": 0,
    "ends": "until: turn > 2",
}
CAP = 50
WINDOW = 1000


def made(make_flow: MakeFlow, *, inputs: Any = None, window: int | None = None, **changes: Any) -> Flow:
    """The flow with a model that costs a dollar for a million tokens, in and out."""
    flow = make_flow(LOOP % {**DEFAULTS, **changes}, inputs=inputs or {"parts": ["a", "b"]})
    facts = ModelFacts("scripted", "m", price=Price(1, 1), max_output_tokens=CAP, context_tokens=window)

    def priced(step: Any) -> Any:
        parts = {name: replace(part, route=replace(part.route, facts=facts)) for name, part in step.parts.items()}
        turn = {name: priced(one) for name, one in step.turn.items()}
        return replace(step, route=replace(step.route, facts=facts), parts=parts, turn=turn)

    steps = {name: priced(step) for name, step in flow.program.steps.items()}
    return type(flow)(replace(flow.program, steps=steps))


def play(flow: Flow) -> StepPlan:
    return make_plan(flow.state(), lambda _: {}, lambda _: "new").steps[1]


def millionths(step: StepPlan) -> int | None:
    return None if step.worst_usd is None else round(step.worst_usd * 1e6)


FIRST = 1 + CAP  # "turn" has four bytes
SAY = -(-len("{{ steps.ask.text }}") // 4) + CAP + CAP


def test_all_turns_that_may_follow_have_a_price(make_flow: MakeFlow) -> None:
    each = (1 + 5 // 4 + 1) + CAP + SAY
    found = play(made(make_flow))
    assert (found.calls, found.may_calls) == (1, 7)
    assert millionths(found) == FIRST + SAY + 3 * each


def test_repairs_of_a_turn_are_in_the_price(make_flow: MakeFlow) -> None:
    found = play(made(make_flow, repair=1))
    again = CAP + REPAIR_TOKENS + CAP
    each = 3 + CAP + (3 + again) + SAY
    assert (found.calls, found.may_calls) == (1, 11)
    assert millionths(found) == FIRST + (1 + again) + SAY + 3 * each


def test_a_state_is_as_large_as_its_schema_allows(make_flow: MakeFlow) -> None:
    prompt = "{{ state.a }}"
    state = -(-len('{"a":"x",}') // 4)
    text = -(-len(prompt) // 4)
    found = play(made(make_flow, prompt=prompt))
    assert millionths(found) == (1 + CAP) + SAY + 3 * (text + state + CAP + SAY)


@pytest.mark.parametrize(
    ("prompt", "state"),
    [
        ("{{ state.a }}", "fields: {a: string}, start: {a: x}"),
        ("{% for one in [1] %}x{% endfor %}", DEFAULTS["state"]),
    ],
)
def test_what_has_no_bound_is_no_longer_than_the_model_can_read(make_flow: MakeFlow, prompt: str, state: str) -> None:
    assert play(made(make_flow, prompt=prompt, state=state)).worst_usd is None
    found = play(made(make_flow, prompt=prompt, state=state, window=WINDOW))
    assert millionths(found) == (1 + CAP) + SAY + 3 * (WINDOW + CAP + SAY)


def test_a_loop_that_is_not_begun_is_priced_by_all_its_turns(make_flow: MakeFlow) -> None:
    found = play(made(make_flow, more="when: steps.first.text == 'x'"))
    assert (found.calls, found.may_calls, millionths(found)) == (0, 8, 4 * (3 + CAP + SAY))


def test_answers_outside_are_read_at_their_longest(make_flow: MakeFlow) -> None:
    prompt = "{{ steps.first.text }}"
    found = play(made(make_flow, prompt=prompt))
    text = -(-len(prompt) // 4)
    assert (found.calls, found.may_calls, millionths(found)) == (0, 8, 4 * (text + CAP + CAP + SAY))


@pytest.mark.parametrize(
    ("ends", "turns"),
    [
        ("over: inputs.parts\n      as: part", 2),
        ("over: inputs.parts + inputs.parts + inputs.parts\n      as: part", 4),
        ("over: inputs.parts | first\n      as: part", 4),
        ("over: inputs.parts[7]\n      as: part", 4),
        ("over: inputs.parts + [steps.first.text]\n      as: part", 4),
    ],
)
def test_a_list_that_is_known_bounds_the_turns(make_flow: MakeFlow, ends: str, turns: int) -> None:
    found = play(made(make_flow, more="when: steps.first.text == 'x'", ends=ends))
    assert (found.calls, found.may_calls) == (0, 2 * turns)


def test_an_element_has_no_bound_of_its_own(make_flow: MakeFlow) -> None:
    ends = "over: inputs.parts\n      as: part"
    assert play(made(make_flow, prompt="{{ part }}", ends=ends)).worst_usd is None
