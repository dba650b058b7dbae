"""How each protocol streams: what a request says besides, and how the events become the payload of an ordinary answer.

A stream is a way to bring an answer, not another answer: nothing of it enters the key, and what is stored is what the
same question would have brought at once. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from runner.core.frozen import dataclass, replace
from runner.core.long_text import SpelledBody
from runner.core.ports import Dialect, Fold, Streaming
from runner.core.request import Request
from runner.dialects import DIALECTS
from runner.dialects.fold import FailureOf
from runner.dialects.fold_anthropic import AnthropicFold
from runner.dialects.fold_chat import ChatFold
from runner.dialects.fold_gemini import GeminiFold
from runner.dialects.fold_responses import ResponsesFold


@dataclass(frozen=True, slots=True)
class _Flagged:
    """A protocol that is asked to stream by words in the body."""

    dialect: Dialect
    flags: bytes
    make: Callable[[FailureOf], Fold]

    def open(self, request: Request) -> Request:
        begin = b"{" + self.flags + b","
        if isinstance(request.body, SpelledBody):
            return replace(request, body=request.body.opened_with(begin))
        return replace(request, body=begin + bytes(request.body)[1:])

    def fold(self) -> Fold:
        return self.make(self.dialect.failure)


@dataclass(frozen=True, slots=True)
class _Named:
    """Gemini's, which streams at an address of its own."""

    dialect: Dialect

    def open(self, request: Request) -> Request:
        endpoint = request.endpoint.replace(":generateContent", ":streamGenerateContent?alt=sse")
        return replace(request, endpoint=endpoint)

    def fold(self) -> Fold:
        return GeminiFold(self.dialect.failure)


# Chat Completions count tokens in a stream only when they are asked to.
_WITH_USAGE: Final = b'"stream":true,"stream_options":{"include_usage":true}'

STREAMS: Mapping[str, Streaming] = {
    "gemini": _Named(DIALECTS["gemini"]),
    "vertex": _Named(DIALECTS["vertex"]),
    "openai-chat": _Flagged(DIALECTS["openai-chat"], _WITH_USAGE, ChatFold),
    "openai-responses": _Flagged(DIALECTS["openai-responses"], b'"stream":true', ResponsesFold),
    "anthropic": _Flagged(DIALECTS["anthropic"], b'"stream":true', AnthropicFold),
}
"""Dialect name → how it streams over HTTP."""
