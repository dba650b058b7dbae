from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.plan.advance import Answered, Ask
from runner.plan.stages import Receipt, RunState, Tally

if TYPE_CHECKING:
    from tests.plan.conftest import Flow, Talk

MakeFlow = Callable[..., "Flow"]
Talks = type["Talk"]

LANE = """\
data: {rows: {file: r.jsonl}}
steps:
  tag: {for_each: data.rows, prompt: "{{ item }}"%s}
  sum: {prompt: "{{ steps.tag.texts }}"}
"""


def by_prompt(talk: Talks, finishes: Mapping[str, str]) -> Callable[[Ask], Answered]:
    """Says the prompt in capitals; `finishes` says how some prompts end."""

    def answer(ask: Ask) -> Answered:
        text = str(ask.call.messages[0].text)
        return talk.said(text.upper(), finish=finishes.get(text, "stop"))

    return answer


# Chunks


@pytest.mark.parametrize(
    ("rows", "parallel", "sizes"),
    [(0, 8, []), (1, 8, [1]), (45, 8, [20, 20, 5]), (4000, 8, [125] * 32), (4000, 1, [500] * 8)],
)
def test_a_lane_is_moved_in_chunks_in_source_order(
    make_flow: MakeFlow, rows: int, parallel: int, sizes: list[int]
) -> None:
    state = make_flow(LANE % "").state({"rows": list(range(rows))})
    chunks = list(state.chunks(0, parallel))
    assert [len(chunk.items) for chunk in chunks] == sizes
    assert [plan.item.value for chunk in chunks for plan in chunk.items] == list(range(rows))


def test_a_step_that_runs_once_is_one_chunk_of_one_item_without_a_name(make_flow: MakeFlow) -> None:
    (chunk,) = make_flow("steps:\n  a: {prompt: x}\n").state().chunks(0, 8)
    assert [(plan.item.id, plan.earlier) for plan in chunk.items] == [("", {})]


def test_chunks_may_come_back_in_any_order(make_flow: MakeFlow) -> None:
    state = make_flow(LANE % "").state({"rows": list(range(45))})
    for chunk in reversed(list(state.chunks(0, 8))):
        outcomes = tuple({"tag": _good("tag", plan.item.id, plan.item.value)} for plan in chunk.items)
        state.fold(Receipt(0, chunk.number, outcomes))
    assert state.good_outputs("tag") == list(range(45))
    assert state.tallies["tag"] == Tally(good=45)


