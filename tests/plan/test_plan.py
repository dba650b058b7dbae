"""The plan follows stored answers as far as they lead, and bounds what lies behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.answer import StoredAnswer
from runner.core.canonical import Json
from runner.core.model import ModelFacts, Price
from runner.core.outcome import FailureKind
from runner.dialects import DIALECTS
from runner.plan.advance import Answered, Ask
from runner.plan.estimate import REPAIR_TOKENS, History
from runner.plan.plan import KEPT_CALLS, make_plan
from runner.plan.planned import Fate, Plan, PlannedCall, StepPlan
from runner.plan.program import Policy

if TYPE_CHECKING:
    from tests.plan.conftest import Flow, Talk

MakeFlow = Callable[..., "Flow"]
Talks = type["Talk"]
Rows: TypeAlias = Mapping[str, Sequence[Json]]
Stored: TypeAlias = Mapping[str, StoredAnswer]

CHAIN = """\
steps:
  a: {prompt: first}
  b: {prompt: "{{ steps.a.text }}"}
  c: {prompt: "{{ steps.b.text }}"}
"""
LANE = """\
data: {rows: {file: r.jsonl}}
steps:
  tag: {for_each: data.rows, prompt: "{{ item }}"%s}
"""
TWO_STAGES = """\
data: {rows: {file: r.jsonl}}
steps:
  tag: {for_each: data.rows, prompt: "tag {{ item }}"}
  sum: {prompt: "sum {{ steps.tag.texts }}"}
  say: {for_each: data.rows, prompt: "say {{ steps.tag.text }} of {{ steps.sum.text }}"}
  end: {for_each: data.rows, prompt: "end {{ steps.say.text }}"}
"""
LIST = """\
steps:
  a: {prompt: name some, fields: {words: [string]}}
  b: {for_each: steps.a.output.words, prompt: "{{ item }}", max_output_tokens: 10}
  c: {prompt: "{{ steps.b.texts }}", max_output_tokens: 10}
