from __future__ import annotations

import pytest

from runner.core.outcome import Failure, FailureKind
from runner.dialects.failing import describe_failure, kind_of_status, retry_after_s


def fail(status: int, headers: dict[str, str] | None = None, body: bytes = b"", message: str = "no") -> Failure:
    return describe_failure(status, headers or {}, body, kind=None, message=message)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "20"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "20"}, 20.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 -0000", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 10:00:30 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "²"}, None),
    ],
)
def test_the_wait_is_read_from_the_headers_without_a_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
    assert fail(429, headers).retry_after_s == seconds


def test_what_is_not_asked_again_has_no_wait() -> None:
    assert fail(400, {"retry-after": "20"}).retry_after_s is None


def test_the_longer_of_two_hints_counts() -> None:
    failure = describe_failure(429, {"retry-after": "2"}, b"", kind=None, message="no", retry_after_s=37.0)
    assert failure.retry_after_s == 37.0


@pytest.mark.parametrize(
    ("status", "wish", "kind"),
    [
        (500, "false", FailureKind.BAD_REQUEST),
        (429, "False ", FailureKind.QUOTA),
        (400, "true", FailureKind.TRANSIENT),
        (503, "true", FailureKind.TRANSIENT),
        (401, "true", FailureKind.AUTH),
        (400, "false", FailureKind.BAD_REQUEST),
        (500, "maybe", FailureKind.TRANSIENT),
    ],
)
def test_the_server_may_say_whether_to_ask_again(status: int, wish: str, kind: FailureKind) -> None:
    assert fail(status, {"x-should-retry": wish}).kind is kind


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_points_at_the_wrong_path(status: int) -> None:
    assert fail(status, {"location": "https://elsewhere.example"}, b"<html>moved</html>") == Failure(
        FailureKind.BAD_ANSWER,
        f"the provider answered {status}, a redirect, which is not followed: "
        "does base_url lead to the API (for most servers it ends in /v1)?",
        status=status,
    )


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (
            404,
            FailureKind.NOT_FOUND,
            "the provider answered 404 with a web page: does base_url lead to the API (for most servers it ends in /v1)?",
        ),
        (
            405,
            FailureKind.BAD_ANSWER,
            "the provider answered 405 with a web page: does base_url lead to the API (for most servers it ends in /v1)?",
        ),
        (
            204,
            FailureKind.BAD_ANSWER,
            "the provider answered 204 with a web page: does base_url lead to the API (for most servers it ends in /v1)?",
        ),
        (502, FailureKind.TRANSIENT, "the provider answered 502 with a web page"),
    ],
)
def test_a_web_page_is_named_as_one(status: int, kind: FailureKind, message: str) -> None:
    failure = fail(status, {"retry-after": "3"}, b"\xef\xbb\xbf\n <!DOCTYPE html>", message="")
    assert (failure.kind, failure.message) == (kind, message)
    assert failure.retry_after_s == (3.0 if kind is FailureKind.TRANSIENT else None)


def test_a_status_without_a_word_is_said_so() -> None:
    assert fail(500, message="").message == "the provider answered 500 without a word"
    assert fail(500, body=b"oops\x1b", message="").message == "the provider answered 500: oops\\x1b"


@pytest.mark.parametrize("status", [100, 201, 204, 206])
def test_a_success_of_another_kind_is_no_answer(status: int) -> None:
    assert kind_of_status(status) is FailureKind.BAD_ANSWER


def test_no_status_crashes() -> None:
    assert {kind_of_status(status) for status in range(400, 600)} == {
        *(FailureKind.AUTH, FailureKind.QUOTA, FailureKind.NOT_FOUND, FailureKind.TRANSIENT, FailureKind.BAD_REQUEST),
    }
