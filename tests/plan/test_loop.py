"""Loops: turns with a state, each question an ordinary call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from runner.core.outcome import FailureKind, Status
from runner.plan.advance import Answered, Ask, view_of
from runner.plan.bounds import ceiling_usd
from runner.plan.plan import make_plan
from runner.plan.planned import Plan
from runner.plan.program import Policy
from runner.plan.selection import select
from runner.plan.stages import RunState

if TYPE_CHECKING:
    from tests.plan.conftest import Flow, Talk

MakeFlow = Callable[..., "Flow"]
Talks = type["Talk"]

COUNT = """\
inputs: {from: {type: integer, default: 0}}
steps:
  play:
    loop:
      max: 4
      state:
        fields: {n: integer, log: [string]}
        start: {n: {from: inputs.from}, log: []}
      steps:
        ask: {prompt: "turn {{ turn }} at {{ state.n }}", fields: {plus: integer}, repair: 1}
        say: {prompt: "say {{ steps.ask.output.plus }}"}
      next:
        n: state.n + steps.ask.output.plus
        log: state.log + [steps.say.text]
      until: state.n >= 3
  end: {prompt: "{{ steps.play.state.n }} {{ steps.play.turns | length }} {{ steps.play.last.say }} {{ steps.play.finished }}"}
"""
FOLD = """\
steps:
  play:
    loop:
      max: %d
      state: {fields: {sum: string}, start: {sum: ""}}
      steps:
        ask: {prompt: "{{ word }} after {{ state.sum }}"}
      next: {sum: state.sum ~ word}
      over: (%s)
      as: word
