"""What a provider says of its rate limits beside an answer: the wait that it asks for, and what room is left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from runner.core.limits import Bounded, Room

# A reset is when the whole bucket is full again; a slot is free long before, so no longer wait is made of it.
MOST_S: Final = 60.0

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s)", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|h|m|s)){1,4}", re.ASCII)
# Times are told in whole seconds: that something comes back too early must not be believed.
_ROUNDED_S: Final = 1.0
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
# Both families name what is limited, how much, what remains and when it is reset, in another order.
_FAMILIES: tuple[tuple[str, Bounded, str], ...] = (
    ("x-ratelimit-{what}-{bucket}", "requests", "requests"),
    ("x-ratelimit-{what}-{bucket}", "tokens", "tokens"),
    ("anthropic-ratelimit-{bucket}-{what}", "requests", "requests"),
    ("anthropic-ratelimit-{bucket}-{what}", "tokens", "tokens"),
    ("anthropic-ratelimit-{bucket}-{what}", "input", "input-tokens"),
    ("anthropic-ratelimit-{bucket}-{what}", "output", "output-tokens"),
)
_BUCKETS = [
    (of, [pattern.format(what=what, bucket=bucket) for what in ("limit", "remaining", "reset")])
    for pattern, of, bucket in _FAMILIES
]


def reset_s(headers: Mapping[str, str]) -> float | None:
    """The seconds until the buckets that are empty are full again, None where none is or nothing is said."""
    waits = [
        _seconds(headers.get(reset, ""), headers.get("date", ""))
        for _, (_, remaining, reset) in _BUCKETS
        if headers.get(remaining, "").strip() == "0"
    ]
    known = [wait for wait in waits if wait is not None]
    return min(MOST_S, max(known)) if known else None


def rooms(headers: Mapping[str, str]) -> tuple[Room, ...]:
    """What room is left, where limit, rest and reset are all told and make sense together.

    Some gateways say -1, or 0 of 0, where they do not count.
    """
    found: list[Room] = []
    for of, (limit, remaining, reset) in _BUCKETS:
        if limit not in headers or remaining not in headers:
            continue
        most, left = (_count(headers[name]) for name in (limit, remaining))
        text = headers.get(reset, "")
        full_in_s = _seconds(text, headers.get("date", ""))
        if full_in_s is not None and 0 <= left <= most and most:
            found.append(Room(of, most, left, full_in_s + (_ROUNDED_S if "T" in text else 0.0)))
    return tuple(found)


def _count(text: str) -> int:
    """-1 for what is no count."""
    return int(text) if _COUNT.fullmatch(text) else -1


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
