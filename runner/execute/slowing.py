"""Fewer requests at once where more only make each of them slower. Pure."""

from __future__ import annotations

from typing import Final

SLOWER: Final = 3.0
LONGER_S: Final = 2.0
FEWER: Final = 0.8
_ENOUGH: Final = 20
_FASTER: Final = 0.9


class Slowing:
    """How many requests may be under way by what their answers take; None as long as it is not known to matter.

    Answers are looked at in rounds, of as many as are under way and at least 20. When a round takes three times as
    long as the fastest one and two seconds more, a fifth fewer are let through. If that makes answers no faster, the
    load is not the reason (other questions take other times), and the bound goes again.
    """

    def __init__(self) -> None:
        self.most: float | None = None
        self.mean_s = 0.0
        """What an answer took on average in the last round."""
        self._fastest_s: float | None = None
        self._slowest_s = 0.0
        self._is_mixed = False
        self._sum_s = 0.0
        self._count = 0

    def answered(self, took_s: float, in_flight: int) -> None:
        self._sum_s += took_s
        self._count += 1
        if self._count >= max(_ENOUGH, in_flight):
            self.mean_s = self._sum_s / self._count
            self._sum_s, self._count = 0.0, 0
            self._end_round(in_flight)

    def _end_round(self, in_flight: int) -> None:
        if self._is_mixed:  # the answers to questions from before the bound was lowered
            self._is_mixed = False
            return
        fastest_s = self._fastest_s = self.mean_s if self._fastest_s is None else min(self._fastest_s, self.mean_s)
        if self.mean_s <= max(SLOWER * fastest_s, fastest_s + LONGER_S):
            if self.most is not None:
                self.most += max(1.0, self.most / 20)
        elif self.most is not None and self.mean_s > _FASTER * self._slowest_s:
            self._fastest_s, self.most = self.mean_s, None
        else:
            self._slowest_s, self._is_mixed = self.mean_s, True
            self.most = max(1.0, FEWER * in_flight)
