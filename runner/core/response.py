"""A provider's answer, in our terms."""

from __future__ import annotations

from enum import StrEnum

from runner.core.call import ToolCall
from runner.core.canonical import Json
from runner.core.frozen import dataclass


class Finish(StrEnum):
    """Why the model stopped; TOOLS: it waits for what it called. Anything a dialect does not know is UNKNOWN, which is not success."""

    COMPLETE = "complete"
    TOOLS = "tools"
    CUT = "cut"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None where it did not say (never 0 for unknown).

    `output_tokens` includes `thinking_tokens`; `input_tokens` includes `cached_tokens`.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    thinking_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A page that an answer rests on, as the provider names it; `title` may be ""."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """The decoded payload: the answer's text, why it ended, what it used, which model says it answered.

    `detail` is the provider's own word for the finish (such as MAX_TOKENS or SAFETY), for messages.
    `thoughts` is the summary of the model's thinking, where the call asked for one; it is no part of the answer.
    `sources` are each told once, in the order in which the provider does.
    `calls` are the tools that are to be run, `said` is the turn in the provider's own spelling, to be sent back.
    """

    text: str
    finish: Finish
    usage: Usage = Usage()
    model: str = ""
    detail: str = ""
    thoughts: str = ""
    sources: tuple[Citation, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    said: Json = None
