from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import (
    AttemptMade,
    ContextEnded,
    ContextKept,
    Event,
    Noted,
    Retrying,
    RunFinished,
    RunStarted,
    Settled,
    StepExpected,
)
from runner.core.outcome import Attempt, FailureKind, Outcome, Source, Status, Violation
from runner.core.response import Usage
from runner.record.summary import (
    RunSummary,
    StepSummary,
    Summariser,
    read_summary,
    summarise,
    summary_from_json,
    summary_to_json,
    write_summary,
)

STARTED = RunStarted("r1", "triage", "w.yaml", {"ask": "scripted/parrot", "reply": "scripted/owl"}, "0.1.0")
FINISHED = RunFinished("r1", "done", 0, 4.0)
PAID = Attempt(
    "k", Source.FRESH, "new", usage=Usage(10, 5, 0, 2), cost_usd=0.5, seconds=1.5, requests=1, model="parrot-2"
)


def good(step: str, item: str, *attempts: Attempt, status: Status = Status.GOOD) -> list[Event]:
    """An item as a run tells it: each attempt, then the outcome that holds them."""
    return [
        *(AttemptMade(step, item, one) for one in attempts),
        Settled(Outcome(step, item, status, attempts=attempts)),
    ]


def step_of(*events: Event) -> StepSummary:
    return summarise([STARTED, *events]).steps[0]


def test_a_run_is_summed_up_by_step_in_order_of_execution() -> None:
    repair = replace(PAID, key="k2", repair=1, reason="", requests=2)
    cached = replace(PAID, key="k3", source=Source.CACHED)
    recorded = replace(PAID, key="k4", source=Source.RECORDED, cost_usd=0.25)
    summary = summarise(
        [
            STARTED,
            StepExpected("ask", 4, "scripted/parrot"),
            Retrying("ask", "a", 1, 0.5, "overloaded"),
            *good("ask", "a", PAID, repair),
            *good("ask", "b", cached),
            *good("ask", "c", recorded),
            *good("ask", "d", replace(PAID, key="k5", failure=FailureKind.CUT), status=Status.FAILED),
            Noted("saved", "out/page.html"),
            *good("reply", "", status=Status.BLOCKED),
            FINISHED,
        ]
    )
    assert summary == RunSummary(
        "r1", "triage", "done", 0, 4.0,
        (
            StepSummary(
                "ask", "scripted/parrot", items=4, good=3, failed=1, calls=3, cached=1, recorded=1, repairs=1,
                requests=4, input_tokens=30, output_tokens=15, thinking_tokens=6, cost_usd=1.5, saved_usd=0.75,
                seconds=4.5, answered_by=("parrot-2",), reasons={"new": 2},
            ),
            StepSummary("reply", "scripted/owl", items=1, blocked=1),
        ),
    )  # fmt: skip
    totals = (summary.items, summary.good, summary.failed, summary.skipped, summary.blocked)
    assert totals == (5, 3, 1, 0, 1)
    assert (summary.calls, summary.cached, summary.recorded, summary.repairs, summary.requests) == (3, 1, 1, 1, 4)
    assert (summary.input_tokens, summary.output_tokens, summary.thinking_tokens) == (30, 15, 6)
    assert (summary.cost_usd, summary.saved_usd, summary.maybe_paid_twice) == (1.5, 0.75, 0)


def test_a_step_without_calls_costs_nothing_and_saves_what_its_answers_cost() -> None:
    step = step_of(*good("ask", "a", replace(PAID, source=Source.CACHED)))
    assert (step.cost_usd, step.saved_usd, step.calls, step.input_tokens, step.seconds) == (0.0, 0.5, 0, 0, 0.0)


def test_one_unknown_price_makes_the_sum_unknown() -> None:
    unknown = replace(PAID, key="k2", cost_usd=None)
    step = step_of(*good("ask", "a", PAID), *good("ask", "b", unknown), *good("ask", "c", PAID))
    assert (step.cost_usd, step.saved_usd) == (None, 0.0)
    summary = summarise([STARTED, *good("ask", "b", replace(unknown, source=Source.CACHED))])
    assert (summary.cost_usd, summary.saved_usd) == (0.0, None)


