"""How many requests are under way to a model, and what holds them back, while a run asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from runner.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Traffic:
    """One model with one key at one moment.

    `per_s` is how many requests a second may go out and `most` how many may be under way, None for as many as come;
    `why` says what the narrowest of them comes from, "" where nothing holds requests back but `-j`.
    """

    model: str
    in_flight: int
    waiting: int = 0
    per_s: float | None = None
    most: int | None = None
    why: str = ""


SeeTraffic: TypeAlias = Callable[[], tuple[Traffic, ...]]
"""What stands between a run and its models just now; it may be called from any thread."""
