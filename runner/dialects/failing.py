"""What a status other than 200 means: the kind of failure, when to ask again, and one sentence to show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from runner.core.outcome import ROUTE_STOPPERS, Failure, FailureKind
from runner.dialects.payload import WRONG_PATH, is_web_page, show, show_bytes
from runner.dialects.rate_headers import reset_s

_KINDS = {
    401: FailureKind.AUTH,
    402: FailureKind.QUOTA,
    403: FailureKind.AUTH,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TRANSIENT,
    409: FailureKind.TRANSIENT,
    429: FailureKind.TRANSIENT,
}


def kind_of_status(status: int) -> FailureKind:
    """The kind when the body says nothing more exact."""
    if status in _KINDS:
        return _KINDS[status]
    if status >= 500:
        return FailureKind.TRANSIENT
    return FailureKind.BAD_REQUEST if status >= 400 else FailureKind.BAD_ANSWER


def describe_failure(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    kind: FailureKind | None,
    message: str,
    retry_after_s: float | None = None,
) -> Failure:
    """A Failure from what the dialect read in the body (`kind` None: it knows nothing better than the status)."""
    kind = _honour_should_retry(kind or kind_of_status(status), status, headers)
    if 300 <= status < 400:
        return Failure(
            kind, f"the provider answered {status}, a redirect, which is not followed: {WRONG_PATH}", status=status
        )
    if is_web_page(body):
        if kind in {FailureKind.BAD_REQUEST, FailureKind.BAD_ANSWER}:
            kind = FailureKind.BAD_ANSWER
        hint = "" if kind is FailureKind.TRANSIENT else f": {WRONG_PATH}"
        return Failure(
            kind,
            f"the provider answered {status} with a web page{hint}",
            status=status,
            retry_after_s=_wait(kind, headers),
        )
    said = show(message) or show_bytes(body)
    text = f"the provider answered {status}: {said}" if said else f"the provider answered {status} without a word"
    return Failure(kind, text, status=status, retry_after_s=_wait(kind, headers, retry_after_s))


def _honour_should_retry(kind: FailureKind, status: int, headers: Mapping[str, str]) -> FailureKind:
    wish = headers.get("x-should-retry", "").strip().lower()
    if wish == "false" and kind is FailureKind.TRANSIENT:
        return FailureKind.QUOTA if status == 429 else FailureKind.BAD_REQUEST
    if wish == "true" and kind not in ROUTE_STOPPERS:
        return FailureKind.TRANSIENT
    return kind


def _wait(kind: FailureKind, headers: Mapping[str, str], from_body_s: float | None = None) -> float | None:
    if kind is not FailureKind.TRANSIENT:
        return None
    hints = [hint for hint in (retry_after_s(headers), from_body_s) if hint is not None]
    return max(hints) if hints else reset_s(headers)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait that the headers ask for: `retry-after-ms`, else `retry-after` in seconds or as a date.

    A date is read against the answer's own `date` header, so that no clock is needed; without one it says nothing.
    """
    milliseconds = read_seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = read_seconds(text)
    return seconds if seconds is not None else _seconds_between(headers.get("date", ""), text)


def read_seconds(text: str) -> float | None:
    """A decimal number of at most 9 digits before the point, not negative; None for anything else."""
    whole, _, fraction = text.strip().partition(".")
    if not (whole + fraction).isascii() or not (whole + fraction).isdigit() or len(whole) > 9 or len(fraction) > 18:
        return None
    return float(f"{whole or 0}.{fraction or 0}")


def _seconds_between(earlier: str, later: str) -> float | None:
    if not earlier or not later:
        return None
    from email.utils import parsedate_to_datetime  # slow to import, and needed by failures only

    try:
        # One of the two may lack a zone; HTTP dates are in GMT.
        start, end = (parsedate_to_datetime(text).replace(tzinfo=None) for text in (earlier, later))
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, (end - start) / timedelta(seconds=1))
