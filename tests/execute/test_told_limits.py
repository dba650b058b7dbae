"""Limits that a provider tells beside its answers, over simulated time: they are kept to before it refuses anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.core.limits import Beside, Room
from runner.core.outcome import Failure, FailureKind
from runner.execute.limits import Limiter
from runner.execute.room import Rooms, Total

BUSY = Failure(FailureKind.TRANSIENT, "slow down", status=429)
START = datetime(2026, 11, 22, 10, tzinfo=UTC)


class Bucket:
    """A provider's limit: so much, filled again evenly. Each request takes `size` of it or is refused."""

    def __init__(self, most: int, per_s: float, size: int = 1) -> None:
        self.most, self.per_s, self.size = most, per_s, size
        self.left, self.at = float(most), 1000.0
        self.said: dict[str, Mapping[str, str]] = {}
        self.refused = 0

    def serve(self, now: float, text: str) -> tuple[float, Failure | None]:
        self.left = min(self.most, self.left + (now - self.at) * self.per_s)
        self.at = now
        if self.left < self.size:
            self.refused += 1
            return 0.4, BUSY
        self.left -= self.size
        self.said[text] = {"left": str(int(self.left)), "full_in_s": str((self.most - self.left) / self.per_s)}
        return 0.4, None

    def openai(self, text: str, what: str = "requests") -> Mapping[str, str]:
        said = self.said[text]
        return {
            f"x-ratelimit-limit-{what}": str(self.most),
            f"x-ratelimit-remaining-{what}": said["left"],
            f"x-ratelimit-reset-{what}": f"{float(said['full_in_s']) * 1000:.0f}ms",
        }

    def anthropic(self, text: str, what: str = "requests") -> Mapping[str, str]:
        said, name = self.said[text], f"anthropic-ratelimit-{what}"
        full_at = START + timedelta(seconds=round(float(said["full_in_s"])))
        return {
            f"{name}-limit": str(self.most),
            f"{name}-remaining": said["left"],
            f"{name}-reset": full_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "date": START.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        }


@pytest.mark.parametrize("family", ["openai", "anthropic"])
def test_requests_that_are_told_to_be_left_are_kept_to_without_a_refusal(street: Any, family: str) -> None:
    bucket = Bucket(300, per_s=20)
    street.serve, street.beside = bucket.serve, getattr(bucket, family)
    answered = street.run(900, at_once=48)
    assert all(one.answer is not None for one in answered)
    assert (bucket.refused, len(street.sent)) == (0, 900)
    assert street.now - 1000 < 1.15 * (900 - 300) / 20, "nor is room left unused"


def test_without_a_word_about_limits_the_same_provider_refuses_some(street: Any) -> None:
    bucket = Bucket(300, per_s=20)
    street.serve = bucket.serve
    street.run(900, at_once=48)
    assert bucket.refused > 20


@pytest.mark.parametrize(("family", "what"), [("openai", "tokens"), ("anthropic", "input-tokens")])
def test_tokens_that_are_told_to_be_left_are_kept_to(street: Any, family: str, what: str) -> None:
    bucket = Bucket(1800, per_s=60, size=2)  # the questions have two tokens by our estimate
    street.serve, street.beside = bucket.serve, lambda text: getattr(bucket, family)(text, what)
    answered = street.run(1800, at_once=48)
    assert all(one.answer is not None for one in answered)
    assert bucket.refused == 0
    assert street.now - 1000 < 1.15 * (3600 - 1800) / 60


def test_a_wait_beside_a_good_answer_holds_for_all(street: Any) -> None:
    first: list[float] = []

    def beside(_text: str) -> Mapping[str, str]:
        first.append(street.ended[-1][0])
        return {"retry-after": "5"} if len(first) == 1 else {}

    street.beside = beside
    street.run(20, at_once=4)
    assert not [at for at, _ in street.sent if first[0] < at < first[0] + 5]


# The arithmetic


def total(requests: int, tokens: float = 0.0) -> Total:
    return Total(requests, requests if tokens else 0, tokens, 0.0)


