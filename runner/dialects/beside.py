"""What a provider says of its limits beside a good answer."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.limits import Beside
from runner.dialects.failing import retry_after_s
from runner.dialects.rate_headers import MOST_S, rooms


def read_beside(headers: Mapping[str, str]) -> Beside:
    """The room that is left, and a wait that is asked for, a minute at most. Names are in lower case."""
    return Beside(rooms(headers), min(MOST_S, retry_after_s(headers) or 0.0))