def test_a_request_that_brought_no_answer_is_a_call_without_a_bill() -> None:
    lost = Attempt("k", Source.FRESH, "new", requests=3, failure=FailureKind.UNKNOWN_DELIVERY, maybe_paid_twice=2)
    step = step_of(*good("ask", "a", lost, status=Status.FAILED))
    assert (step.calls, step.requests, step.cost_usd, step.maybe_paid_twice) == (1, 3, 0.0, 2)


def test_a_call_that_was_not_allowed_is_no_call() -> None:
    step = step_of(
        *good("ask", "a", Attempt("k", Source.FRESH, "new", failure=FailureKind.NEEDS_CALL), status=Status.FAILED)
    )
    assert (step.calls, step.requests, step.reasons, step.failed) == (0, 0, {}, 1)


@pytest.mark.parametrize("kind", [FailureKind.INTERRUPTED, FailureKind.STORAGE])
def test_a_call_that_was_dropped_is_no_call(kind: FailureKind) -> None:
    dropped = Attempt("k", Source.FRESH, "new", requests=1, failure=kind)
    step = step_of(*good("ask", "a", PAID), *good("ask", "b", dropped, status=Status.BLOCKED))
    assert (step.calls, step.requests, step.reasons, step.blocked) == (1, 1, {"new": 1}, 1)


def test_a_step_is_reached_when_it_has_nothing_to_do_or_something_was_done() -> None:
    events: list[Event] = [STARTED, StepExpected("ask", 1, "scripted/parrot")]
    assert [step.is_reached for step in summarise(events).steps] == [False, False]
    empty: list[Event] = [STARTED, StepExpected("ask", 0, "scripted/parrot"), AttemptMade("reply", "", PAID)]
    assert [step.is_reached for step in summarise(empty).steps] == [True, True]


def test_a_summary_of_before_knows_nothing_of_unreached_steps() -> None:
    document = summary_to_json(summarise([STARTED, *good("ask", "a", PAID), FINISHED]))
    del document["steps"][0]["is_reached"]
    assert summary_from_json(document).steps[0].is_reached


def test_an_attempt_that_only_the_outcome_tells_is_counted_once() -> None:
    lost = Attempt("k", Source.FRESH, requests=2, failure=FailureKind.TRANSIENT)
    step = step_of(AttemptMade("ask", "a", PAID), Settled(Outcome("ask", "a", Status.GOOD, attempts=(lost, PAID))))
    assert (step.calls, step.requests, step.input_tokens) == (2, 3, 10)


def test_an_attempt_that_was_judged_after_it_was_told_is_counted_once() -> None:
    judged = replace(PAID, failure=FailureKind.INVALID, violations=(Violation("/a", "type", "a number"),))
    step = step_of(AttemptMade("ask", "a", PAID), Settled(Outcome("ask", "a", Status.FAILED, attempts=(judged,))))
    assert (step.calls, step.cost_usd) == (1, 0.5)


def test_items_are_those_expected_or_those_settled_if_more() -> None:
    assert step_of(StepExpected("ask", 3, "")).items == 3
    assert step_of(StepExpected("ask", 3, "")).model == "scripted/parrot"
    assert step_of(StepExpected("ask", 1, ""), *good("ask", "a"), *good("ask", "b")).items == 2


def kept(
    name: str = "c/1", made_usd: float | None = 0.5, kept_usd: float | None = 1.0, *, is_new: bool = True
) -> Event:
    return ContextKept("ask", "scripted/parrot", name, 2000, 60.0, made_usd, kept_usd, is_new)


def test_what_was_kept_is_part_of_the_cost() -> None:
    (step, *_) = summarise([STARTED, kept(), kept("c/2", 0.25, 0.25), *good("ask", "a", PAID)]).steps
    assert (step.kept_tokens, step.keeping_usd, step.cost_usd) == (4000, 2.0, 2.5)
    (step, *_) = summarise([STARTED, kept(kept_usd=None), *good("ask", "a", PAID)]).steps
    assert (step.keeping_usd, step.cost_usd) == (None, None)


