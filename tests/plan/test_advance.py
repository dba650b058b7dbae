from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runner.core.answer import StoredAnswer
from runner.core.outcome import Attempt, Failure, FailureKind, Outcome, Source, Status, Violation
from runner.core.response import Usage
from runner.plan.advance import Answered, Ask, is_absorbed, view_of
from runner.plan.items import Item
from runner.plan.program import Policy

if TYPE_CHECKING:
    from tests.plan.conftest import Flow, Talk

MakeFlow = Callable[..., "Flow"]
Talks = type["Talk"]

TEXT = "steps:\n  a: {prompt: Say it.}\n"
NUMBER = "steps:\n  a: {prompt: Count., fields: {n: integer}, repair: 2}\n"
NO_INTEGER = (Violation("/n", "type", "an integer", '"two"'),)


def outcome_of(flow: Flow, *answers: Answered) -> Outcome:
    """What becomes of the only step when these are the answers, in turn."""
    walked = flow.enter()
    for answer in answers:
        walked.answer(answer)
    assert walked.asks == ()
    (outcome,) = walked.outcomes.values()
    assert walked.move.reached == (outcome,)
    return outcome


# Answers


def test_a_step_asks_once_and_its_text_is_the_output(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(TEXT).enter()
    ask = walked.ask
    assert (ask.step, ask.item, ask.sample, ask.repair) == ("a", "", 0, 0)
    assert (ask.use, ask.must_ask, ask.reason) == ("auto", False, "")
    assert ask.key == ask.request.key
    move = walked.answer(replace(talk.said("Yes."), reason="new"))
    attempt = Attempt(
        key=ask.key,
        source=Source.FRESH,
        reason="new",
        usage=Usage(10, 2),
        cost_usd=0.002,
        seconds=0.5,
        requests=1,
        model="m-1",
    )
    assert move.reached == (Outcome("a", "", Status.GOOD, "Yes.", attempts=(attempt,), model="m-1"),)
    assert (move.attempt, move.asks, move.mark) == (attempt, (), None)
    assert move.state.open == {}


def test_a_json_answer_is_the_output_as_a_value(make_flow: MakeFlow, talk: Talks) -> None:
    assert outcome_of(make_flow(NUMBER), talk.said({"n": 2})).output == {"n": 2}


def test_an_answer_that_does_not_fit_is_repaired(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(NUMBER).enter()
    first = walked.ask
    move = walked.answer(talk.said({"n": "two"}))
    second = walked.ask
    assert (second.repair, second.must_ask, second.reason) == (1, False, "")
    assert second.key != first.key
    assert second.ingredients == {**first.ingredients, "repair": 1}
    assert [message.role for message in second.call.messages] == ["user", "assistant", "user"]
    assert move.attempt is not None
    assert move.attempt.violations == NO_INTEGER
    assert (move.attempt.failure, move.mark, move.reached) == (None, None, ())
    move = walked.answer(talk.said({"n": 2}))
    (outcome,) = move.reached
    assert (outcome.status, outcome.output) == (Status.GOOD, {"n": 2})
    assert [attempt.repair for attempt in outcome.attempts] == [0, 1]


def test_an_answer_that_does_not_fit_after_all_repairs_is_a_failure_and_marked(
    make_flow: MakeFlow, talk: Talks
) -> None:
    walked = make_flow(NUMBER).enter()
    for _ in range(2):
        walked.answer(talk.said({"n": "two"}))
    move = walked.answer(talk.said({"n": "two"}))
    (outcome,) = move.reached
    message = 'the answer does not fit its schema: at /n expected an integer, found "two"'
    assert outcome.failure == Failure(FailureKind.INVALID, message, NO_INTEGER)
    assert outcome.status is Status.FAILED
    assert [(attempt.repair, attempt.failure) for attempt in outcome.attempts] == [
        (0, None),
        (1, None),
        (2, FailureKind.INVALID),
    ]
    assert move.mark is not None
    assert move.mark.failure is FailureKind.INVALID


@pytest.mark.parametrize(
    ("finish", "kind", "message"),
    [
        ("length", FailureKind.CUT, "the answer was cut off (length)"),
        ("refused", FailureKind.REFUSED, "the model declined to answer (refused)"),
    ],
)
def test_cut_and_refused_answers_fail_without_repair_and_are_marked(
    make_flow: MakeFlow, talk: Talks, finish: str, kind: FailureKind, message: str
) -> None:
    walked = make_flow(NUMBER).enter()
    move = walked.answer(talk.said({"n": 2}, finish=finish))
    assert move.reached[0].failure == Failure(kind, message)
    assert move.asks == ()
    assert move.mark is not None
    assert move.mark.failure is kind


def test_an_answer_that_was_kept_as_a_failure_is_not_marked_again(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(NUMBER).enter()
    assert walked.answer(talk.said("", finish="length", failure=FailureKind.CUT)).mark is None


def test_a_broken_ensure_line_is_repaired(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow("steps:\n  a: {prompt: x, ensure: [text != 'no'], repair: 1}\n").enter()
    move = walked.answer(talk.said("no"))
    assert move.attempt is not None
    assert move.attempt.violations == (Violation("", "ensure", "text != 'no'"),)
    assert "- this must hold: text != 'no'" in str(walked.ask.call.messages[-1].text)


def test_an_ensure_line_without_truth_is_a_failure_that_is_not_marked(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow("steps:\n  a: {prompt: x, ensure: [text < 3], repair: 1}\n").enter()
    move = walked.answer(talk.said("two"))
    told = "flow.yaml:2:27: '<' cannot compare a text with a number"
    assert move.reached[0].failure == Failure(FailureKind.RENDER, told)
    assert (move.mark, move.asks) == (None, ())


def test_an_ensure_line_sees_the_steps_that_its_step_needs(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        steps:
          a: {prompt: x}
          b: {prompt: x, ensure: [text != steps.a.text]}
        """
    )
    state, _ = flow.run(lambda ask: talk.said("same"))
    assert state.root["b"].failure == Failure(
        FailureKind.INVALID,
        "the answer does not hold: text != steps.a.text",
        (Violation("", "ensure", "text != steps.a.text"),),
    )


def test_a_payload_that_is_no_answer_is_a_failure_that_is_not_marked(make_flow: MakeFlow) -> None:
    answer = StoredAnswer("", "scripted", "s", "/m", b"", b"<html>")
    walked = make_flow(TEXT).enter()
    move = walked.answer(Answered(answer, is_todays=True, requests=1))
    (outcome,) = move.reached
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.BAD_ANSWER
    assert outcome.attempts[0].usage == Usage()
    assert outcome.attempts[0].model == ""
    assert move.mark is None


def test_no_answer_is_a_failure_with_an_attempt_if_it_was_sent(make_flow: MakeFlow, talk: Talks) -> None:
    outcome = outcome_of(make_flow(TEXT), talk.failed(FailureKind.TRANSIENT, "overloaded", requests=5))
    assert outcome.failure == Failure(FailureKind.TRANSIENT, "overloaded")
    assert [(attempt.requests, attempt.failure) for attempt in outcome.attempts] == [(5, FailureKind.TRANSIENT)]
    never_sent = outcome_of(make_flow(TEXT), talk.failed(FailureKind.NEEDS_CALL, requests=0))
    assert never_sent.attempts == ()


# Stored answers


def test_a_stored_answer_is_good_without_a_request(make_flow: MakeFlow, talk: Talks) -> None:
    outcome = outcome_of(make_flow(TEXT), talk.stored("Yes."))
    assert (outcome.status, outcome.attempts[0].requests) == (Status.GOOD, 0)


def test_a_stored_chain_is_replayed_to_its_good_end(make_flow: MakeFlow, talk: Talks) -> None:
    outcome = outcome_of(make_flow(NUMBER), talk.stored({"n": "two"}), talk.stored({"n": 2}))
    assert (outcome.status, [attempt.repair for attempt in outcome.attempts]) == (Status.GOOD, [0, 1])


@pytest.mark.parametrize(
    ("finish", "failure", "reason"),
    [
        ("length", FailureKind.CUT, "failed-before"),
        ("refused", FailureKind.REFUSED, "failed-before"),
        ("stop", FailureKind.INVALID, "failed-before"),
        ("stop", None, "now-invalid"),
    ],
)
def test_a_stored_failure_is_asked_again_with_its_reason(
    make_flow: MakeFlow, talk: Talks, finish: str, failure: FailureKind | None, reason: str
) -> None:
    walked = make_flow("steps:\n  a: {prompt: x, fields: {n: integer}}\n").enter()
    first = walked.ask
    move = walked.answer(talk.stored({"n": "two"}, failure=failure, finish=finish))
    assert walked.asks == (replace(first, must_ask=True, reason=reason),)
    assert (move.attempt, move.reached, move.mark) == (None, (), None)
    (outcome,) = walked.answer(talk.said({"n": 2})).reached
    assert (outcome.status, len(outcome.attempts)) == (Status.GOOD, 1)


def test_a_chain_that_failed_before_is_asked_again_at_its_last_question(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow("steps:\n  a: {prompt: x, fields: {n: integer}, repair: 1}\n").enter()
    walked.answer(talk.stored({"n": "two"}))
    walked.answer(talk.stored({"n": "two"}, failure=FailureKind.INVALID))
    assert (walked.ask.repair, walked.ask.must_ask, walked.ask.reason) == (1, True, "failed-before")
    (outcome,) = walked.answer(talk.said({"n": "two"})).reached
    assert [attempt.repair for attempt in outcome.attempts] == [0, 1]
    assert outcome.status is Status.FAILED


def test_one_more_repair_goes_on_from_the_last_stored_answer(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(NUMBER).enter()
    walked.answer(talk.stored({"n": "two"}))
    walked.answer(talk.stored({"n": "two"}, failure=FailureKind.INVALID))
    assert (walked.ask.repair, walked.ask.must_ask) == (2, False)


def test_a_stored_failure_that_fits_todays_rules_is_good(make_flow: MakeFlow, talk: Talks) -> None:
    outcome = outcome_of(make_flow(NUMBER), talk.stored({"n": 2}, failure=FailureKind.INVALID))
    assert outcome.status is Status.GOOD


@pytest.mark.parametrize(("more", "policy"), [(", on_error: skip", Policy()), ("", Policy(is_final=True))])
def test_a_settled_failure_is_replayed(make_flow: MakeFlow, talk: Talks, more: str, policy: Policy) -> None:
    flow = make_flow(f"steps:\n  a: {{prompt: x, fields: {{n: integer}}{more}}}\n", policy=policy)
    for answer in (talk.stored("", failure=FailureKind.CUT, finish="length"), talk.stored({"n": "two"})):
        walked = flow.enter()
        move = walked.answer(answer)
        assert move.reached[0].status is Status.FAILED
        assert (move.asks, move.mark) == ((), None)


def test_a_stored_payload_that_is_no_answer_is_asked_again(make_flow: MakeFlow) -> None:
    walked = make_flow(TEXT).enter()
    walked.answer(Answered(StoredAnswer("", "scripted", "s", "/m", b"", b"")))
    assert (walked.ask.must_ask, walked.ask.reason) == (True, "now-invalid")


def test_a_stored_answer_whose_ensure_has_no_truth_is_not_asked_again(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow("steps:\n  a: {prompt: x, ensure: [text < 3]}\n")
    assert outcome_of(flow, talk.stored("two")).status is Status.FAILED


def test_a_refresh_asks_every_question_of_a_chain(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(NUMBER, policy=Policy(refresh=frozenset({"*"}))).enter()
    assert (walked.ask.use, walked.ask.must_ask, walked.ask.reason) == ("refresh", True, "forced")
    walked.answer(talk.said({"n": "two"}))
    assert (walked.ask.repair, walked.ask.must_ask, walked.ask.reason) == (1, True, "forced")


def test_without_a_cache_every_question_is_asked_and_nothing_is_marked(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(NUMBER, policy=Policy(use_cache=False)).enter()
    assert (walked.ask.use, walked.ask.must_ask, walked.ask.reason) == ("off", True, "off")
    assert walked.answer(talk.said("", finish="length")).mark is None


def test_a_repair_after_a_question_that_failed_before_may_be_stored(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(NUMBER).enter()
    walked.answer(talk.stored("", failure=FailureKind.CUT, finish="length"))
    walked.answer(talk.said({"n": "two"}))
    assert (walked.ask.repair, walked.ask.must_ask, walked.ask.reason) == (1, False, "")


# Samples

SAMPLES = "steps:\n  a: {prompt: x, fields: {n: integer}, samples: 3}\n"


def test_samples_are_asked_together_and_listed_by_number(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(SAMPLES).enter()
    asks = walked.asks
    assert [ask.sample for ask in asks] == [0, 1, 2]
    assert len({ask.key for ask in asks}) == 3
    assert walked.answer(talk.said({"n": 2}), asks[2]).reached == ()
    assert walked.answer(talk.said({"n": 0}, model="m-0"), asks[0]).reached == ()
    (outcome,) = walked.answer(talk.said({"n": 1}), asks[1]).reached
    assert outcome.output == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [attempt.sample for attempt in outcome.attempts] == [0, 1, 2]
    assert outcome.model == "m-0"


def test_sample_0_has_the_key_of_a_step_without_samples(make_flow: MakeFlow) -> None:
    assert make_flow(SAMPLES).enter().asks[0].key == make_flow(SAMPLES.replace(", samples: 3", "")).enter().ask.key


def test_a_single_sample_is_a_list_too(make_flow: MakeFlow, talk: Talks) -> None:
    assert outcome_of(make_flow("steps:\n  a: {prompt: x, samples: 1}\n"), talk.said("Yes.")).output == ["Yes."]


def test_one_failed_sample_fails_the_step_once_all_are_in(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(SAMPLES).enter()
    asks = walked.asks
    move = walked.answer(talk.said("", finish="refused"), asks[2])
    assert move.mark is not None
    assert move.reached == ()
    walked.answer(talk.said("", finish="length"), asks[0])
    (outcome,) = walked.answer(talk.said({"n": 1}), asks[1]).reached
    assert outcome.failure == Failure(FailureKind.CUT, "the answer was cut off (length)")
    assert len(outcome.attempts) == 3


def test_with_skip_the_good_samples_are_enough(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(SAMPLES.replace("samples: 3", "samples: 3, on_error: skip")).enter()
    asks = walked.asks
    walked.answer(talk.said("", finish="refused"), asks[0])
    walked.answer(talk.said({"n": 1}, model="m-9"), asks[1])
    (outcome,) = walked.answer(talk.said({"n": 2}), asks[2]).reached
    assert (outcome.status, outcome.output, outcome.model) == (Status.GOOD, [{"n": 1}, {"n": 2}], "m-9")


def test_with_skip_no_good_sample_is_a_failure(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(SAMPLES.replace("samples: 3", "samples: 2, on_error: skip")).enter()
    first, second = walked.asks
    walked.answer(talk.said("", finish="length"), second)
    (outcome,) = walked.answer(talk.said("", finish="refused"), first).reached
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.REFUSED


def test_with_skip_a_sample_that_was_not_asked_is_a_failure_all_the_same(make_flow: MakeFlow, talk: Talks) -> None:
    walked = make_flow(SAMPLES.replace("samples: 3", "samples: 3, on_error: skip")).enter()
    asks = walked.asks
    walked.answer(talk.said({"n": 1}), asks[0])
    walked.answer(talk.said("", finish="length"), asks[1])
    (outcome,) = walked.answer(talk.failed(FailureKind.AUTH, "bad key"), asks[2]).reached
    assert outcome.failure == Failure(FailureKind.AUTH, "bad key")


# When, skips, holes


def test_a_step_whose_when_does_not_hold_is_skipped_without_a_call(make_flow: MakeFlow) -> None:
    walked = make_flow("steps:\n  a: {when: 1 == 2, prompt: x}\n").enter()
    assert walked.asks == ()
    assert walked.move.reached == (Outcome("a", "", Status.SKIPPED, because="when does not hold"),)


def test_a_when_without_truth_is_a_failure(make_flow: MakeFlow) -> None:
    walked = make_flow("inputs: {n: {}}\nsteps:\n  a: {when: inputs.n.size, prompt: x}\n", inputs={"n": {}}).enter()
    (outcome,) = walked.move.reached
    assert outcome.failure == Failure(FailureKind.RENDER, "flow.yaml:3:13: 'inputs.n.size' is undefined")


def test_a_prompt_that_cannot_be_rendered_is_a_failure_at_its_place(make_flow: MakeFlow) -> None:
    flow = make_flow("inputs: {n: {}}\nsteps:\n  a: {prompt: 'of {{ inputs.n.size }}'}\n", inputs={"n": {}})
    (outcome,) = flow.enter().move.reached
    assert outcome.failure == Failure(FailureKind.RENDER, "flow.yaml:3:22: 'inputs.n.size' is undefined")


def test_half_a_character_in_a_prompt_is_a_failure(make_flow: MakeFlow) -> None:
    flow = make_flow("inputs: {n: {}}\nsteps:\n  a: {prompt: '{{ inputs.n }}'}\n", inputs={"n": "\ud800"})
    (outcome,) = flow.enter().move.reached
    message = "the prompt cannot be sent: (root): text with half a character (a lone surrogate)"
    assert outcome.failure == Failure(FailureKind.RENDER, message)


SKIPPED = "steps:\n  a: {when: 1 == 2, prompt: x}\n"


def test_what_reads_a_skipped_step_is_skipped_and_so_on(make_flow: MakeFlow) -> None:
    flow = make_flow(SKIPPED + "  b: {prompt: '{{ steps.a.text }}'}\n  c: {prompt: '{{ steps.b.text }}'}\n")
    state, asked = flow.run(_nobody)
    assert asked == []
    assert state.root["b"] == Outcome("b", "", Status.SKIPPED, because="step 'a' was skipped")
    assert state.root["c"] == Outcome("c", "", Status.SKIPPED, because="step 'b' was skipped")


@pytest.mark.parametrize(
    ("prompt", "rendered"),
    [
        ("{{ steps.a.text | default('none') }}", "none"),
        ("{% if steps.a.text is defined %}{{ steps.a.text }}{% else %}hole{% endif %}", "hole"),
        ("{% if steps.a.skipped %}hole{% else %}{{ steps.a.text }}{% endif %}", "hole"),
        ("{{ steps.a.failed }}", "null"),
        ("{% if steps.a.failed %}failed{% else %}not{% endif %}", "not"),
    ],
)
def test_what_reads_a_skipped_step_guarded_is_asked(make_flow: MakeFlow, prompt: str, rendered: str) -> None:
    flow = make_flow(SKIPPED + f'  b: {{prompt: "{prompt}"}}\n')
    assert _asked_last(flow, None) == rendered


def test_a_step_that_only_waits_for_a_skipped_step_is_asked(make_flow: MakeFlow) -> None:
    assert _asked_last(make_flow(SKIPPED + "  b: {prompt: x, needs: [a]}\n"), None) == "x"


@pytest.mark.parametrize(
    ("prompt", "rendered"),
    [
        ("{{ steps.a.skipped }} {{ steps.a.failed }} {{ steps.a.model }}", "false null m-1"),
        ("{% if not steps.a.failed %}{{ steps.a.text }}{% endif %}", "Yes."),
    ],
)
def test_a_good_step_shows_its_state(make_flow: MakeFlow, talk: Talks, prompt: str, rendered: str) -> None:
    assert _asked_last(make_flow(TEXT + f"  b: {{prompt: '{prompt}'}}\n"), talk.said("Yes.")) == rendered


@pytest.mark.parametrize(
    ("prompt", "rendered"),
    [
        ("{{ steps.a.text | default('none') }}", "none"),
        ("{{ steps.a.failed }} {{ steps.a.skipped }}", "cut false"),
    ],
)
def test_a_failure_that_is_left_out_can_be_read_guarded(
    make_flow: MakeFlow, talk: Talks, prompt: str, rendered: str
) -> None:
    flow = make_flow(f'steps:\n  a: {{prompt: x, on_error: skip}}\n  b: {{prompt: "{prompt}"}}\n')
    assert _asked_last(flow, talk.said("", finish="length")) == rendered


def test_what_reads_a_failure_that_is_left_out_is_skipped(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow("steps:\n  a: {prompt: x, on_error: skip}\n  b: {prompt: '{{ steps.a.text }}'}\n")
    state, _ = flow.run(lambda _: talk.said("", finish="length"))
    assert state.root["b"] == Outcome("b", "", Status.SKIPPED, because="step 'a' failed and is left out")


def test_what_reads_a_failure_is_blocked_however_it_reads_it(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(
        """\
        steps:
          a: {prompt: x}
          b: {prompt: "{{ steps.a.text }}"}
          c: {prompt: "{{ steps.a.text | default(1) }}"}
          d: {prompt: x, needs: [a]}
          e: {prompt: "{{ steps.b.text }}"}
        """
    )
    state, _ = flow.run(lambda _: talk.said("", finish="length"))
    failure = Failure(FailureKind.UPSTREAM, "step 'a' failed")
    for name in "bcd":
        assert state.root[name] == Outcome(name, "", Status.BLOCKED, failure=failure, because="step 'a' failed")
    assert state.root["e"].because == "step 'b' failed"


@pytest.mark.parametrize("kind", [FailureKind.NEEDS_CALL, FailureKind.INTERRUPTED])
def test_what_waits_for_a_call_that_was_not_made_says_so(make_flow: MakeFlow, talk: Talks, kind: FailureKind) -> None:
    flow = make_flow(TEXT + "  b: {prompt: '{{ steps.a.text }}'}\n  c: {prompt: '{{ steps.b.text }}'}\n")
    state, _ = flow.run(lambda _: talk.failed(kind, requests=0))
    assert state.root["c"].failure == Failure(kind, "step 'b' failed")


@pytest.mark.parametrize("kind", ["needs-call", "interrupted", "storage", "auth", "quota", "not-found"])
def test_failures_that_say_nothing_about_the_item_are_never_left_out(
    make_flow: MakeFlow, talk: Talks, kind: str
) -> None:
    flow = make_flow("steps:\n  a: {prompt: x, on_error: skip}\n  b: {prompt: '{{ steps.a.text }}'}\n")
    state, _ = flow.run(lambda _: talk.failed(FailureKind(kind)))
    assert state.root["b"].status is Status.BLOCKED
    assert not is_absorbed(state.root["a"], flow.program.steps["a"].linked.step)


def test_only_failures_are_left_out(make_flow: MakeFlow) -> None:
    step = make_flow("steps:\n  a: {prompt: x, on_error: skip}\n").program.steps["a"].linked.step
    assert not is_absorbed(Outcome("a", "", Status.SKIPPED), step)
    assert not is_absorbed(Outcome("a", "", Status.FAILED), step)
    assert view_of(Outcome("a", "", Status.BLOCKED), step) == {"skipped": False, "failed": "upstream"}


# Lanes

LANE = """\
data: {rows: {file: r.jsonl}}
steps:
  a: {for_each: data.rows, as: row, prompt: "{{ row.n }} {{ item.n }}"}
  b: {for_each: data.rows, prompt: "{{ steps.a.text }}"}
  c: {for_each: data.rows, prompt: x, when: item.n > 1}
"""


def test_an_item_walks_down_its_lane_as_answers_arrive(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LANE)
    walked = flow.enter(state=flow.state({"rows": [{"n": 5}]}))
    first, other = walked.asks
    assert (first.step, first.call.messages[0].text, other.step) == ("a", "5 5", "c")
    walked.answer(talk.said("five"), first)
    assert [(ask.step, ask.call.messages[0].text) for ask in walked.asks] == [("b", "five")]
    assert walked.outcomes["a"].item == first.item


def test_a_bad_row_fails_and_blocks_what_reads_it(make_flow: MakeFlow) -> None:
    flow = make_flow(LANE)
    walked = flow.enter(Item("line-3", None, 2, "not JSON"), state=flow.state({"rows": []}))
    failure = Failure(FailureKind.ROW, "row 3 is bad: not JSON")
    assert walked.asks == ()
    assert walked.outcomes["a"] == Outcome("a", "line-3", Status.FAILED, failure=failure)
    assert walked.outcomes["b"].status is Status.BLOCKED
    assert walked.outcomes["c"].failure == failure


RANK = """\
data: {rows: {file: r.jsonl}}
steps:
  a: {for_each: data.rows, when: item > 0, on_error: skip, prompt: "{{ item }}"}
  b: {for_each: data.rows, prompt: "%s of {{ steps.a.texts | length }}"}
"""


def test_an_item_reads_its_own_answer_and_all_answers_together(make_flow: MakeFlow, talk: Talks) -> None:
    state, asked = make_flow(RANK % "{{ steps.a.text }}").run(_echo(talk), {"rows": [1, 0, 2, 3]})
    texts = [ask.call.messages[0].text for ask in asked if ask.step == "b"]
    assert texts == ["1 of 2", "2 of 2"]
    own = [outcomes["b"] for _, outcomes in state.walked("data.rows")]
    assert [outcome.because for outcome in own if outcome.status is Status.SKIPPED] == [
        "step 'a' was skipped",
        "step 'a' failed and is left out",
    ]


def test_an_own_answer_that_is_guarded_may_be_missing(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(RANK % "{{ steps.a.text | default('-') }}")
    _, asked = flow.run(_echo(talk), {"rows": [1, 0, 2, 3]})
    texts = [ask.call.messages[0].text for ask in asked if ask.step == "b"]
    assert texts == ["1 of 2", "- of 2", "2 of 2", "- of 2"]


def _echo(talk: Talks) -> Callable[..., Answered]:
    """Says the prompt again; a 3 is cut off."""

    def answer(ask: Ask) -> Answered:
        text = ask.call.messages[0].text
        return talk.said(text, finish="length" if text == "3" else "stop")

    return answer


def _asked_last(flow: Flow, first: Answered | None) -> str:
    """The text of the last question; `first` answers the step before it."""
    answers = [first] if first is not None else []
    texts: list[str] = []

    def answer(ask: Ask) -> Answered:
        texts.append(str(ask.call.messages[0].text))
        return answers.pop() if answers else Answered(failure=Failure(FailureKind.TRANSIENT, "never mind"))

    flow.run(answer)
    return texts[-1]


def _nobody(ask: Ask) -> Answered:
    raise AssertionError(ask)