def test_what_was_sent_after_the_request_is_taken_off() -> None:
    rooms = Rooms()
    rooms.note((Room("requests", 10, 4, 3.0),), 100.0, total(6))
    assert rooms.wait_s(100.0, total(8)) == 0.0, "one is left alone"
    assert rooms.wait_s(100.0, total(9)) == 0.5
    assert rooms.wait_s(100.5, total(9)) == 0.0
    assert rooms.wait_s(200.0, total(14)) == 0.0, "no more than all of it comes back"
    assert rooms.wait_s(200.0, total(15)) == 0.5


def test_of_a_large_limit_a_hundredth_is_left_alone() -> None:
    rooms = Rooms()
    rooms.note((Room("requests", 1000, 20, 9.8),), 100.0, total(6))
    assert [rooms.wait_s(100.0, total(6 + more)) for more in (9, 10)] == [0.0, pytest.approx(0.01)]


def test_of_a_limit_of_one_all_is_used() -> None:
    rooms = Rooms()
    rooms.note((Room("requests", 1, 1, 0.0),), 100.0, total(1))
    rooms.note((Room("requests", 1, 0, 6.0),), 101.0, total(2))
    assert rooms.wait_s(101.0, total(2)) == 6.0
    assert rooms.wait_s(107.0, total(2)) == 0.0


def test_an_answer_to_an_earlier_request_says_nothing_new() -> None:
    rooms = Rooms()
    rooms.note((Room("requests", 10, 1, 1.0),), 100.0, total(9))
    rooms.note((Room("requests", 10, 9, 1.0),), 99.0, total(1))
    assert rooms.wait_s(100.0, total(10)) > 0


def test_a_limit_that_is_full_holds_nothing_back() -> None:
    rooms = Rooms()
    rooms.note((Room("requests", 10, 10, 0.0),), 100.0, total(1))
    assert rooms.wait_s(100.0, total(50)) == 0.0
    assert rooms.waited_for(100.0, total(50)) is None


def test_a_limit_that_was_never_seen_to_have_room_is_not_believed() -> None:
    rooms = Rooms()
    rooms.note((Room("requests", 10, 0, 60.0),), 100.0, total(1))
    assert rooms.wait_s(100.0, total(9)) == 0.0
    rooms.note((Room("requests", 10, 1, 9.0),), 101.0, total(2))
    rooms.note((Room("requests", 10, 0, 10.0),), 102.0, total(3))
    assert rooms.wait_s(102.0, total(3)) == 2.0


def test_the_limit_with_the_longest_wait_decides() -> None:
    rooms = Rooms()
    tokens = Room("tokens", 1000, 100, 60.0)
    rooms.note((Room("requests", 10, 1, 9.0), tokens), 100.0, total(5, 500))
    assert rooms.count_tokens
    assert rooms.wait_s(100.0, total(6, 600)) == pytest.approx(200 / 15)
    assert rooms.waited_for(100.0, total(6, 600)) == (tokens, 15.0)


@pytest.mark.parametrize(
    ("room", "rate", "why"),
    [
        (Room("requests", 60, 2, 58.0), 1.0, "60 requests are used up by what the provider says"),
        (Room("tokens", 6000, 110, 60.0), None, "6,000 tokens are used up by what the provider says"),
        (Room("input", 6000, 110, 60.0), None, "6,000 input tokens are used up by what the provider says"),
    ],
)
def test_what_holds_back_is_told(room: Room, rate: float | None, why: str) -> None:
    class Clock:
        def monotonic(self) -> float:
            return 100.0

    limiter = Limiter("box/m", Clock(), lambda: 0.0)  # type: ignore[arg-type]
    turn = limiter.try_enter(lambda: 50)
    assert turn is not None
    limiter.heard(turn, Beside((room,)))
    following = limiter.try_enter(lambda: 50)
    assert following is not None
    seen = limiter.traffic()
    assert (seen.per_s, seen.why) == (rate, why)
    assert limiter.try_enter(lambda: 50) is None