"""
GIVEN = {"from": 0}


def plus(number: int) -> Callable[..., Any]:
    """Every `ask` answers with this number, every `say` with what it was asked."""

    def answer(talk: Talks, ask: Ask) -> Answered:
        if "ask" in ask.part:
            return talk.said({"plus": number})
        return talk.said(f"said {ask.call.messages[0].text}")

    return answer


def run(flow: Flow, talk: Talks, answer: Callable[..., Any]) -> tuple[RunState, list[Ask]]:
    return flow.run(lambda ask: answer(talk, ask))


def test_turns_go_on_until_the_expression_holds(make_flow: MakeFlow, talk: Talks) -> None:
    state, asked = run(make_flow(COUNT, inputs=GIVEN), talk, plus(2))
    assert [(ask.step, ask.part, ask.turn, ask.call.messages[0].text) for ask in asked[:-1]] == [
        ("play", "play.ask", 1, "turn 1 at 0"),
        ("play", "play.say", 1, "say 2"),
        ("play", "play.ask", 2, "turn 2 at 2"),
        ("play", "play.say", 2, "say 2"),
    ]
    assert asked[-1].call.messages[0].text == "4 2 said say 2 true"
    outcome = state.root["play"]
    assert outcome.output == {
        "state": {"n": 4, "log": ["said say 2", "said say 2"]},
        "turns": [{"ask": {"plus": 2}, "say": "said say 2"}, {"ask": {"plus": 2}, "say": "said say 2"}],
        "finished": True,
    }


def test_reaching_the_most_turns_is_good_and_not_finished(make_flow: MakeFlow, talk: Talks) -> None:
    state, asked = run(make_flow(COUNT, inputs=GIVEN), talk, plus(0))
    assert len(asked) == 9
    assert state.root["play"].status is Status.GOOD
    assert state.root["play"].output["finished"] is False


def test_attempts_say_which_part_asked_and_in_which_turn(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(COUNT, inputs=GIVEN).enter()
    assert walked.ask.place == ("play.ask", "turn 1", 0, 0)
    move = walked.answer(talk.said({"plus": 5}))
    assert move.attempt is not None
    assert (move.attempt.part, move.attempt.turn) == ("play.ask", 1)
    assert walked.ask.place == ("play.say", "turn 1", 0, 0)
    walked.answer(talk.said("words"))
    attempts = walked.outcomes["play"].attempts
    assert [(attempt.part, attempt.turn) for attempt in attempts] == [("play.ask", 1), ("play.say", 1)]


def test_keys_that_are_not_computed_are_kept(make_flow: MakeFlow, talk: Talks) -> None:
    text = COUNT.replace("        log: state.log + [steps.say.text]\n", "")
    state, _ = run(make_flow(text, inputs=GIVEN), talk, plus(3))
    assert state.root["play"].output["state"] == {"n": 3, "log": []}


def test_a_fold_takes_one_turn_for_each_element(make_flow: MakeFlow, talk: Talks) -> None:
    state, asked = run(make_flow(FOLD % (9, '["a", "b", "c"]')), talk, plus(0))
    assert [ask.call.messages[0].text for ask in asked] == ["a after ", "b after a", "c after ab"]
    assert (state.root["play"].output["state"], state.root["play"].output["finished"]) == ({"sum": "abc"}, True)


def test_a_fold_over_more_elements_than_turns_is_not_finished(make_flow: MakeFlow, talk: Talks) -> None:
    state, asked = run(make_flow(FOLD % (2, '["a", "b", "c"]')), talk, plus(0))
    assert (len(asked), state.root["play"].output["finished"]) == (2, False)


def test_a_fold_over_nothing_asks_nothing_and_has_no_last_turn(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(FOLD % (2, "[]"))
    state, asked = run(flow, talk, plus(0))
    assert asked == []
    outcome = state.root["play"]
    assert outcome.output == {"state": {"sum": ""}, "turns": [], "finished": True}
    assert view_of(outcome, flow.program.steps["play"].linked.step) == {
        "state": {"sum": ""},
        "turns": [],
        "finished": True,
        "skipped": False,
        "failed": None,
    }


def test_a_fold_over_no_list_is_a_failure(make_flow: MakeFlow, talk: Talks) -> None:
    state, _ = run(make_flow("inputs: {x: {}}\n" + FOLD % (2, "inputs.x"), inputs={"x": 3}), talk, plus(0))
    failure = state.root["play"].failure
    assert failure is not None
    assert failure.kind is FailureKind.RENDER
    assert failure.message.endswith("'(inputs.x)' gives a number, and a list is needed")


def test_a_state_that_does_not_fit_its_schema_ends_the_loop(make_flow: MakeFlow, talk: Talks) -> None:
    text = COUNT.replace("n: state.n + steps.ask.output.plus", "n: '\"many\"'")
    state, _ = run(make_flow(text, inputs=GIVEN), talk, plus(1))
    failure = state.root["play"].failure
    assert failure is not None
    assert (failure.kind, failure.message) == (
        FailureKind.RENDER,
        'the state after turn 1 does not fit its schema: at /n expected an integer, found "many"',
    )
    assert len(state.root["play"].attempts) == 0, "kept without attempts"


def test_a_start_that_does_not_fit_asks_nothing(make_flow: MakeFlow, talk: Talks) -> None:
    state, asked = run(make_flow(COUNT, inputs={"from": "x"}), talk, plus(1))
    failure = state.root["play"].failure
    assert failure is not None
    assert asked == []
    assert failure.message == (
        'the state before the first turn does not fit its schema: at /n expected an integer, found "x"'
    )


def test_an_expression_that_fails_between_turns_names_its_place_and_the_turn(make_flow: MakeFlow, talk: Talks) -> None:
    text = COUNT.replace("until: state.n >= 3", "until: 1 / state.n > 1")
    state, _ = run(make_flow(text, inputs=GIVEN), talk, plus(0))
    failure = state.root["play"].failure
    assert failure is not None
    assert failure.kind is FailureKind.RENDER
    assert failure.message.startswith("flow.yaml:15:14: turn 1: ")


def test_a_failure_in_a_turn_is_that_of_the_loop(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(COUNT, inputs=GIVEN).enter()
    walked.answer(talk.said({"plus": 1}, finish="length"))
    outcome = walked.outcomes["play"]
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.failure.message) == (
        FailureKind.CUT,
        "turn 1, step 'ask': the answer was cut off (length)",
    )


@pytest.mark.parametrize("kind", ["interrupted", "budget", "not-selected", "needs-call"])
def test_what_is_no_fault_of_the_turn_is_told_as_it_is(make_flow: MakeFlow, talk: Talks, kind: str) -> None:
    walked = make_flow(COUNT, inputs=GIVEN).enter()
    walked.answer(talk.failed(FailureKind(kind), "why", requests=0))
    outcome = walked.outcomes["play"]
    assert outcome.failure is not None
    assert outcome.failure.message == "why"
    assert outcome.status is (Status.FAILED if kind == "needs-call" else Status.BLOCKED)


def test_steps_of_a_turn_may_be_skipped(make_flow: MakeFlow, talk: Talks) -> None:
    text = COUNT.replace("        say: {", "        say: {when: turn == 2, ").replace(
        "steps.say.text]", "steps.say.text | default('-')]"
    )
    state, asked = run(make_flow(text, inputs=GIVEN), talk, plus(2))
    assert [ask.part for ask in asked] == ["play.ask", "play.ask", "play.say", ""]
    assert state.root["play"].output["state"]["log"] == ["-", "said say 2"]
    assert state.root["play"].output["turns"][0] == {"ask": {"plus": 2}, "say": None}


def test_a_loop_in_which_nothing_is_asked_still_ends(make_flow: MakeFlow, talk: Talks) -> None:
    text = FOLD % (9, '["a", "b"]')
    state, asked = run(make_flow(text.replace("prompt:", "when: false, prompt:")), talk, plus(0))
    assert asked == []
    assert state.root["play"].output == {"state": {"sum": "ab"}, "turns": [{"ask": None}] * 2, "finished": True}


def test_repairs_and_further_models_belong_to_the_question_of_the_turn(make_flow: MakeFlow, talk: Talks) -> None:
    text = COUNT.replace("repair: 1", "repair: 1, escalate: {to: scripted/top}")
    walked = make_flow(text, inputs=GIVEN).enter()
    asked = []
    for _ in range(3):
        asked.append((walked.ask.part, walked.ask.repair, walked.ask.call.model, walked.ask.turn))
        walked.answer(talk.said({"plus": "x"}))
    assert asked == [
        ("play.ask", 0, "m", 1),
        ("play.ask", 1, "m", 1),
        ("play.ask.escalate.1", 0, "top", 1),
    ]
    assert (walked.ask.part, walked.ask.repair) == ("play.ask.escalate.1", 1)
    walked.answer(talk.said({"plus": 9}))
    assert walked.ask.part == "play.say"


def test_one_loop_runs_for_each_item(make_flow: MakeFlow, talk: Talks) -> None:
    text = """\
