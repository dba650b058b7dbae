"""What a provider's answers teach of its limits: slower after refusals, faster again while all goes well. Pure.

The clock is an argument, and so is chance. What it does is told in docs/limits.md.
"""

from __future__ import annotations

import math
from typing import Final

from runner.core.frozen import dataclass
from runner.core.outcome import Failure, FailureKind
from runner.execute.retry import backoff

OVERLOADED: Final = frozenset({429, 503, 529})
DECREASE: Final = 0.8
INCREASE_A_SECOND: Final = 0.05
SLOWEST: Final = 0.05
"""Requests a second, below which no refusal takes the rate: one in 20 seconds."""
RAMP_FROM: Final = 1 / 8
JITTER: Final = 0.1
STRIKES: Final = 3
"""So many refusals one after the other, each sent after the last was known, are an outage."""
_SECOND: Final = 1.0
_SHORTEST_S: Final = 0.25
_LONGEST_ROUND_S: Final = 5.0
_FORGOTTEN_AFTER_S: Final = 10.0
_ENOUGH: Final = 20
_TOLERATED: Final = 0.1
_MOST_USUAL: Final = 0.5
_LATE_S: Final = 0.02
_FIRST_TOGETHER: Final = 64
_DOUBLES_EVERY_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was let through: when, and in which round."""

    at: float
    round: int


class _Round:
    """What became of the requests since the rate was last looked at."""

    def __init__(self, number: int, began_at: float) -> None:
        self.number = number
        self.began_at = began_at
        self.sent = self.answered = self.refused = 0.0

    def forget_half(self, now: float) -> None:
        """So that a long time without a refusal does not hide what there was of late."""
        self.began_at += (now - self.began_at) / 2
        self.sent, self.answered = self.sent / 2, self.answered / 2

    @property
    def ended(self) -> float:
        return self.answered + self.refused

    @property
    def share(self) -> float:
        """How much of what has ended was refused."""
        return self.refused / max(1.0, self.ended)

    def rate_until(self, now: float) -> float:
        """Requests a second that were not refused."""
        return max(1, self.sent - self.refused) / max(_SHORTEST_S, now - self.began_at)


class Learnt:
    """The rate of one model with one key, as far as its answers tell."""

    def __init__(self) -> None:
        self.rate: float | None = None
        """Requests a second; None as long as none was refused."""
        self.resume_at = -math.inf
        """The waiting point of all callers: nothing goes out before."""
        self.answers = self.refusals = 0
        self.silent_since: float | None = None
        """When the first of the refusals came since which nothing was answered."""
        self.said = ""
        """What the last refusal said."""
        self._round = _Round(0, -math.inf)
        self._began_at: float | None = None
        self._next_at = -math.inf
        self._grown_at = -math.inf
        self._is_wanted = False
        self._peak = 0.0
        self._share_before = self._rate_before = self._usual_share = 0.0
        self._strikes = 0
        self._struck_at = -math.inf
        self._ramp_at: float | None = None

    @property
    def is_probing(self) -> bool:
        """Whether one request at a time finds out if the provider is back."""
        return self._strikes >= STRIKES

    @property
    def strikes(self) -> int:
        """Refusals one after the other, each of a request sent after the last was known."""
        return self._strikes

    # Before a request

    def wait_s(self, now: float, in_flight: int) -> float:
        """How long until a request may go out; infinite where another one has to end first."""
        if self.is_probing and in_flight:
            return math.inf
        pause_s = max(0.0, self.resume_at - now)
        if self.rate is None:
            return max(pause_s, self._start_s(now, in_flight))
        spacing_s = self._next_at - now
        self._is_wanted = self._is_wanted or spacing_s > 0
        return max(pause_s, spacing_s)

    def _start_s(self, now: float, in_flight: int) -> float:
        """At the start those under way double every 20 ms, so that the first answers are seen before all have left."""
        if in_flight < _FIRST_TOGETHER or self._began_at is None:
            return 0.0
        return self._began_at + math.log2((in_flight + 1) / _FIRST_TOGETHER) * _DOUBLES_EVERY_S - now

    def take(self, now: float) -> Sent:
        if self._began_at is None:
            self._began_at = now
            self._round = _Round(0, now)
        if not self._round.refused and now - self._round.began_at > _FORGOTTEN_AFTER_S:
            self._round.forget_half(now)
        if self.rate is not None:
            self._grow(now)
            rate = self._rate_at(now)
            # A loop wakes late; what was missed may be caught up with, as long as it is little.
            self._next_at = max(now - min(_LATE_S, 1 / rate), self._next_at) + 1 / rate
        self._round.sent += 1
        return Sent(now, self._round.number)

    def _grow(self, now: float) -> None:
        """While callers wait for it: a rate that nobody reaches says nothing of the provider."""
        assert self.rate is not None
        if self._is_wanted:
            self.rate += INCREASE_A_SECOND * max(self._peak, self.rate) * min(_SECOND, now - self._grown_at)
            self._is_wanted = False
        self._grown_at = now

    def _rate_at(self, now: float) -> float:
        """After an outage the rate climbs to the one that was learnt, from an eighth of it, doubling each second."""
        assert self.rate is not None
        if self._ramp_at is None:
            return self.rate
        climbed = self.rate * RAMP_FROM * math.exp2(min(now - self._ramp_at, 16.0))
        if climbed >= self.rate:
            self._ramp_at = None
        return min(self.rate, max(SLOWEST, climbed))

    # After it

    def hold(self, until: float) -> None:
        """Nothing goes out before; it was asked for without a refusal."""
        self.resume_at = max(self.resume_at, until)

    def answered(self, sent: Sent, now: float) -> None:
        """A request came through, with an answer or with what is no sign of a limit."""
        self.answers += 1
        self.silent_since = None
        self._round.answered += sent.round == self._round.number
        if sent.at < self._struck_at:
            return
        if self.is_probing:
            self._ramp_at = self._grown_at = now
        self._strikes = 0

    def refused(self, sent: Sent, now: float, failure: Failure, chance: float) -> None:
        """A request met the limit, or nobody at all. `chance` is in [0, 1)."""
        self.refusals += 1
        self.said = failure.message
        self.silent_since = now if self.silent_since is None else self.silent_since
        hint_s = failure.retry_after_s or 0.0
        self.resume_at = max(self.resume_at, now + hint_s * (1 + JITTER * chance))
        if sent.at >= self._struck_at:
            self._strikes += 1
            self._struck_at = now
            if self.is_probing and not hint_s:
                pause_s = backoff(self._strikes - STRIKES + 1) * (1 + chance) / 2
                self.resume_at = max(self.resume_at, now + pause_s)
        if sent.round == self._round.number:
            self._round.refused += 1
            if not self.is_probing and self._is_round_over(now, hint_s):
                self._end_round(now + hint_s)

    def _is_round_over(self, now: float, hint_s: float) -> bool:
        took_s = now + hint_s - self._round.began_at
        return self.rate is None or took_s >= _LONGEST_ROUND_S or (took_s >= _SECOND and self._round.ended >= _ENOUGH)

    def _end_round(self, until: float) -> None:
        """Lower the rate, unless as much is refused as at a higher one: then it is not the rate that matters."""
        ended, observed = self._round, self._round.rate_until(until)
        rate = observed if self.rate is None else self.rate
        is_telling = ended.ended >= _ENOUGH
        if is_telling and rate <= 0.9 * self._rate_before and ended.share > 0.6 * self._share_before:
            self._usual_share = max(self._usual_share, min((ended.share + self._share_before) / 2, _MOST_USUAL))
        if ended.share < self._usual_share:
            self._usual_share = (3 * self._usual_share + ended.share) / 4
        if self.rate is None or ended.share > self._borne(ended.ended):
            self._peak = min(observed, rate)
            self.rate = max(SLOWEST, DECREASE * self._peak)
        if is_telling:
            self._share_before, self._rate_before = ended.share, rate
        self._round = _Round(ended.number + 1, until)
        self._grown_at = until
        self._is_wanted = False

    def _borne(self, ended: float) -> float:
        """The share of refusals that lowers nothing: what is usual here, and what chance adds to it."""
        usual = self._usual_share
        return usual and usual + max(_TOLERATED, 2 * math.sqrt(usual * (1 - usual) / max(1.0, ended)))


def is_overload(failure: Failure) -> bool:
    """Whether a failure says something of how much the provider takes, and not of one request."""
    if failure.kind is not FailureKind.TRANSIENT:
        return False
    return failure.is_unsent or failure.status in OVERLOADED or failure.retry_after_s is not None
