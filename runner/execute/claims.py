"""The claims of one run, as its writer thread keeps them: what is ours, and what others ask that we wait for."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from runner.core.frozen import dataclass
from runner.core.ports import Leases

BEAT_S: Final = 5.0
FIRST_POLL_S: Final = 0.01
LONGEST_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Claim:
    """`done` tells whether the question is ours; who does not want to wait any longer ends it before."""

    key: str
    done: Future[bool]


Settled: TypeAlias = tuple[Claim, Exception | None]
"""A claim that is waited for no longer: it is ours, or why questions cannot be claimed."""


class Claims:
    """Used by one thread, except for `held`, which others may look into. After a failure nothing is claimed any more."""

    def __init__(self, leases: Leases | None, monotonic: Callable[[], float]) -> None:
        self._leases = leases
        self._monotonic = monotonic
        self._waiting: list[Claim] = []
        self._poll_s = FIRST_POLL_S
        self._poll_at = self._beat_at = 0.0
        self.held: set[str] = set()

    @property
    def are_made(self) -> bool:
        """Whether questions are claimed at all."""
        return self._leases is not None

    def pause_s(self) -> float | None:
        """How long there is nothing to do; None for as long as nobody claims anything."""
        due = [self._poll_at] * bool(self._waiting) + [self._beat_at] * bool(self.held)
        return max(0.0, min(due) - self._monotonic()) if due else None

    def kept(self, keys: Sequence[str]) -> list[str]:
        """Of the keys whose answers are stored now, those that were ours: they are to be released."""
        ours = [key for key in keys if key in self.held]
        self.held.difference_update(ours)
        return ours

    def turn(self, new: Sequence[Claim], released: Sequence[str]) -> list[Settled]:
        """Release, claim what is new or was refused, and show that we are there; the claims that are settled by it."""
        if self._leases is None:
            return [(claim, None) for claim in new]
        try:
            return self._turn(self._leases, new, released)
        except Exception as error:  # noqa: BLE001  # handed to every waiter; the thread must go on
            settled: list[Settled] = [(claim, error) for claim in (*new, *self._waiting)]
            self._leases = None
            self._waiting = []
            self.held.clear()
            return settled

    def _turn(self, leases: Leases, new: Sequence[Claim], released: Sequence[str]) -> list[Settled]:
        now = self._monotonic()
        self.held.difference_update(released)
        self._waiting = [claim for claim in self._waiting if not claim.done.done()]
        asked = list(new)
        if self._waiting and now >= self._poll_at:
            asked += self._waiting
        if self.held and now >= self._beat_at:
            leases.renew()
            self._beat_at = now + BEAT_S
        if not asked and not released:
            return []
        granted = leases.claim([claim.key for claim in asked], release=released)
        if granted and not self.held:
            self._beat_at = now + BEAT_S
        self.held |= granted
        self._wait_on(asked, granted, now)
        return [(claim, None) for claim in asked if claim.key in granted]

    def _wait_on(self, asked: Sequence[Claim], granted: set[str], now: float) -> None:
        """Look again later, and ever later as long as nothing changes."""
        was_waiting = len(self._waiting)
        refused = [claim for claim in asked if claim.key not in granted]
        left = [claim for claim in self._waiting if claim.key not in granted]
        self._waiting = list(dict.fromkeys((*left, *refused)))
        if len(left) < was_waiting or not was_waiting:
            self._poll_s, self._poll_at = FIRST_POLL_S, now + FIRST_POLL_S
        elif now >= self._poll_at:
            self._poll_s = min(LONGEST_POLL_S, 1.5 * self._poll_s)
            self._poll_at = now + self._poll_s
