"""When a failed request is sent again."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.outcome import RETRIED_KINDS, Failure, FailureKind
from runner.execute.retry import LONGEST_HINT_S, LONGEST_WAIT_S, GiveUp, Wait, backoff, decide

BUSY = Failure(FailureKind.TRANSIENT, "busy")


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - RETRIED_KINDS))
def test_what_waiting_does_not_heal_is_not_tried_again(kind: FailureKind) -> None:
    assert decide(Failure(kind, "no", retry_after_s=1.0), tries=1) == GiveUp("trying again would not help")


@pytest.mark.parametrize("kind", sorted(RETRIED_KINDS))
def test_network_trouble_is_tried_again(kind: FailureKind) -> None:
    assert decide(Failure(kind, "no"), tries=1, random=1.0) == Wait(0.5)


def test_the_wait_doubles_up_to_a_minute() -> None:
    assert [backoff(tries) for tries in (1, 2, 3, 4, 7, 8, 9, 10**6)] == [0.5, 1, 2, 4, 32, 60, 60, 60]


def test_the_default_is_four_retries() -> None:
    assert isinstance(decide(BUSY, tries=4), Wait)
    assert decide(BUSY, tries=5) == GiveUp("tried 5 times")


def test_without_retries_the_first_failure_is_the_last() -> None:
    assert decide(BUSY, tries=1, retries=0) == GiveUp("no retries are allowed")


def test_the_providers_wish_is_a_lower_bound_with_jitter_on_top() -> None:
    asked = Failure(FailureKind.TRANSIENT, "slow down", retry_after_s=7.0)
    assert decide(asked, tries=1, random=0.0) == Wait(7.0)
    assert decide(asked, tries=2, random=0.5) == Wait(7.5)


def test_a_wish_for_more_than_two_minutes_ends_the_tries_and_is_named() -> None:
    asked = Failure(FailureKind.TRANSIENT, "slow down", retry_after_s=300.0)
    assert decide(asked, tries=1) == GiveUp("the provider asks to wait 300 s, and a run waits 120 s at most")


def test_a_wait_that_would_pass_the_total_time_is_not_begun() -> None:
    assert decide(BUSY, tries=1, elapsed_s=9.8, budget_s=10, random=1.0) == GiveUp("the 10 s for all tries are used up")
    assert decide(BUSY, tries=1, elapsed_s=9.5, budget_s=10, random=1.0) == Wait(0.5)


@pytest.mark.parametrize("hint", [-5.0, math.nan])
def test_a_nonsensical_wish_counts_as_none(hint: float) -> None:
    assert decide(Failure(FailureKind.TRANSIENT, "x", retry_after_s=hint), tries=1, random=0.0) == Wait(0.0)


@given(
    tries=st.integers(1, 10**9),
    retries=st.integers(0, 10**9),
    elapsed_s=st.floats(0, 1e9),
    hint=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    random=st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_bounded_and_never_shorter_than_asked(
    tries: int, retries: int, elapsed_s: float, hint: float | None, random: float
) -> None:
    failure = Failure(FailureKind.TRANSIENT, "busy", retry_after_s=hint)
    match decide(failure, tries=tries, retries=retries, elapsed_s=elapsed_s, budget_s=600, random=random):
        case Wait(seconds):
            wish = 0.0 if hint is None or math.isnan(hint) else max(0.0, hint)
            assert wish <= seconds <= wish + LONGEST_WAIT_S
            assert wish <= LONGEST_HINT_S
            assert tries <= retries
            assert elapsed_s + seconds <= 600
        case GiveUp(reason):
            assert reason