def test_a_later_stage_gets_what_its_item_came_to_before(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}}
        steps:
          tag: {for_each: data.rows, prompt: "{{ item }}"}
          rank: {for_each: data.rows, prompt: "{{ steps.tag.text }} of {{ steps.tag.texts | join }}"}
        """
    )
    _, asked = flow.run(by_prompt(talk, {}), {"rows": ["a", "b"]})
    assert [ask.call.messages[0].text for ask in asked] == ["a", "b", "A of AB", "B of AB"]


# Tallies and results


@pytest.mark.parametrize(
    ("outcome", "on_error", "tally"),
    [
        (Outcome("tag", "", Status.GOOD), "fail", Tally(good=1)),
        (Outcome("tag", "", Status.SKIPPED), "fail", Tally(skipped=1)),
        (Outcome("tag", "", Status.BLOCKED), "skip", Tally(blocked=1)),
        (Outcome("tag", "", Status.FAILED, failure=Failure(FailureKind.CUT, "")), "fail", Tally(failed=1)),
        (Outcome("tag", "", Status.FAILED, failure=Failure(FailureKind.CUT, "")), "skip", Tally(absorbed=1)),
        (Outcome("tag", "", Status.FAILED, failure=Failure(FailureKind.AUTH, "")), "skip", Tally(failed=1)),
    ],
)
def test_outcomes_are_counted(make_flow: MakeFlow, outcome: Outcome, on_error: str, tally: Tally) -> None:
    step = make_flow(LANE % f", on_error: {on_error}").program.steps["tag"].linked.step
    assert Tally().with_outcomes([outcome], step) == tally


def test_results_are_kept_without_attempts(make_flow: MakeFlow, talk: Talks) -> None:
    state, _ = make_flow(LANE % "").run(by_prompt(talk, {}), {"rows": ["a"]})
    ((_, outcomes),) = state.walked("data.rows")
    assert outcomes["tag"].attempts == ()
    assert state.root["sum"].attempts == ()


# Barriers


def test_a_barrier_reads_the_good_answers_in_source_order(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LANE % ", when: item != 'b', on_error: skip")
    state, asked = flow.run(by_prompt(talk, {"c": "length"}), {"rows": ["d", "b", "c", "a"]}, lambda many: many - 1)
    assert asked[-1].call.messages[0].text == '["D", "A"]'
    assert state.tallies["tag"] == Tally(good=2, absorbed=1, skipped=1)
    assert state.barrier("tag") == Outcome("tag", "", Status.GOOD)


def test_a_barrier_over_no_items_is_good(make_flow: MakeFlow, talk: Talks) -> None:
    _, asked = make_flow(LANE % "").run(by_prompt(talk, {}), {"rows": []})
    assert [ask.call.messages[0].text for ask in asked] == ["[]"]


def test_a_barrier_over_skipped_items_is_good(make_flow: MakeFlow, talk: Talks) -> None:
    _, asked = make_flow(LANE % ", when: 1 == 2, on_error: skip").run(by_prompt(talk, {}), {"rows": ["a"]})
    assert [ask.call.messages[0].text for ask in asked] == ["[]"]


@pytest.mark.parametrize(
    ("more", "cut", "because"),
    [
        ("", ["a"], "1 of its items failed"),
        (", on_error: skip", ["a", "b", "c", "d"], "0 of 4 items are good, less than one good item"),
        (", on_error: skip, min_success: 0.75", ["a", "b"], "2 of 4 items are good, less than min_success: 0.75"),
        (", on_error: skip, min_success: 1", ["a"], "3 of 4 items are good, less than min_success: 1"),
    ],
)
def test_a_barrier_over_too_few_good_items_blocks_its_readers(
    make_flow: MakeFlow, talk: Talks, more: str, cut: list[str], because: str
) -> None:
    state, _ = make_flow(LANE % more).run(by_prompt(talk, dict.fromkeys(cut, "length")), {"rows": list("abcd")})
    failure = Failure(FailureKind.UPSTREAM, because)
    assert state.barrier("tag") == Outcome("tag", "", Status.BLOCKED, failure=failure, because=because)
    assert state.root["sum"].status is Status.BLOCKED
    assert state.root["sum"].because == "step 'tag' failed"


@pytest.mark.parametrize(
    ("more", "cut"),
    [
        (", on_error: skip", "abc"),
        (", on_error: skip, min_success: 0.5", "ab"),
        (", on_error: skip, min_success: 0", "abcd"),
    ],
)
def test_a_barrier_over_enough_good_items_opens(make_flow: MakeFlow, talk: Talks, more: str, cut: str) -> None:
    state, _ = make_flow(LANE % more).run(by_prompt(talk, dict.fromkeys(cut, "length")), {"rows": list("abcd")})
    assert state.root["sum"].status is Status.GOOD


def test_min_success_over_no_items_is_enough(make_flow: MakeFlow) -> None:
    state = make_flow(LANE % ", on_error: skip, min_success: 0.9").state({"rows": []})
    assert state.is_enough("tag")


def test_a_blocked_item_fails_the_barrier(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}}
        steps:
          tag: {for_each: data.rows, prompt: "{{ item }}"}
          check: {for_each: data.rows, on_error: skip, prompt: "{{ steps.tag.text }}"}
          sum: {prompt: "{{ steps.check.texts }}"}
        """
    )
    state, _ = flow.run(by_prompt(talk, {"b": "length"}), {"rows": ["a", "b"]})
    assert state.barrier("check").because == "1 of its items failed"


