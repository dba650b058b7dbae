"""A question that goes on to the next model: an ordinary call with its own key, repairs and settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runner.core.model import Price
from runner.core.outcome import FailureKind, Status
from runner.plan.advance import Answered, Ask
from runner.plan.bounds import ceiling_usd
from runner.plan.plan import make_plan
from runner.plan.program import Policy, Program, StepProgram
from runner.plan.selection import select

if TYPE_CHECKING:
    from tests.plan.conftest import Flow, Talk

MakeFlow = Callable[..., "Flow"]
Talks = type["Talk"]

UNSURE = """\
steps:
  a:
    prompt: Which queue?
    temperature: 0.5
    max_output_tokens: 50
    fields: {queue: string, sure: number}
    repair: 1
    escalate: {to: scripted/strong, when: output.sure < 0.7}
"""
LADDER = """\
steps:
  a:
    prompt: Say it.
    escalate: {to: [scripted/mid, {model: scripted/top, temperature: 0.1, max_output_tokens: 900}], on: [%s]}
"""
GOOD = {"queue": "bills", "sure": 0.9}
WEAK = {"queue": "bugs", "sure": 0.2}


def asked_models(flow: Flow, *answers: Answered) -> list[str]:
    """The models that are asked in turn when these are the answers."""
    walked = flow.enter()
    models = []
    for answer in answers:
        models.append(walked.ask.call.model)
        walked.answer(answer)
    return [*models, *(ask.call.model for ask in walked.asks)]


def test_a_sure_answer_stays_with_the_first_model(make_flow: MakeFlow, talk: Talks) -> None:
    assert asked_models(make_flow(UNSURE), talk.said(GOOD)) == ["m"]


def test_an_answer_of_which_the_expression_holds_is_left_for_the_next_model(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(UNSURE).enter()
    first = walked.ask
    walked.answer(talk.said(WEAK))
    second = walked.ask
    assert (second.part, second.step, second.repair) == ("a.escalate.1", "a", 0)
    assert second.place == ("a.escalate.1", "", 0, 0)
    assert second.key != first.key
    assert second.call == replace(first.call, model="strong", temperature=None)
    walked.answer(talk.said(GOOD, model="strong-1"))
    outcome = walked.outcomes["a"]
    assert (outcome.status, outcome.output, outcome.model) == (Status.GOOD, GOOD, "strong-1")
    assert [(attempt.part, attempt.failure) for attempt in outcome.attempts] == [("", None), ("a.escalate.1", None)]


def test_the_answer_of_the_last_model_is_taken_whatever_the_expression_says(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(UNSURE).enter()
    walked.answer(talk.said(WEAK))
    walked.answer(talk.said(WEAK))
    assert (walked.asks, walked.outcomes["a"].output) == ((), WEAK)


def test_each_model_has_its_own_repairs(make_flow: MakeFlow, talk: Talks) -> None:
    misfit = talk.said({"queue": 1})
    assert asked_models(make_flow(UNSURE), misfit, misfit, misfit, talk.said(GOOD)) == ["m", "m", "strong", "strong"]


def test_a_failure_of_the_last_model_is_the_failure_of_the_step(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(LADDER % "cut").enter()
    for _ in range(3):
        walked.answer(talk.said("Half an", finish="length"))
    failure = walked.outcomes["a"].failure
    assert failure is not None
    assert failure.kind is FailureKind.CUT
    assert [attempt.part for attempt in walked.outcomes["a"].attempts] == ["", "a.escalate.1", "a.escalate.2"]


def test_a_further_model_takes_the_settings_that_are_its_own(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(LADDER % "cut").enter()
    walked.answer(talk.said("Half", finish="length"))
    assert (walked.ask.call.temperature, walked.ask.call.max_output_tokens) == (None, None)
    walked.answer(talk.said("Half", finish="length"))
    assert (walked.ask.call.temperature, walked.ask.call.max_output_tokens) == (0.1, 900)


@pytest.mark.parametrize(
    ("kind", "finish", "text"), [("cut", "length", "Half"), ("refused", "refused", "No."), ("invalid", "stop", "")]
)
def test_the_kinds_that_are_named_go_on_and_others_do_not(
    make_flow: MakeFlow, talk: Talks, kind: str, finish: str, text: str
) -> None:
    others = [other for other in ("cut", "refused", "invalid", "transport") if other != kind]
    answer = talk.said(text, finish=finish)
    assert asked_models(make_flow(LADDER % kind), answer) == ["m", "mid"]
    assert asked_models(make_flow(LADDER % ", ".join(others)), answer) == ["m"]


@pytest.mark.parametrize("kind", ["transient", "unknown-delivery", "bad-answer", "quota"])
def test_transport_means_that_the_model_could_not_be_reached(make_flow: MakeFlow, talk: Talks, kind: str) -> None:
    failure = talk.failed(FailureKind(kind))
    assert asked_models(make_flow(LADDER % "transport"), failure) == ["m", "mid"]
    assert asked_models(make_flow(LADDER % "cut"), failure) == ["m"]


@pytest.mark.parametrize("kind", ["auth", "bad-request", "needs-call", "interrupted", "budget", "storage"])
def test_what_no_other_model_can_mend_does_not_go_on(make_flow: MakeFlow, talk: Talks, kind: str) -> None:
    all_kinds = LADDER % "cut, refused, invalid, transport"
    assert asked_models(make_flow(all_kinds), talk.failed(FailureKind(kind))) == ["m"]


def test_an_answer_that_is_no_payload_goes_on_like_one_that_did_not_come(make_flow: MakeFlow, talk: Talks) -> None:
    broken = talk.said("x")
    assert broken.answer is not None
    broken = replace(broken, answer=replace(broken.answer, payload=b"<html>"))
    assert asked_models(make_flow(LADDER % "transport"), broken) == ["m", "mid"]


def test_an_expression_without_truth_is_a_failure_that_does_not_go_on(make_flow: MakeFlow, talk: Talks) -> None:
    text = (
        "steps:\n  a: {prompt: Count., fields: {n: integer}, escalate: {to: scripted/strong, when: 1 / output.n > 1}}\n"
    )
    walked = make_flow(text).enter()
    walked.answer(talk.said({"n": 0}))
    outcome = walked.outcomes["a"]
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.attempts[0].failure) == (FailureKind.RENDER, FailureKind.RENDER)


def test_samples_go_on_one_by_one(make_flow: MakeFlow, talk: Talks) -> None:
    text = LADDER.replace("prompt: Say it.", "prompt: Say it.\n    samples: 2") % "cut"
    walked = make_flow(text).enter()
    first, second = walked.asks
    walked.answer(talk.said("Half", finish="length"), second)
    again = walked.ask
    assert (again.sample, again.call.model) == (1, "mid")
    walked.answer(talk.said("two", model="mid-1"), again)
    walked.answer(talk.said("one", model="m-1"), first)
    assert (walked.outcomes["a"].output, walked.outcomes["a"].model) == (["one", "two"], "m-1")


# Stored answers


def test_a_stored_failure_that_goes_on_is_settled(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(LADDER % "cut").enter()
    walked.answer(talk.stored("Half", finish="length", failure=FailureKind.CUT))
    assert (walked.ask.part, walked.ask.must_ask) == ("a.escalate.1", False)


def test_a_stored_failure_of_the_last_model_is_asked_again(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(LADDER % "cut").enter()
    for _ in range(3):
        walked.answer(talk.stored("Half", finish="length", failure=FailureKind.CUT))
    assert (walked.ask.part, walked.ask.must_ask, walked.ask.reason) == ("a.escalate.2", True, "failed-before")


def test_a_failure_that_goes_on_is_marked_in_the_store(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(LADDER % "invalid").enter()
    move = walked.answer(talk.said(""))
    assert move.mark is not None
    assert (move.mark.failure, walked.ask.part) == (FailureKind.INVALID, "a.escalate.1")


def test_a_refresh_asks_every_model_again(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(LADDER % "cut", policy=Policy(refresh=frozenset({"a"}))).enter()
    walked.answer(talk.said("Half", finish="length"))
    assert (walked.ask.must_ask, walked.ask.reason) == (True, "forced")


def test_of_a_step_that_is_not_selected_all_models_replay(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LADDER % "cut", policy=Policy(refresh=frozenset({"*"})))
    replayed = type(flow)(select(flow.program, frozenset()))
    walked = replayed.enter()
    for _ in range(3):
        assert not walked.ask.must_ask
        walked.answer(talk.stored("Half", finish="length", failure=FailureKind.CUT))
    assert walked.outcomes["a"].status is Status.FAILED


# The plan


def priced(flow: Flow, **usd: float) -> Program:
    """The program with prices (in and out alike) for some models."""

    def with_price(step: StepProgram) -> StepProgram:
        price = Price(usd[step.route.model], usd[step.route.model])
        facts = replace(step.route.facts, price=price, max_output_tokens=100)
        return replace(step, route=replace(step.route, facts=facts))

    steps = {
        name: replace(with_price(step), parts={part: with_price(one) for part, one in step.parts.items()})
        for name, step in flow.program.steps.items()
    }
    return replace(flow.program, steps=steps)


def plan_of(flow: Flow, stored: dict[str, Answered]) -> tuple[int, int | None, int]:
    state = flow.state()
    found = {key: answered.answer for key, answered in stored.items() if answered.answer}
    plan = make_plan(state, lambda keys: {key: found[key] for key in keys if key in found}, lambda _: "new")
    return plan.calls, plan.worst_calls, plan.cached


def keys_of(flow: Flow, *answers: Answered) -> dict[str, Answered]:
    walked = flow.enter()
    found: dict[str, Answered] = {}
    for answer in answers:
        found[walked.ask.key] = answer
        walked.answer(answer)
    return found


def test_the_plan_bounds_what_further_models_may_be_asked(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(UNSURE)
    assert plan_of(flow, {}) == (1, 4, 0)
    weak = keys_of(flow, talk.stored(WEAK))
    assert plan_of(flow, weak) == (1, 2, 1)
    assert plan_of(flow, keys_of(flow, talk.stored(GOOD))) == (0, 0, 1)
    assert plan_of(flow, keys_of(flow, talk.stored(WEAK), talk.stored(WEAK))) == (0, 0, 2)


def test_the_worst_case_pays_every_model_at_its_own_price(make_flow: MakeFlow) -> None:
    program = priced(make_flow(LADDER % "cut"), m=1, mid=10, top=100)
    state = type(make_flow(LADDER % "cut"))(program).state()
    plan = make_plan(state, lambda _: {}, lambda _: "new")
    question = 2
    assert plan.least_usd == (question + 1) * 1 / 1e6
    assert plan.worst_usd == pytest.approx(((question + 100) * (1 + 10 + 100)) / 1e6)
    assert ceiling_usd(program, {}, frozenset({"a"})) == pytest.approx(plan.worst_usd)


def test_a_step_is_free_only_where_all_its_models_are(make_flow: MakeFlow) -> None:
    flow = make_flow(LADDER % "cut")
    assert ceiling_usd(priced(flow, m=0, mid=0, top=0), {}, frozenset({"a"})) == 0.0
    assert (ceiling_usd(priced(flow, m=0, mid=0, top=1), {}, frozenset({"a"})) or 0) > 0


def test_replayed_answers_ask_in_the_same_order_as_fresh_ones(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(UNSURE)
    misfit = {"queue": 1}

    def answer(ask: Ask) -> Answered:
        return talk.said(misfit if not ask.part else GOOD)

    fresh, asked = flow.run(answer)
    replayed, again = flow.run(lambda ask: talk.stored(misfit if not ask.part else GOOD))
    assert [ask.key for ask in asked] == [ask.key for ask in again]
    assert fresh.root["a"].output == replayed.root["a"].output == GOOD


def test_a_question_that_the_next_model_cannot_read_is_a_failure(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LADDER.replace("Say it.", "one two three four five six seven") % "cut")
    steps = dict(flow.program.steps)
    mid = steps["a"].parts["a.escalate.1"]
    short = replace(mid, route=replace(mid.route, facts=replace(mid.route.facts, context_tokens=2)))
    steps["a"] = replace(steps["a"], parts={**steps["a"].parts, "a.escalate.1": short})
    walked = type(flow)(replace(flow.program, steps=steps)).enter()
    walked.answer(talk.said("Half", finish="length"))
    failure = walked.outcomes["a"].failure
    assert failure is not None
    assert (failure.kind, failure.message) == (
        FailureKind.RENDER,
        "the prompt has at least 7 tokens, and scripted/mid reads at most 2",
    )
