"""One rendered question to a model, in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.long_text import Text
from runner.core.media import Medium

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it; of one that the provider runs itself (`own`) nothing more is told."""

    name: str
    description: str = ""
    parameters: Json = None
    own: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model wants to be run; `problem` says why its arguments cannot be read."""

    id: str
    name: str
    arguments: Json
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What became of a call: a JSON value as text, or what went wrong."""

    call: ToolCall
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: a text, and the files that are shown before it.

    `said` is the turn of a model that called tools, as its provider spelt it: it goes back as it came, with all that
    signs it. `results` answer those calls, in their order.
    """

    role: Role
    text: Text
    files: tuple[Medium, ...] = ()
    said: Json = None
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class SharedPart:
    """How much of a question is the same for all items of a step: what goes before its messages, so many `messages`
    from the first on, and so many `files` of the message after them.
    """

    messages: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """Everything that can change the answer, and nothing else: no secret, timeout, limit or price.

    `schema` is the bundled JSON Schema to be sent, in the author's order of properties (None: text, or a schema
    that is only checked here). `thinking` is the level to send, None when the model has no such control.
    `schema_name` is a constant on the wire, since a step's
    name must not enter the key. `arguments` are what a tool is given, where one is run in place of asking a model.
    `asked_in` is the key of the question whose answer asks for it, "" for a step that runs it itself. A model may call
    `tools`; `tool_choice` is "", `required`, `none` or the name of one. `sample` numbers repeats of one question from 0; `salt` is the author's, to ask anew.
    What is `shared` may travel otherwise, and says nothing about the answer.
    """

    model: str
    messages: tuple[Message, ...]
    system: str | None = None
    schema: Json | None = None
    schema_name: str = "output"
    thinking: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    options: Mapping[str, Json] = field(default_factory=dict)
    sample: int = 0
    salt: str = ""
    arguments: Json = None
    asked_in: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = ""
    shared: SharedPart | None = field(default=None, compare=False)
