"""How long to wait where a provider tells its limits and no wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.limits import Beside, Room
from runner.core.outcome import FailureKind
from runner.dialects import DIALECTS
from runner.dialects.beside import read_beside
from runner.dialects.rate_headers import reset_s, rooms

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12ms"}, 0.012),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5s"}, 1.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 60.0),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "9s"}, None),
        ({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "9s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "5s",
            },
            5.0,
        ),
        (
            {
                "date": DATE,
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-22T10:00:07Z",
            },
            7.0,
        ),
        (
            {
                "date": DATE,
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-22T09:59:00Z",
            },
            0.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-22T10:00:07Z",
            },
            None,
        ),
        (
            {
                "date": DATE,
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "Tuesday",
            },
            None,
        ),
    ],
)
def test_an_empty_bucket_is_waited_for(headers: dict[str, str], seconds: float | None) -> None:
    assert reset_s(headers) == seconds


@pytest.mark.parametrize("dialect", ["gemini", "openai-chat", "openai-responses", "anthropic"])
def test_a_wait_that_is_asked_for_goes_before_the_limits(dialect: str) -> None:
    empty = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}
    failure = DIALECTS[dialect].failure(429, empty, b"{}")
    assert (failure.kind, failure.retry_after_s) == (FailureKind.TRANSIENT, 9.0)
    assert DIALECTS[dialect].failure(429, {**empty, "retry-after": "2"}, b"{}").retry_after_s == 2.0


@given(st.text(), st.text())
def test_no_header_crashes(text: str, date: str) -> None:
    found = reset_s({"date": date, "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": f"{text}T"})
    assert found is None or 0 <= found <= 60


# Beside a good answer

OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-tokens": "150000",
    "x-ratelimit-reset-tokens": "1m15s",
}
ANTHROPIC = {
    "date": DATE,
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2026-11-22T10:00:00Z",
    "anthropic-ratelimit-tokens-limit": "480000",
    "anthropic-ratelimit-tokens-remaining": "470000",
    "anthropic-ratelimit-tokens-reset": "2026-11-22T10:00:02Z",
    "anthropic-ratelimit-input-tokens-limit": "400000",
    "anthropic-ratelimit-input-tokens-remaining": "399000",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-22T10:00:01Z",
    "anthropic-ratelimit-output-tokens-limit": "80000",
    "anthropic-ratelimit-output-tokens-remaining": "71000",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-22T10:00:07Z",
}


def test_what_room_is_left_is_read_as_the_providers_tell_it() -> None:
    assert rooms(OPENAI) == (Room("requests", 500, 499, 0.12), Room("tokens", 200_000, 150_000, 75.0))
    assert rooms(ANTHROPIC) == (  # whole seconds, of which the last may have just begun
        Room("requests", 4000, 3999, 1.0),
        Room("tokens", 480_000, 470_000, 3.0),
        Room("input", 400_000, 399_000, 2.0),
        Room("output", 80_000, 71_000, 8.0),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"x-ratelimit-limit-requests": ""},
        {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-remaining-requests": "-1"},
        {"x-ratelimit-remaining-requests": "501"},
        {"x-ratelimit-remaining-requests": "many"},
        {"x-ratelimit-reset-requests": "soon"},
        {"x-ratelimit-reset-requests": ""},
    ],
)
def test_what_makes_no_sense_together_says_nothing(change: dict[str, str]) -> None:
    assert [room.of for room in rooms({**OPENAI, **change})] == ["tokens"]


def test_a_wait_beside_a_good_answer_is_a_minute_at_most() -> None:
    assert read_beside({}) == Beside()
    assert read_beside({"retry-after": "3"}) == Beside(wait_s=3.0)
    assert read_beside({"retry-after": "3600"}) == Beside(wait_s=60.0)
    assert read_beside({**OPENAI, "retry-after-ms": "20"}) == Beside(rooms(OPENAI), 0.02)
