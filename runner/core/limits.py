"""What a project says of the rate at which models may be asked."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

from runner.core.frozen import dataclass
from runner.core.span import Span


@dataclass(frozen=True, slots=True)
class RateLimit:
    """An entry of `limits`: each model that `models` fits may be asked so much in any `per_s` seconds.

    `models` is `provider/model`, where `*` stands for any letters. None: no such bound. `in_flight` is how many
    requests may be under way at once.
    """

    models: str
    span: Span
    requests: int | None = None
    tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    per_s: float = 60.0
    in_flight: int | None = None

    def fits(self, route_name: str) -> bool:
        return _pattern(self.models).fullmatch(route_name) is not None


Bounded: TypeAlias = Literal["requests", "tokens", "input", "output"]


@dataclass(frozen=True, slots=True)
class Room:
    """What a provider says of one of its limits beside an answer: so many of `most` are left, all of them again in so long."""

    of: Bounded
    most: int
    left: int
    full_in_s: float


@dataclass(frozen=True, slots=True)
class Beside:
    """All that is said of limits beside one answer; `wait_s` is for how long nothing more should be asked."""

    rooms: tuple[Room, ...] = ()
    wait_s: float = 0.0


@lru_cache(maxsize=256)
def _pattern(models: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in models.split("*")))
