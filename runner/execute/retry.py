"""Try again? The one place that decides it; pure, so that it is tested without waiting."""

from __future__ import annotations

import math
from typing import Final

from runner.core.frozen import dataclass
from runner.core.outcome import RETRIED_KINDS, Failure

DEFAULT_RETRIES: Final = 4
DEFAULT_BUDGET_S: Final = 600.0
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
LONGEST_HINT_S: Final = 120.0
_DOUBLINGS: Final = 16  # far past LONGEST_WAIT_S; keeps the power small


@dataclass(frozen=True, slots=True)
class Wait:
    """Send the request again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not send it again; `reason` completes the failure's message."""

    reason: str


def decide(
    failure: Failure,
    *,
    tries: int,
    retries: int = DEFAULT_RETRIES,
    elapsed_s: float = 0.0,
    budget_s: float = DEFAULT_BUDGET_S,
    random: float = 0.5,
) -> Wait | GiveUp:
    """What to do after a request failed for the `tries`-th time (1 for the first).

    `retries` is how often it may be sent again, `elapsed_s` how long ago it was first sent, `random` is in [0, 1).
    The wait grows from half a second to a minute with full jitter, so that calls which failed together do not
    come back together; a provider's own wish is a lower bound, with the jitter on top.
    """
    if failure.kind not in RETRIED_KINDS:
        return GiveUp("trying again would not help")
    if tries > retries:
        return GiveUp(f"tried {tries} times" if tries > 1 else "no retries are allowed")
    hint_s = _wish(failure)
    if hint_s > LONGEST_HINT_S:
        return GiveUp(f"the provider asks to wait {hint_s:.0f} s, and a run waits {LONGEST_HINT_S:.0f} s at most")
    wait_s = hint_s + random * backoff(tries)
    if elapsed_s + wait_s > budget_s:
        return GiveUp(f"the {budget_s:g} s for all tries are used up")
    return Wait(wait_s)


def backoff(tries: int) -> float:
    """The longest wait after `tries` tries without a hint."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries - 1, _DOUBLINGS))


def _wish(failure: Failure) -> float:
    """The provider's Retry-After; nonsense (negative, not a number) counts as none."""
    hint_s = failure.retry_after_s
    return 0.0 if hint_s is None or math.isnan(hint_s) else max(0.0, hint_s)
