"""The part of a question that is the same for all items, kept at the provider for a while and named instead of sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import orjson

from runner.core.frozen import dataclass, replace
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.request import Request

DEFAULT_TTL_S = 3600.0


@dataclass(frozen=True, slots=True)
class ContextCache:
    """That a step wants it: for how long (seconds), and whether it is deleted as soon as the run has ended."""

    ttl_s: float = DEFAULT_TTL_S
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Divided:
    """A question in two: what is `kept`, as it goes out to be kept, and the `rest`, which names it under `field`.

    `ident` tells what is kept from all else that is; both requests have the address of the question.
    """

    ident: str
    kept: Request
    rest: Request
    field: str

    def naming(self, name: str) -> Request:
        """The rest, as it is sent where the provider has the other part under this name."""
        field = b"," + orjson.dumps(self.field) + b":" + orjson.dumps(name) + b"}"
        return replace(self.rest, body=bytes(self.rest.body)[:-1] + field)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a provider keeps: its name there, until when (Unix seconds), and its tokens (None: it did not say)."""

    name: str
    expires_at: float
    tokens: int | None = None


Allow = Callable[[], Failure | None]
"""Asked before something is made that costs: why it may not be, or None."""
TellMade = Callable[[Kept], None]
"""Told of what was made before it is remembered, so that nothing is paid and never told."""


class ContextKeeper(Protocol):
    """Keeps parts of questions at providers, each once among all processes of a project. All raise CallFailed."""

    async def keep(self, route: Route, divided: Divided, ttl_s: float, allow: Allow, tell: TellMade) -> Kept:
        """What the provider has of an earlier time, or made now."""
        ...

    async def is_gone(self, route: Route, divided: Divided, kept: Kept) -> bool:
        """Whether the provider no longer has it; then it is forgotten."""
        ...

    async def drop(self, route: Route, divided: Divided, kept: Kept) -> None:
        """Delete it."""
        ...
