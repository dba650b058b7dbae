"""A stored answer: the unit that the store keeps and a recording shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.long_text import Body
from runner.core.outcome import FailureKind, Source

HEADERS: Final = "headers"
"""The ingredient under which the request's headers stand, for the few dialects that have any: they are in its key."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A provider's payload as received, and what it answers.

    `failure` marks a final failure (cut, refused, invalid after repairs): then it is no answer, but kept so that it
    is not asked again without a reason. `ingredients` let a later miss be explained. `received_at` is Unix seconds,
    `seconds` how long the provider took; neither enters a recording.
    """

    key: str
    dialect: str
    provider: str
    endpoint: str
    body: Body
    payload: bytes
    failure: FailureKind | None = None
    ingredients: Mapping[str, Json] = field(default_factory=dict)
    sample: int = 0
    salt: str = ""
    received_at: float = 0.0
    seconds: float = 0.0
    source: Source = Source.FRESH
