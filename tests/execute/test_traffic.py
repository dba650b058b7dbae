"""What is told of the requests under way, and of what holds them back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from runner.core.limits import RateLimit
from runner.core.outcome import Failure, FailureKind
from runner.core.span import Span
from runner.core.traffic import Traffic
from runner.execute.limits import Limiter, Limits

HERE = Span("runner.yaml", 1, 1)
BUSY = Failure(FailureKind.TRANSIENT, "slow down", status=429)


class HandClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


def limiter(*rules: RateLimit) -> tuple[Limiter, HandClock]:
    clock = HandClock()
    return Limiter("a/b", cast(Any, clock), lambda: 0.0, rules), clock


def refuse(line: Limiter, clock: HandClock, failure: Failure = BUSY) -> None:
    """A request goes out and is refused."""
    turn = line.try_enter(lambda: 1)
    assert turn is not None
    clock.time += 0.5
    line.ended(turn, failure)


def test_nothing_holds_back_what_was_never_refused() -> None:
    line, _ = limiter()
    line.try_enter(lambda: 1)
    assert line.traffic() == Traffic("a/b", 1)


@pytest.mark.parametrize(
    ("rules", "per_s", "most"),
    [
        ([RateLimit("*", HERE, requests=600), RateLimit("*", HERE, in_flight=4)], 10.0, 4),
        ([RateLimit("*", HERE, requests=600), RateLimit("*", HERE, requests=60)], 1.0, None),
        ([RateLimit("*", HERE, tokens=600)], None, None),
    ],
)
def test_limits_of_the_project_are_told(rules: list[RateLimit], per_s: float | None, most: int | None) -> None:
    line, _ = limiter(*rules)
    assert line.traffic() == Traffic("a/b", 0, 0, per_s, most, "limits in runner.yaml")


def test_a_learnt_rate_is_told_with_its_reason() -> None:
    line, clock = limiter(RateLimit("*", HERE, requests=6000))
    refuse(line, clock)
    assert line.traffic() == Traffic("a/b", 0, 0, line.learnt.rate, None, "learnt from 1 refusal")
    clock.time += 60
    refuse(line, clock)
    assert line.traffic().why == "learnt from 2 refusals"


def test_a_rate_of_the_project_below_the_learnt_one_holds() -> None:
    line, clock = limiter(RateLimit("*", HERE, requests=6))
    refuse(line, clock)
    assert line.traffic() == Traffic("a/b", 0, 0, 0.1, None, "limits in runner.yaml")


def test_a_wait_that_was_asked_for_is_told() -> None:
    line, clock = limiter()
    refuse(line, clock, Failure(FailureKind.TRANSIENT, "slow down", status=429, retry_after_s=20.0))
    assert line.traffic().why == "20 s until it may be asked again"


def test_an_outage_is_told() -> None:
    line, clock = limiter()
    for _ in range(3):
        refuse(line, clock)
        clock.time += 60
    told = line.traffic()
    assert (told.most, told.why) == (1, "no answer since 3 refusals: one request at a time")


def test_slow_answers_are_told() -> None:
    line, _ = limiter(RateLimit("*", HERE, in_flight=64))
    line.slowing.most = 12.8
    assert line.traffic() == Traffic("a/b", 0, 0, None, 12, "answers became slow")
    line.slowing.most = 80.0
    assert line.traffic().most == 64


def test_a_run_tells_of_all_its_models() -> None:
    provider = SimpleNamespace(base_url="", name="acme", key_env="")
    route = cast(Any, SimpleNamespace(name="acme/small", provider=provider, model="small"))
    limits = Limits(cast(Any, HandClock()), lambda: 0.0)
    assert limits.traffic() == ()
    limits.of(route)
    assert limits.traffic() == (Traffic("acme/small", 0),)