def test_what_an_earlier_run_has_paid_costs_nothing() -> None:
    run = summarise([STARTED, kept(is_new=False), ContextEnded("ask", "c/1", 30.0, 0.25)])
    assert (run.keeping_usd, run.cost_usd, run.steps[0].kept_tokens) == (0.0, 0.0, 0)


def test_what_was_deleted_costs_for_as_long_as_it_was_kept() -> None:
    run = summarise([STARTED, kept(), ContextEnded("ask", "c/1", 30.0, 0.25)])
    assert (run.keeping_usd, run.cost_usd) == (0.75, 0.75)


def test_tokens_that_a_provider_had_cached_are_counted() -> None:
    cached = replace(PAID, usage=Usage(10, 5, 4, 2))
    run = summarise([STARTED, *good("ask", "a", cached), *good("ask", "b", replace(cached, key="l"))])
    assert (run.cached_tokens, run.steps[0].cached_tokens) == (8, 8)


def test_a_step_that_was_not_announced_is_counted_too() -> None:
    assert summarise(good("late", "a")).steps == (StepSummary("late", items=1, good=1),)


def test_the_summary_of_a_run_that_goes_on_says_so() -> None:
    fold = Summariser()
    assert fold.summary() == RunSummary()
    fold(STARTED)
    assert fold.summary().status == "running"
    fold(RunFinished("", "interrupted", 130, 1.0))
    assert (fold.summary().run, fold.summary().status, fold.summary().exit_code) == ("r1", "interrupted", 130)


costs = st.none() | st.integers(0, 1000).map(lambda cents: cents / 4)
attempts = st.builds(
    Attempt,
    key=st.sampled_from("abc"),
    source=st.sampled_from(Source),
    repair=st.integers(0, 2),
    cost_usd=costs,
    requests=st.integers(0, 3),
    usage=st.builds(Usage, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)),
    failure=st.none() | st.sampled_from(FailureKind),
)


@given(st.lists(st.lists(attempts, max_size=4), max_size=6), st.randoms())
def test_it_does_not_matter_whether_an_attempt_is_told_before_its_outcome(
    told: list[list[Attempt]], random: Any
) -> None:
    outcomes: list[Event] = [
        Settled(Outcome("ask", str(item), Status.GOOD, attempts=tuple(some))) for item, some in enumerate(told)
    ]
    events: list[Event] = [AttemptMade("ask", str(item), one) for item, some in enumerate(told) for one in some]
    random.shuffle(events)
    assert summarise([*events, *outcomes]) == summarise(outcomes)


@given(st.lists(attempts))
def test_a_summary_comes_back_from_its_json(some: list[Attempt]) -> None:
    summary = summarise([STARTED, *good("ask", "a", *some), FINISHED])
    assert summary_from_json(json.loads(json.dumps(summary_to_json(summary)))) == summary


def test_a_summary_is_kept_in_the_folder_of_its_run(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    summary = summarise([STARTED, *good("ask", "a", PAID), FINISHED])
    write_summary(tmp_path, summary)
    assert read_summary(tmp_path) == summary
    assert json.loads((tmp_path / "summary.json").read_text())["meta"] == {
        "seconds": 4.0,
        "steps": {"ask": 1.5, "reply": 0.0},
    }


@pytest.mark.parametrize("value", [None, [], {}, {"format": 1}, {"format": 1, "meta": {"steps": {}}, "steps": [1]}])
def test_what_is_no_summary_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="this is no summary of a run"):
        summary_from_json(value)


def test_a_summary_of_a_later_format_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="a summary of format 2 cannot be read by this version"):
        summary_from_json({"format": 2})


def test_of_very_many_reasons_the_later_ones_are_told_by_their_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.record.summary.MOST_REASONS", 2)
    reasons = ("new", "data:n: 1 → 2", "data:n: 2 → 3", "new", "data:n: 3 → 4")
    events = [
        AttemptMade("ask", str(number), Attempt(f"k{number}", Source.FRESH, reason=reason, requests=1))
        for number, reason in enumerate(reasons)
    ]
    (step,) = summarise(events).steps
    assert step.reasons == {"new": 2, "data:n: 1 → 2": 1, "data": 2}