data: {rows: {file: r.jsonl}}
steps:
  play:
    for_each: data.rows
    loop:
      max: 2
      state: {fields: {s: string}, start: {s: {from: item.w}}}
      steps: {ask: {prompt: "{{ item.w }} {{ state.s }}"}}
      next: {s: steps.ask.text}
  all: {prompt: "{{ steps.play.outputs | map(attribute='state') | map(attribute='s') | join(',') }}"}
"""
    state, asked = make_flow(text).run(
        lambda ask: talk.said(str(ask.call.messages[0].text) + "!"), {"rows": [{"w": "a"}, {"w": "b"}]}
    )
    assert len(asked) == 5
    assert asked[-1].call.messages[0].text == "a a a!!,b b b!!"
    assert len({ask.place for ask in asked}) == 5
    assert state.tallies["play"].good == 2


def test_a_step_outside_is_hidden_by_one_of_the_turn(make_flow: MakeFlow, talk: Talks) -> None:
    text = """\
steps:
  ask: {prompt: outer}
  other: {prompt: other}
  play:
    loop:
      max: 1
      state: {fields: {s: string}, start: {s: {from: steps.ask.text}}}
      steps: {ask: {prompt: "inner {{ steps.other.text }}"}}
      next: {s: state.s ~ steps.ask.text}
