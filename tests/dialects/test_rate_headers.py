"""How long to wait where a provider tells its limits and no wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.outcome import FailureKind
from runner.dialects import DIALECTS
from runner.dialects.rate_headers import reset_s

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
