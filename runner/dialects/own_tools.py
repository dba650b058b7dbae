"""The tools that providers run themselves: how each protocol asks for them, and what it does not take beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from runner.core.call import ToolSpec
from runner.core.canonical import Json

_GOOGLE: Final[Mapping[str, Json]] = {"web_search": {"googleSearch": {}}, "code_execution": {"codeExecution": {}}}
_ASKED_AS: Final[Mapping[str, Mapping[str, Json]]] = {
    "gemini": _GOOGLE,
    "vertex": _GOOGLE,
    "openai-responses": {
        "web_search": {"type": "web_search"},
        "code_execution": {"type": "code_interpreter", "container": {"type": "auto"}},
    },
    # A script says what comes of them.
    "scripted": {"web_search": {}, "code_execution": {}},
}
# Protocols that have no word for a choice of such a tool, and those that have no room for functions beside it.
_UNCHOSEN: Final = frozenset({"gemini", "vertex"})
_ALONE: Final = frozenset({"vertex"})
# Protocols that refuse a question that forces a call while the model thinks.
_FORCES_NO_THINKER: Final = frozenset({"anthropic"})


def runs_own(dialect: str, own: str) -> bool:
    """Whether a protocol is asked here for a tool that the provider runs."""
    return own in _ASKED_AS.get(dialect, {})


def takes_own_alone(dialect: str) -> bool:
    """Whether the provider's own tools come without functions."""
    return dialect in _ALONE


def takes_own_unchosen(dialect: str) -> bool:
    """Whether the provider's own tools come without a choice."""
    return dialect in _UNCHOSEN


def forces_while_thinking(dialect: str) -> bool:
    """Whether a model that thinks may be told that it must call a tool."""
    return dialect not in _FORCES_NO_THINKER


def own_of(dialect: str, tools: Iterable[ToolSpec]) -> list[Json]:
    """The provider's own tools, as the protocol asks for them."""
    return [_ASKED_AS[dialect][tool.own] for tool in tools if tool.own]