"""
    state, asked = make_flow(text).run(lambda ask: talk.said(f"<{ask.call.messages[0].text}>"))
    assert state.root["play"].output["state"] == {"s": "<outer><inner <other>>"}
    assert asked[-1].ingredients["upstream"] == {"other": {"text": "<other>", "skipped": False, "failed": None}}


def test_what_a_turn_carries_is_an_ingredient(make_flow: MakeFlow, talk: Talks) -> None:
    _, asked = run(make_flow(FOLD % (9, '["a"]')), talk, plus(0))
    assert asked[0].ingredients["upstream"] == {"state": {"sum": ""}, "word": "a"}


def test_a_skipped_need_skips_the_loop(make_flow: MakeFlow, talk: Talks) -> None:
    text = "steps:\n  a: {when: false, prompt: x}\n" + (FOLD % (9, "[steps.a.text]")).removeprefix("steps:\n")
    state, asked = run(make_flow(text), talk, plus(0))
    assert (asked, state.root["play"].status) == ([], Status.SKIPPED)


# Stored answers and the plan


def stored_after(flow: Flow, talk: Talks, answer: Callable[..., Any], count: int) -> dict[str, Any]:
    """What is stored after so many answers."""
    _, asked = run(flow, talk, answer)
    return {ask.key: answer(talk, ask).answer for ask in asked[:count]}


def plan_with(flow: Flow, stored: dict[str, Any]) -> Plan:
    return make_plan(flow.state(), lambda keys: {key: stored[key] for key in keys if key in stored}, lambda _: "new")


def test_the_plan_counts_the_turns_that_may_follow(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(COUNT, inputs=GIVEN)
    first = plan_with(flow, {})
    assert (first.calls, first.cached, first.steps[0].may_calls, first.steps[0].after) == (1, 0, 11, ("play",))
    second = plan_with(flow, stored_after(flow, talk, plus(1), 1))
    assert (second.calls, second.cached, second.steps[0].may_calls) == (1, 1, 9)
    whole = plan_with(flow, stored_after(flow, talk, plus(2), 4))
    assert [(step.step, step.calls, step.cached) for step in whole.steps] == [("play", 0, 4), ("end", 1, 0)]


def test_what_reads_a_loop_is_known_after_it(make_flow: MakeFlow) -> None:
    plan = plan_with(make_flow(COUNT, inputs=GIVEN), {})
    assert [(step.step, step.after) for step in plan.steps] == [("play", ("play",)), ("end", ("play",))]
    assert plan.steps[0].model == "scripted/m"
    assert plan.worst_usd is None
    assert ceiling_usd(make_flow(COUNT, inputs=GIVEN).program, {}, frozenset({"play"})) is None


def test_a_loop_that_is_not_reached_is_bounded_by_its_turns(make_flow: MakeFlow) -> None:
    text = "steps:\n  a: {prompt: x}\n" + (FOLD % (7, "[steps.a.text]")).removeprefix("steps:\n")
    plan = plan_with(make_flow(text), {})
    assert [(step.step, step.calls, step.may_calls) for step in plan.steps] == [("a", 1, 0), ("play", 0, 7)]


def test_a_refresh_of_a_loop_asks_all_of_it_again(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(COUNT, inputs=GIVEN, policy=Policy(refresh=frozenset({"play"})))
    _, asked = run(flow, talk, plus(2))
    assert [ask.reason for ask in asked] == ["forced"] * 4 + [""]


def test_stored_failures_in_a_loop_replay_where_they_are_absorbed(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(COUNT.replace("    loop:", "    on_error: skip\n    loop:"), inputs=GIVEN).enter()
    walked.answer(talk.stored({"plus": 1}, finish="length", failure=FailureKind.CUT))
    assert walked.outcomes["play"].status is Status.FAILED


def test_a_loop_that_is_not_selected_replays(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(COUNT, inputs=GIVEN, policy=Policy(refresh=frozenset({"*"})))
    replayed = type(flow)(select(flow.program, frozenset({"end"})))
    _, asked = run(replayed, talk, plus(2))
    assert [ask.must_ask for ask in asked] == [False] * 4 + [True]
