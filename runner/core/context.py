"""The part of a question that is the same for all items, kept at the provider for a while and named instead of sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import orjson

from runner.core.frozen import dataclass, replace
from runner.core.long_text import SpelledBody
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
        return with_fields(self.rest, {self.field: name})


def with_fields(request: Request, fields: Mapping[str, str]) -> Request:
    """The request with further fields before those of its body, of which there are some."""
    begin = orjson.dumps(fields)[:-1] + b","
    body = request.body
    if isinstance(body, SpelledBody):
        return replace(request, body=body.opened_with(begin))
    return replace(request, body=begin + bytes(body)[1:])


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