"""


def plan(
    flow: Flow, stored: Stored | None = None, data: Rows | None = None, history: Mapping[str, History] | None = None
) -> Plan:
    def lookup(keys: Sequence[str]) -> Stored:
        return {key: answer for key, answer in (stored or {}).items() if key in keys}

    return make_plan(flow.state(data), lookup, lambda _: "new", history)


def lines(found: Plan) -> dict[str, StepPlan]:
    return {step.step: step for step in found.steps}


def remembered(
    flow: Flow,
    answer: Callable[[Ask], Answered],
    data: Rows | None = None,
    keep: Callable[[Ask], bool] = lambda _: True,
) -> dict[str, StoredAnswer]:
    """What a whole run leaves in the store, or some of it."""
    _, asked = flow.run(lambda ask: replace(answer(ask), is_todays=True), data)
    answers = {ask.key: answer(ask).answer for ask in asked if keep(ask)}
    return {key: found for key, found in answers.items() if found is not None}


def with_facts(flow: Flow, price: Price | None = None, cap: int | None = None) -> Flow:
    """The same workflow with a model that costs something, or has a cap."""
    facts = ModelFacts("scripted", "m", price=price, max_output_tokens=cap)
    steps = {name: replace(step, route=replace(step.route, facts=facts)) for name, step in flow.program.steps.items()}
    return type(flow)(replace(flow.program, steps=steps))


# What is certain, and what is known only after it


def test_the_first_call_of_a_chain_is_certain_and_all_others_wait_for_it(make_flow: MakeFlow) -> None:
    found = plan(make_flow(CHAIN))
    assert [(step.step, step.fate, step.calls, step.may_calls, step.after) for step in found.steps] == [
        ("a", Fate.CALL, 1, 0, ()),
        ("b", Fate.MAY_CALL, 0, 1, ("a",)),
        ("c", Fate.MAY_CALL, 0, 1, ("a",)),
    ]
    assert (found.calls, found.cached) == (1, 0)


def test_a_chain_is_followed_through_stored_answers(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(CHAIN)
    stored = remembered(flow, lambda ask: talk.stored(ask.step), keep=lambda ask: ask.step == "a")
    found = plan(flow, stored)
    assert [(step.step, step.fate, step.after) for step in found.steps] == [
        ("a", Fate.CACHED, ()),
        ("b", Fate.CALL, ()),
        ("c", Fate.MAY_CALL, ("b",)),
    ]
    (asked,) = found.asked
    assert isinstance(asked, PlannedCall)
    assert (asked.ask.step, asked.ask.call.messages[0].text, asked.reason) == ("b", "a", "new")


def test_a_run_whose_answers_are_all_stored_calls_nothing(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(TWO_STAGES)
    rows = {"rows": ["x", "y"]}
    found = plan(flow, remembered(flow, lambda ask: talk.stored(ask.item + ask.step), rows), rows)
    assert {step.fate for step in found.steps} == {Fate.CACHED}
    assert (found.calls, found.worst_calls, found.cached, found.cost_usd, found.worst_usd) == (0, 0, 7, 0.0, 0.0)


def test_items_are_followed_each_for_itself_down_a_lane_as_far_as_a_barrier(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(TWO_STAGES)
    rows = {"rows": ["x", "y"]}
    stored = remembered(flow, lambda ask: talk.stored(ask.step), rows, lambda ask: ask.call.messages[0].text != "tag y")
    steps = lines(plan(flow, stored, rows))
    assert (steps["tag"].cached, steps["tag"].calls) == (1, 1)
    assert (steps["sum"].fate, steps["sum"].after) == (Fate.MAY_CALL, ("tag",))
    assert (steps["say"].items, steps["say"].calls, steps["say"].after) == (2, 0, ("tag",))
    assert (steps["end"].items, steps["end"].calls, steps["end"].after) == (2, 0, ("tag",))


def test_a_step_waits_for_the_call_before_it_in_its_own_lane(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(TWO_STAGES)
    rows = {"rows": ["x", "y"]}
    answers = remembered(
        flow, lambda ask: talk.stored(ask.step + ask.item), rows, lambda ask: ask.step in ("tag", "sum")
    )
    steps = lines(plan(flow, answers, rows))
    assert (steps["say"].fate, steps["say"].calls) == (Fate.CALL, 2)
    assert (steps["end"].fate, steps["end"].calls, steps["end"].may_calls, steps["end"].after) == (
        Fate.MAY_CALL,
        0,
        2,
        ("say",),
    )


def test_equal_questions_of_several_items_are_one_call(make_flow: MakeFlow) -> None:
    found = plan(make_flow(LANE % ""), data={"rows": ["x", "y", "x"]})
    assert (found.steps[0].items, found.calls, len(found.asked)) == (3, 2, 2)


def test_equal_questions_are_asked_each_where_nothing_is_kept(make_flow: MakeFlow) -> None:
    flow = make_flow(LANE % "", policy=Policy(use_cache=False))
    found = plan(flow, data={"rows": ["x", "x"]})
    assert (found.calls, found.steps[0].reasons) == (2, {"off": 2})


def test_what_is_to_be_asked_anew_is_not_looked_up(make_flow: MakeFlow, talk: Talks) -> None:
    stored = remembered(make_flow(CHAIN), lambda ask: talk.stored(ask.step))
    found = plan(make_flow(CHAIN, policy=Policy(refresh=frozenset({"b"}))), stored)
    steps = lines(found)
    assert [step.fate for step in found.steps] == [Fate.CACHED, Fate.CALL, Fate.MAY_CALL]
    assert (steps["b"].reasons, steps["c"].after) == ({"forced": 1}, ("b",))


def test_a_stored_failure_is_asked_again_and_says_so(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow("steps:\n  a: {prompt: x}\n")
    stored = remembered(flow, lambda _: talk.stored("", failure=FailureKind.REFUSED, finish="refused"))
    found = plan(flow, stored)
    assert (found.calls, dict(found.steps[0].reasons)) == (1, {"failed-before": 1})


# What needs no call


def test_a_step_whose_condition_does_not_hold_is_skipped(make_flow: MakeFlow) -> None:
    text = "steps:\n  a: {prompt: x, when: inputs.on}\ninputs: {on: {type: boolean}}\n"
    (step,) = plan(make_flow(text, inputs={"on": False})).steps
    assert (step.fate, step.skipped, step.calls, step.may_calls) == (Fate.SKIPPED, 1, 0, 0)


def test_a_step_that_reads_a_failure_cannot_run(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(CHAIN, policy=Policy(is_final=True))
    stored = remembered(flow, lambda _: talk.stored("", failure=FailureKind.REFUSED, finish="refused"))
    found = plan(flow, stored)
    assert [(step.fate, step.failed) for step in found.steps] == [
        (Fate.CACHED, 1),
        (Fate.CANNOT_RUN, 1),
        (Fate.CANNOT_RUN, 1),
    ]
    assert found.calls == 0


def test_a_list_without_elements_asks_nothing(make_flow: MakeFlow) -> None:
    (step,) = plan(make_flow(LANE % ""), data={"rows": []}).steps
    assert (step.fate, step.items, step.may_calls) == (Fate.NOTHING, 0, 0)


# Lists that are not known


def test_a_list_that_an_answer_brings_is_not_known_before_it(make_flow: MakeFlow) -> None:
    found = plan(make_flow(LIST))
    steps = lines(found)
    assert (steps["b"].fate, steps["b"].items, steps["b"].may_calls) == (Fate.MAY_CALL, None, None)
    assert (steps["b"].after, steps["c"].after) == (("a",), ("a",))
    assert (found.calls, found.worst_calls) == (1, None)


def test_a_list_that_a_stored_answer_brings_is_walked(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LIST)
    answers = {"a": {"words": ["x", "y"]}}
    stored = remembered(flow, lambda ask: talk.stored(answers.get(ask.step, "z")), keep=lambda ask: ask.step == "a")
    steps = lines(plan(flow, stored))
    assert (steps["b"].items, steps["b"].calls) == (2, 2)
    assert (steps["c"].items, steps["c"].may_calls, steps["c"].after) == (1, 1, ("b",))


def test_the_worst_case_of_an_unknown_list_has_no_price_unless_it_is_free(make_flow: MakeFlow) -> None:
    flow = make_flow(LIST)
    assert plan(with_facts(flow, Price(1, 1), 100)).worst_usd is None
    assert plan(with_facts(flow, Price(0, 0))).worst_usd == 0.0


# Repairs and samples


def test_every_sample_is_a_call_and_every_repair_may_be_one(make_flow: MakeFlow) -> None:
    text = 'steps:\n  a: {prompt: x, samples: 3, repair: 2}\n  b: {prompt: "{{ steps.a.samples }}", samples: 2, repair: 1}\n'
    found = plan(make_flow(text))
    steps = lines(found)
    assert (steps["a"].calls, steps["a"].may_calls) == (3, 6)
    assert (steps["b"].calls, steps["b"].may_calls) == (0, 4)
    assert found.worst_calls == 13


def test_a_stored_answer_that_does_not_fit_leads_to_its_repair(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow("steps:\n  a: {prompt: x, fields: {n: integer}, repair: 3}\n")
    stored = remembered(
        flow, lambda ask: talk.stored({"n": 1 if ask.repair else "one"}), keep=lambda ask: ask.repair == 0
    )
    (step,) = plan(flow, stored).steps
    assert (step.cached, step.calls, step.may_calls) == (1, 1, 2)


# Reasons and the calls that are kept


def test_only_the_first_calls_and_reasons_are_kept_in_full(make_flow: MakeFlow) -> None:
    flow = make_flow(LANE % "")
    rows = {"rows": [f"r{number}" for number in range(KEPT_CALLS + 3)]}
    found = make_plan(flow.state(rows), lambda _: {}, lambda ask: f"data: {ask.item}")
    assert (found.calls, len(found.asked)) == (KEPT_CALLS + 3, KEPT_CALLS)
    assert found.steps[0].reasons["data"] == 3
    assert len(found.steps[0].reasons) == KEPT_CALLS + 1


# Money


ONE = "steps:\n  a: {prompt: abcdefgh, repair: 1, max_output_tokens: 50}\n"


def test_without_a_price_no_cost_is_told(make_flow: MakeFlow) -> None:
    found = plan(make_flow(ONE))
    assert (found.cost_usd, found.worst_usd, found.least_usd) == (None, None, 0.0)
    assert [(step.is_unpriced, step.may_be_asked) for step in found.steps] == [(True, True)]


def test_a_free_model_costs_nothing(make_flow: MakeFlow) -> None:
    found = plan(with_facts(make_flow(ONE), Price(0, 0)))
    assert (found.cost_usd, found.worst_usd) == (0.0, 0.0)


def test_a_certain_call_costs_its_question_and_at_most_its_cap(make_flow: MakeFlow) -> None:
    found = plan(with_facts(make_flow(ONE), Price(1, 10)))
    (step,) = found.steps
    assert (step.input_tokens, step.output_tokens, step.is_measured) == (2, 50, False)
    assert found.cost_usd == pytest.approx((2 * 1 + 1 * 10) / 1e6), "one token is the shortest answer"
    assert (found.least_usd, found.least_tokens) == (found.cost_usd, 3)
    repair = 2 + 50 + REPAIR_TOKENS
    assert found.worst_usd == pytest.approx(((2 + repair) * 1 + 2 * 50 * 10) / 1e6)


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [("all {{ steps.tag.texts | length }}", 1), ("{% for one in steps.tag.texts %}And {{ one }}{% endfor %}", 4)],
)
def test_a_text_that_is_said_of_each_answer_is_counted_for_each(make_flow: MakeFlow, prompt: str, texts: int) -> None:
    flow = make_flow(
        "data: {rows: {file: rows.jsonl}}\nsteps:\n  tag: {for_each: data.rows, prompt: '{{ item }}'}\n"
        f"  all: {{prompt: {json.dumps(prompt)}}}\n"
    )
    step = lines(plan(with_facts(flow, Price(1, 0), 50), data={"rows": ["a", "b", "c"]}))["all"]
    assert step.worst_usd == pytest.approx((-(-len(prompt) * texts // 4) + 3 * 50) / 1e6)


def test_without_any_cap_the_worst_case_has_no_price(make_flow: MakeFlow) -> None:
    (step,) = plan(with_facts(make_flow("steps:\n  a: {prompt: x}\n"), Price(1, 10))).steps
    assert (step.output_tokens, step.cost_usd, step.worst_usd) == (None, 1.1e-05, None)


def test_earlier_answers_say_what_is_likely_and_the_cap_what_is_worst(make_flow: MakeFlow) -> None:
    flow = with_facts(make_flow(ONE), Price(1, 10))
    (step,) = plan(flow, history={"a": History(calls=2, input_tokens=8, output_tokens=20)}).steps
    assert (step.output_tokens, step.is_measured) == (10, True)
    assert step.cost_usd == pytest.approx((2 * 1 + 10 * 10) / 1e6)
    assert step.worst_usd == plan(flow).worst_usd
    assert step.least_usd == plan(flow).least_usd == pytest.approx((2 * 1 + 1 * 10) / 1e6)


def test_a_schema_bounds_an_answer_that_its_provider_holds_to_it(make_flow: MakeFlow) -> None:
    flow = with_facts(make_flow("steps:\n  a: {prompt: x, fields: {n: boolean}}\n"), Price(1, 10), cap=1000)
    assert plan(flow).steps[0].output_tokens == 1000, "a script is held to nothing"

    def most(**changes: Any) -> int | None:
        step = replace(flow.program.steps["a"], dialect=DIALECTS["openai-chat"], **changes)
        return plan(type(flow)(replace(flow.program, steps={"a": step}))).steps[0].output_tokens

    assert most() == most(thinking="none") == 2 * len('{"n":false,}')
    assert most(thinking="low") == 1000, "what it thinks is paid too"
    assert most(sent_schema=None) == 1000


WAITS = """\
inputs: {tone: {type: string}}
steps:
  a: {prompt: x, max_output_tokens: 10, samples: 2, repair: 0}
  b: {prompt: "{{ steps.a.samples }}{{ inputs.tone }}", max_output_tokens: 5, repair: 0, fields: {n: integer}}
