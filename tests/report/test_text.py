from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import ContextKept
from runner.core.outcome import Attempt, Source, Violation
from runner.record.summary import RunSummary, StepSummary
from runner.report.text import (
    closing_line,
    context_line,
    left_out_line,
    misfit_lines,
    name_width,
    paid_twice_line,
    progress_line,
    step_line,
)


def fresh(**values: Any) -> StepSummary:
    spent: dict[str, Any] = {"model": "acme/small", "items": 1, "good": 1, "calls": 1, "requests": 1, "input_tokens": 188,
             "output_tokens": 66, "seconds": 0.9, "cost_usd": 0.0003, "reasons": {"new": 1}}  # fmt: skip
    return StepSummary("tag", **(spent | values))


def stored(**values: Any) -> StepSummary:
    return StepSummary("tag", **({"items": 1, "good": 1} | values))


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (fresh(), "acme/small   188 in, 66 out   0.9 s   $0.0003"),
        (fresh(model="", cost_usd=None), "188 in, 66 out   0.9 s   ?"),
        (fresh(reasons={"failed-before": 1}), "acme/small   188 in, 66 out   0.9 s   $0.0003   why failed-before"),
        (fresh(good=0, failed=1), "failed   acme/small   188 in, 66 out   0.9 s   $0.0003"),
        (fresh(items=3, good=3, cached=1, calls=2, requests=2, reasons={"": 1, "thinking": 2}),
         "1 cached   2 calls   acme/small   188 in, 66 out   0.9 s   $0.0003   why thinking (2)"),
        (fresh(items=2, good=2, calls=4, repairs=2, requests=5),
         "2 items   4 calls (2 repairs, 1 retry)   acme/small   188 in, 66 out   0.9 s   $0.0003"),
        (fresh(cached_tokens=100), "acme/small   188 in (100 cached), 66 out   0.9 s   $0.0003"),
        (fresh(kept_tokens=9, keeping_usd=0.0002), "acme/small   188 in, 66 out   0.9 s   $0.0003 ($0.0002 of it for keeping)"),
        (stored(cached=1), "cached"),
        (stored(recorded=1), "recorded"),
        (stored(items=11, cached=10, recorded=1), "10 cached, 1 recorded"),
        (stored(good=0, skipped=1), "skipped"),
        (stored(good=0, blocked=1), "not run"),
        (stored(good=0, failed=1), "failed"),
        (stored(items=4, good=1, failed=1, skipped=1, blocked=1), "1 failed, 1 skipped, 1 not run"),
        (stored(items=0, good=0), "no items"),
        (stored(items=0, good=0, is_reached=False), "not reached"),
        (stored(good=0, is_reached=False), "not reached"),
        (stored(), ""),
    ],
)  # fmt: skip
def test_a_step_in_one_line(step: StepSummary, line: str) -> None:
    assert step_line(step, 10) == f"tag          {line}".rstrip()


def test_what_is_kept_is_one_line_under_its_step() -> None:
    new = ContextKept("tag", "acme/small", "c/1", 2000, 1800.0, 0.002, 0.001, is_new=True)
    assert context_line(new) == "tag          2,000 tokens kept at acme/small for 30 min, $0.003"
    unpriced = ContextKept("tag", "acme/small", "c/1", 2000, 1800.0, 0.002, None, is_new=True)
    assert context_line(unpriced) == "tag          2,000 tokens kept at acme/small for 30 min, ?"
    known = ContextKept("tag", "acme/small", "c/1", 1, 61.0, 0.0, 0.0, is_new=False)
    assert context_line(known) == "tag          1 token kept at acme/small 1 min 01 s more"


def test_what_is_left_out_is_one_line_of_bounded_length() -> None:
    assert left_out_line("tag[1]  cut: a\nb") == "             left out: tag[1]  cut: a\\nb"
    assert left_out_line("x" * 300) == f"             left out: {'x' * 239}…"


def test_the_name_column_fits_the_longest_name() -> None:
    assert name_width([]) == 10
    assert name_width(["extract", "a-rather-long-name"]) == 18


def test_closing_lines() -> None:
    assert closing_line(RunSummary("r1", "w", "done", 0, 0.2, ())) == "0 calls, 0 cached, $0.00, 0.2 s    run r1"
    paid = fresh(calls=3, repairs=1, requests=3, cached=1, cost_usd=0.0042)
    assert closing_line(RunSummary("r8", "w", "done", 0, 4.2, (paid,))) == (
        "3 calls (1 repair), 1 cached, $0.0042, 4.2 s    run r8"
    )
    free = stored(items=12, cached=12, recorded=2, saved_usd=0.031)
    assert closing_line(RunSummary("r12", "w", "done", 0, 0.2, (free,))) == (
        "0 calls, 12 cached, 2 recorded, $0.00 (saved $0.031), 0.2 s    run r12"
    )
    unknown = fresh(cost_usd=None, failed=1)
    assert closing_line(RunSummary("r2", "w", "failed", 1, 0.2, (paid, unknown))) == (
        "4 calls (1 repair), 1 cached, 1 failed, ?, 0.2 s    run r2    exit 1"
    )


def test_what_may_be_paid_twice_is_said() -> None:
    assert paid_twice_line(RunSummary(steps=(fresh(),))) == ""
    assert paid_twice_line(RunSummary(steps=(fresh(maybe_paid_twice=2),))) == (
        "2 requests got no answer after being sent: the provider may count them twice"
    )


def test_a_misfit_shows_its_violations() -> None:
    violations = (Violation("/a", "type", "a number", "x\ny"), Violation("", "ensure", "a > 0"))
    assert misfit_lines("tag", Attempt("k", Source.CACHED, repair=1, violations=violations), 5) == [
        "tag     answer 2 (cached) does not fit",
        "          /a       x\\ny, expected a number",
        "          (root)   expected a > 0",
    ]
    assert misfit_lines("a-long-name", Attempt("k", Source.FRESH), 5) == ["a-long-name   answer 1 does not fit"]


def test_progress_counts_in_plain_integers() -> None:
    assert progress_line("tag", 1200, 30000, 0, 5) == "tag     1,200 of 30,000"
    assert progress_line("tag", 1200, 30000, 3, 5) == "tag     1,200 of 30,000   3 failed"


@given(st.builds(StepSummary, step=st.just("s"), model=st.just("a/b"), items=st.integers(0, 9), good=st.integers(0, 9),
                 failed=st.integers(0, 2), skipped=st.integers(0, 2), blocked=st.integers(0, 2),
                 calls=st.integers(0, 9), cached=st.integers(0, 9), requests=st.integers(0, 20),
                 cost_usd=st.none() | st.floats(0, 1e6)))  # fmt: skip
def test_any_step_is_one_line_under_its_name(step: StepSummary) -> None:
    line = step_line(step, 10)
    assert line.startswith("s")
    assert "\n" not in line
    assert line == line.rstrip()


def test_reasons_stay_short() -> None:
    one = fresh(reasons={"input:who: Ann\n → " + "b" * 90: 1})
    assert step_line(one).endswith("why input:who: Ann\\n → " + "b" * 60 + "…")
    reasons = {"input:who: a → b": 1, "input:who: a → c": 2, "thinking: low → high": 1, "model": 4, "system": 1}
    many = fresh(items=9, good=9, calls=9, requests=9, reasons=reasons)
    assert step_line(many).endswith("why model (4), input:who (3), thinking (1), 1 more")