def test_the_answers_of_a_step_are_listed_anew_as_they_arrive(make_flow: MakeFlow) -> None:
    state = make_flow(LANE % "").state({"rows": ["a", "b"]})
    assert state.good_outputs("tag") == []
    list(state.chunks(0, 8))
    state.fold(Receipt(0, 0, ({"tag": _good("tag", "x", "A")}, {})))
    assert state.good_outputs("tag") == ["A"]
    assert state.good_outputs("tag") is state.good_outputs("tag")


# Lists that are made


SPLIT = """\
inputs: {n: {}}
steps:
  split: {prompt: "{{ inputs.n }}"%s, fields: {parts: [string]}}
  each: {for_each: %s, prompt: "{{ item }}"}
  sum: {prompt: "{{ steps.each.texts }}"}
"""
PARTS = "steps.split.output.parts"


def parts(talk: Talks, value: Json, finish: str = "stop") -> Callable[[Ask], Answered]:
    return lambda ask: talk.said({"parts": value} if ask.step == "split" else "Yes.", finish=finish)


def test_a_list_that_a_step_made_is_walked(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(SPLIT % ("", PARTS), inputs={"n": 1})
    state, asked = flow.run(parts(talk, ["x", "y", "x"]))
    assert [ask.call.messages[0].text for ask in asked] == ["1", "x", "y", "x", '["Yes.", "Yes.", "Yes."]']
    ids = [item.id for item in state.items(flow.program.steps["each"].linked.lane)]
    assert ids[2] == f"{ids[0]}#2"


@pytest.mark.parametrize(
    ("more", "finish", "because"),
    [
        (", when: 1 == 2", "stop", "step 'split' was skipped"),
        (", on_error: skip", "length", "step 'split' failed and is left out"),
    ],
)
def test_a_list_of_a_skipped_step_is_skipped_with_what_reads_it(
    make_flow: MakeFlow, talk: Talks, more: str, finish: str, because: str
) -> None:
    flow = make_flow(SPLIT % (more, PARTS), inputs={"n": 1})
    state, _ = flow.run(parts(talk, [], finish))
    assert state.barrier("each") == Outcome("each", "", Status.SKIPPED, because=because)
    assert state.root["sum"] == Outcome("sum", "", Status.SKIPPED, because="step 'each' was skipped")
    assert state.lane_failures == {}


def test_a_list_that_can_do_without_a_skipped_step_is_walked(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(SPLIT % (", when: 1 == 2", '"steps.split.output.parts | default([7, 8])"'), inputs={"n": 1})
    _, asked = flow.run(parts(talk, []))
    assert [ask.call.messages[0].text for ask in asked] == ["7", "8", '["Yes.", "Yes."]']


def test_a_list_of_a_failed_step_fails_what_reads_it(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(SPLIT % ("", PARTS), inputs={"n": 1})
    state, asked = flow.run(parts(talk, [], "length"))
    lane = flow.program.steps["each"].linked.lane
    assert state.lane_failures == {lane: Failure(FailureKind.UPSTREAM, "step 'split' failed")}
    assert state.barrier("each").because == "step 'split' failed"
    assert state.root["sum"].status is Status.BLOCKED
    assert len(asked) == 1


def test_a_list_over_a_lane_that_failed_fails_too(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LANE % "" + "  again: {for_each: steps.tag.texts, prompt: x}\n")
    state, _ = flow.run(by_prompt(talk, {"a": "length"}), {"rows": ["a", "b"]})
    assert list(state.lane_failures.values()) == [Failure(FailureKind.UPSTREAM, "step 'tag' failed")]


def test_a_list_over_all_answers_of_a_lane_is_walked(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LANE % "" + "  again: {for_each: steps.tag.texts, prompt: 'again {{ item }}'}\n")
    _, asked = flow.run(by_prompt(talk, {}), {"rows": ["a", "b"]})
    assert [ask.call.messages[0].text for ask in asked if ask.step == "again"] == ["again A", "again B"]


def test_what_is_no_list_cannot_be_walked_and_says_where(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow("inputs: {n: {}}\nsteps:\n  a: {for_each: inputs.n, prompt: x}\n", inputs={"n": 3})
    state, asked = flow.run(by_prompt(talk, {}))
    message = "flow.yaml:3:17: 'inputs.n' gives a number, and a list is needed"
    assert state.lane_failures == {"inputs.n": Failure(FailureKind.RENDER, message)}
    assert asked == []


# The scope


def test_the_scope_has_the_views_of_all_that_has_ended(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        data: {rows: {file: r.jsonl}, others: {file: o.jsonl}}
        steps:
          once: {prompt: x}
          tag: {for_each: data.rows, prompt: "{{ item }}", fields: {n: integer}}
          own: {for_each: data.others, prompt: "{{ item }}"}
        """
    )
    empty = flow.state({"rows": [1], "others": []})
    assert (empty.scope().views, empty.scope().barriers) == ({}, {})
    state, _ = flow.run(lambda ask: talk.said({"n": 1} if ask.step == "tag" else "Yes."), {"rows": [1], "others": []})
    assert state.scope().views == {
        "once": {"text": "Yes.", "skipped": False, "failed": None, "model": "m-1", "sources": []},
        "tag": {"outputs": [{"n": 1}]},
        "own": {"texts": []},
    }
    assert list(state.scope().outcomes) == ["once"]
    assert list(state.scope().barriers) == ["tag", "own"]


# In any order

PROPERTY = """\
data: {rows: {file: r.jsonl}}
defaults: {model: scripted/m, fields: {n: integer}, repair: 1}
steps:
  once: {prompt: x, samples: 2, on_error: skip}
  tag: {for_each: data.rows, prompt: "{{ item }}"%s}
  twice: {for_each: data.rows, prompt: "{{ item }} twice", samples: 3%s}
  check: {for_each: data.rows, prompt: "{{ steps.tag.output %s }}{{ steps.twice.samples | length }}"}
  rank: {for_each: data.rows, when: "steps.tag.outputs | length > 1", prompt: "{{ item }} {{ steps.tag.output.n }}"}
  sum: {prompt: "{{ steps.rank.outputs }} {{ steps.once.samples | default([]) }}"}
"""
MORE = st.sampled_from(["", ", on_error: skip", ", on_error: skip, min_success: 0.5", ", when: item > 1"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    more=st.tuples(MORE, MORE, st.sampled_from(["", "| default(0)"])),
    rows=st.lists(st.integers(0, 3), max_size=4),
    answers=st.lists(st.sampled_from(["good", "bad", "cut", "gone"]), min_size=1, max_size=7),
    picks=st.lists(st.integers(0, 20), min_size=1, max_size=20),
)
def test_answers_in_any_order_lead_to_the_same_outcomes(
    make_flow: MakeFlow,
    talk: Talks,
    more: tuple[str, str, str],
    rows: list[int],
    answers: list[str],
    picks: list[int],
) -> None:
    flow = make_flow(PROPERTY % more, has_model=True)

    def answer(ask: Ask) -> Answered:
        number = int(ask.key[:8], 16)
        match answers[number % len(answers)]:
            case "good":
                return talk.said({"n": number % 5}, model=f"m-{number % 3}")
            case "bad":
                return talk.said({"n": "two"})
            case "cut":
                return talk.said({"n": 1}, finish="length")
            case _:
                return talk.failed(FailureKind.TRANSIENT)

    turns = iter(range(10**6))
    first, in_order = flow.run(answer, {"rows": rows})
    second, mixed = flow.run(answer, {"rows": rows}, lambda many: picks[next(turns) % len(picks)] % many)
    assert _all(first) == _all(second)
    assert sorted(ask.key for ask in in_order) == sorted(ask.key for ask in mixed)


def _all(state: RunState) -> tuple[object, ...]:
    return (
        state.root,
        {lane: list(state.walked(lane)) for lane in state.lanes},
        state.tallies,
        state.lane_failures,
        state.lane_skips,
        state.scope(),
    )


def _good(step: str, item: str, output: Json) -> Outcome:
    return Outcome(step, item, Status.GOOD, output=output)