"""


def test_a_question_that_cannot_be_rendered_yet_is_bounded_by_what_it_reads(make_flow: MakeFlow) -> None:
    flow = with_facts(make_flow(WAITS, inputs={"tone": "kind"}), Price(1, 0))
    short = lines(plan(flow))["b"]
    longer = lines(plan(with_facts(make_flow(WAITS, inputs={"tone": "k" * 400}), Price(1, 0))))["b"]
    assert (short.cost_usd, short.output_tokens) == (0.0, 5)
    assert short.input_tokens is not None
    assert short.input_tokens > 2 * 10, "two answers of ten tokens, and the template"
    assert longer.input_tokens == short.input_tokens + 99
    assert short.worst_usd == pytest.approx(short.input_tokens / 1e6)


def test_earlier_questions_say_how_long_one_is_that_cannot_be_rendered_yet(make_flow: MakeFlow) -> None:
    flow = make_flow(WAITS, inputs={"tone": "kind"})
    found = lines(plan(flow, history={"b": History(calls=2, input_tokens=13, output_tokens=3)}))["b"]
    assert (found.input_tokens, found.output_tokens, found.is_measured) == (7, 2, True)


def test_a_question_that_waits_for_an_answer_without_a_cap_has_no_bound(make_flow: MakeFlow) -> None:
    step = lines(plan(with_facts(make_flow(CHAIN), Price(1, 0))))["b"]
    assert (step.input_tokens, step.worst_usd) == (None, None)


def test_a_question_that_waits_for_a_list_of_unknown_length_has_no_bound(make_flow: MakeFlow) -> None:
    steps = lines(plan(with_facts(make_flow(LIST), Price(1, 0), cap=100)))
    assert (steps["b"].input_tokens, steps["c"].input_tokens) == (None, None)
    assert steps["c"].worst_usd is None


def test_a_question_about_rows_is_bounded_by_the_longest_row(make_flow: MakeFlow) -> None:
    flow = with_facts(make_flow(TWO_STAGES), Price(1, 0), cap=10)
    short, longer = (lines(plan(flow, data={"rows": ["x", "y" * size]}))["sum"] for size in (1, 400))
    assert short.input_tokens == longer.input_tokens
    text = LANE.replace("steps:", "steps:\n  a: {prompt: x}") % ", system: '{{ steps.a.text }}'"
    flow = with_facts(make_flow(text), Price(1, 0), cap=10)
    short, longer = (lines(plan(flow, data={"rows": ["x", "y" * size]}))["tag"] for size in (2, 402))
    assert short.input_tokens is not None
    assert longer.input_tokens == short.input_tokens + 100


# The plan against the run


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.lists(st.sampled_from("xyz"), max_size=4))
def test_a_run_makes_the_certain_calls_and_none_beyond_the_worst_case(
    make_flow: MakeFlow, talk: Talks, data: st.DataObject, rows: list[str]
) -> None:
    flow = make_flow(TWO_STAGES)
    _, asked = flow.run(lambda ask: talk.said(str(ask.call.messages[0].text).upper()), {"rows": rows})
    keys = sorted({ask.key for ask in asked})
    kept = set(data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else [])
    stored = remembered(
        flow,
        lambda ask: talk.stored(str(ask.call.messages[0].text).upper()),
        {"rows": rows},
        lambda ask: ask.key in kept,
    )
    found = plan(flow, stored, {"rows": rows})
    certain = {call.ask.key for call in found.asked}
    assert certain <= set(keys) - set(stored)
    assert found.worst_calls is not None
    assert found.calls <= len(set(keys) - set(stored)) <= found.worst_calls
