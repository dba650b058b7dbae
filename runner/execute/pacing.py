"""A rate that holds in every window: so much in any `per_s` seconds. Pure; the clock is an argument."""

from __future__ import annotations

from typing import Final

# A loop wakes late by some milliseconds; what was missed in that time may be caught up with.
MOST_SLACK_S: Final = 0.05
SLACK_SHARE: Final = 0.01


class Pace:
    """A bucket of tokens as one number: the time at which all that was taken will have been refilled.

    In any window shorter than `per_s` no more than `amount` is taken, plus the last taking where one takes more than 1.
    The slack is paid for by a rate that is slower by at most a hundredth.
    """

    def __init__(self, amount: float, per_s: float) -> None:
        self.amount = amount
        self.per_s = per_s
        self._slack_s = min(MOST_SLACK_S, per_s * SLACK_SHARE)
        self._each_s = (per_s + self._slack_s) / amount
        self._full_at = float("-inf")

    def wait_s(self, now: float) -> float:
        """How long until something may be taken."""
        return max(0.0, self._full_at - self._slack_s - now)

    def take(self, now: float, amount: float = 1.0) -> None:
        self._full_at = max(now, self._full_at) + amount * self._each_s

    def correct(self, amount: float) -> None:
        """What was taken turned out to be so much more, or (below 0) less."""
        self._full_at += amount * self._each_s
