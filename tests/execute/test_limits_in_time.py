"""What a provider sees of a run, over time: a simulated clock, so that minutes take no time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from runner.core.limits import RateLimit
from runner.core.outcome import Failure, FailureKind
from runner.core.span import Span

HERE = Span("runner.yaml", 1, 1)
BUSY = Failure(FailureKind.TRANSIENT, "slow down", status=429)


def rates(street: Any) -> Counter[int]:
    """Requests by whole second."""
    return Counter(int(at) for at, _ in street.sent)


# 20 % of all rows are refused at first


@pytest.mark.parametrize(
    ("rows", "hint_s"), [(2000, None), (2000, 0.5), pytest.param(10_000, 2.0, marks=pytest.mark.slow)]
)
def test_random_refusals_bring_no_early_retry_and_no_request_too_many(
    street: Any, rows: int, hint_s: float | None
) -> None:
    refusal = Failure(FailureKind.TRANSIENT, "slow down", status=429, retry_after_s=hint_s)
    unlucky = {f"question {number}" for number in range(rows) if street.chance.random() < 0.2}
    asked: set[str] = set()

    def serve(_now: float, text: str) -> tuple[float, Failure | None]:
        is_first = text not in asked
        asked.add(text)
        return 0.2, refusal if is_first and text in unlucky else None

    street.serve = serve
    answered = street.run(rows, at_once=64)
    assert all(one.answer is not None for one in answered)
    assert len(street.sent) == rows + len(unlucky)
    refused_at = {text: at for at, text, failure in street.ended if failure is not None}
    retries = [(at, refused_at[text]) for at, text in street.sent if at > refused_at.get(text, at)]
    assert len(retries) == len(unlucky)
    assert not [at for at, refused in retries if at < refused + (hint_s or 0.0)]
    if hint_s is None:
        assert street.now - 1000 < 60, "a lower rate does not help, so the run is not slowed down to nothing"


def test_a_wait_that_one_caller_is_asked_for_holds_for_all(street: Any) -> None:
    """No request goes out between a refusal and the end of the wait that it asks for."""
    wish = Failure(FailureKind.TRANSIENT, "slow down", status=429, retry_after_s=5.0)
    street.serve = lambda _now, _text: (0.1, wish if len(street.sent) in (100, 400) else None)
    street.run(600, at_once=16)
    for refused_at in (at for at, _, failure in street.ended if failure is not None):
        assert not [at for at, _ in street.sent if refused_at < at < refused_at + 5.0]


# A limit that is real


def test_a_limit_of_the_provider_is_found_and_kept_to(street: Any) -> None:
    """It takes 50 requests a second: after the first minute nearly all are accepted, and nearly all room is used."""
    room: Counter[int] = Counter()

    def serve(now: float, _text: str) -> tuple[float, Failure | None]:
        room[int(now)] += 1
        return 0.3, BUSY if room[int(now)] > 50 else None

    street.serve = serve
    answered = street.run(4000, at_once=200)
    assert sum(one.answer is None for one in answered) <= 4
    late = [(at, failure) for at, _, failure in street.ended if at > 1030]
    refused = sum(failure is not None for _, failure in late)
    assert refused / len(late) < 0.1
    assert (street.now - 1000) < 4000 / 50 * 1.5


def test_a_limit_by_the_minute_is_learnt_with_the_wait_that_it_asks_for(street: Any) -> None:
    """60 a minute, and a refusal says when the minute is over: the rate that is learnt is the one that lasts."""
    room: Counter[int] = Counter()

    def serve(now: float, _text: str) -> tuple[float, Failure | None]:
        minute, rest = divmod(now, 60.0)
        room[int(minute)] += 1
        wish = Failure(FailureKind.TRANSIENT, "slow down", status=429, retry_after_s=60.0 - rest)
        return 0.2, wish if room[int(minute)] > 60 else None

    street.serve = serve
    answered = street.run(300, at_once=8)
    assert all(one.answer is not None for one in answered)
    assert len(street.sent) <= 300 * 1.1
    assert street.now - 1000 < 7.5 * 60


# An outage


@pytest.mark.parametrize("is_unsent", [True, False])
def test_after_an_outage_nobody_rushes_in(street: Any, is_unsent: bool) -> None:
    """60 s without an answer while 1,000 wait: the first second after it brings no more than the rate before it."""
    down = Failure(FailureKind.TRANSIENT, "down", status=None if is_unsent else 503, is_unsent=is_unsent)
    street.serve = lambda now, _text: (0.01, down) if 1020 <= now < 1080 else (5.0, None)
    answered = street.run(8000, at_once=1000)
    assert all(one.answer is not None for one in answered)
    (limiter,) = street.limits.all()
    before = 1000 / 5
    back = min(at for at, _, failure in street.ended if failure is None and at > 1080)
    first = sum(back <= at < back + 1 for at, _ in street.sent)
    assert 0 < first <= before / 2, "it climbs from an eighth"
    assert max(rates(street)[int(back) + later] for later in range(4, 12)) > before / 2, "and is back soon"
    assert sum(failure is not None for _, _, failure in street.ended) < 1500, "few ask in vain"
    assert back < 1080 + 65
    assert limiter.learnt.rate is not None


# The project's own limits


def test_configured_requests_hold_in_every_window(street: Any) -> None:
    limit = RateLimit("scripted/*", HERE, requests=100, per_s=10.0)
    street.run(450, at_once=50, rules=(limit,))
    times = [at for at, _ in street.sent]
    assert max(sum(start <= at < start + 10 - 1e-6 for at in times) for start in times) <= 100
    assert street.now - 1000 < 47


def test_configured_requests_in_flight_hold(street: Any) -> None:
    limit = RateLimit("scripted/m", HERE, in_flight=5)
    street.run(50, at_once=50, rules=(limit,))
    assert street.now - 1000 == pytest.approx(1.0)


def test_limits_of_other_models_do_not_matter(street: Any) -> None:
    street.run(50, at_once=50, rules=(RateLimit("gemini/*", HERE, in_flight=1),))
    assert street.now - 1000 == pytest.approx(0.1)


def test_configured_tokens_hold_by_what_was_used(street: Any) -> None:
    """A question is taken to need what the ones before it took; what an answer says is put right."""
    answered = street.run(1, at_once=1)
    used = answered[0].response.usage
    limit = RateLimit("*", HERE, tokens=10 * (used.input_tokens + used.output_tokens), per_s=10.0)
    street.sent.clear()
    street.run(60, at_once=4, rules=(limit,))
    assert 48 < street.now - 1000 < 66


# Who does not answer


def test_a_limit_starts_slowly_where_many_may_ask_at_once(street: Any) -> None:
    street.run(1000, at_once=1000)
    first = street.sent[0][0]
    assert 64 <= sum(at < first + 0.001 for at, _ in street.sent) < 70
    assert street.sent[-1][0] - first < 0.1


def test_a_provider_that_nobody_reaches_is_given_up_after_a_few_requests(street: Any) -> None:
    street.serve = lambda _now, _text: (0.001, Failure(FailureKind.TRANSIENT, "refused", is_unsent=True))
    answered = street.run(10_000, at_once=8)
    assert len(street.sent) <= 8 + 10
    kinds = Counter(one.failure.kind for one in answered)
    assert kinds[FailureKind.NOT_ASKED] >= 10_000 - 18
    assert {one.failure.message for one in answered if one.requests == 1} == {
        "refused",
        "refused; no request of this run has reached it",
    }


def test_a_provider_that_is_gone_for_ten_minutes_ends_the_run(street: Any) -> None:
    street.serve = lambda now, _text: (0.5, BUSY if now > 1002 else None)
    answered = street.run(1000, at_once=32)
    assert 600 < street.now - 1002 < 700
    assert "slow down; nothing has been answered for 10 minutes" in {
        one.failure.message for one in answered if one.failure
    }


def test_one_bad_row_does_not_stop_the_others(street: Any) -> None:
    oops = Failure(FailureKind.TRANSIENT, "oops", status=500)
    street.serve = lambda _now, text: (0.05, oops if text.endswith("question 0") else None)
    answered = street.run(500, at_once=1)
    assert [one.answer is None for one in answered] == [True, *[False] * 499]
    (limiter,) = street.limits.all()
    assert limiter.learnt.rate is None
