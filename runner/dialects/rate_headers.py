"""What a provider says of its rate limits beside an answer, as the wait that it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

# A reset is when the whole bucket is full again; a slot is free long before, so no longer wait is made of it.
MOST_S: Final = 60.0

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s)", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|h|m|s)){1,4}", re.ASCII)
# Both families name what is limited, what remains and when it is reset, in another order.
_BUCKETS = tuple(
    (pattern.format(what="remaining", bucket=bucket), pattern.format(what="reset", bucket=bucket))
    for pattern, buckets in (
        ("x-ratelimit-{what}-{bucket}", ("requests", "tokens")),
        ("anthropic-ratelimit-{bucket}-{what}", ("requests", "tokens", "input-tokens", "output-tokens")),
    )
    for bucket in buckets
)


def reset_s(headers: Mapping[str, str]) -> float | None:
    """The seconds until the buckets that are empty are full again, None where none is or nothing is said."""
    waits = [
        _seconds(headers.get(reset, ""), headers.get("date", ""))
        for remaining, reset in _BUCKETS
        if headers.get(remaining, "").strip() == "0"
    ]
    known = [wait for wait in waits if wait is not None]
    return min(MOST_S, max(known)) if known else None


def _seconds(text: str, now: str) -> float | None:
    """A duration such as `6m0s`, or a time, read against the answer's own `date` so that no clock is needed."""
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if "T" not in text or not now:
        return None
    from email.utils import parsedate_to_datetime  # slow to import, and needed by failures only

    try:
        return max(0.0, (datetime.fromisoformat(text) - parsedate_to_datetime(now)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
