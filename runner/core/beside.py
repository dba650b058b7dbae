"""What a provider says beside an answer: the headers about its limits, from who received it to who asked.

An answer is its payload alone, so that what it came with can never be stored or keyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TypeAlias

Headers: TypeAlias = Mapping[str, str]

_HEARD: ContextVar[list[Headers] | None] = ContextVar("heard", default=None)


def listen() -> list[Headers]:
    """Begin to hear what comes beside the answers that this task asks for from now on; it grows as they come."""
    heard: list[Headers] = []
    _HEARD.set(heard)
    return heard


def tell(headers: Headers) -> None:
    """To the task that asked, if it listens."""
    heard = _HEARD.get()
    if heard is not None:
        heard.append(headers)
