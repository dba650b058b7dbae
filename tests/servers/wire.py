"""What the wire protocols of the counting server share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any


@dataclass(frozen=True)
class Answer:
    """What one request gets.

    `finish` is stop, length or refused. With `calls` tools are called: a name and arguments for each. `thoughts` is
    the summary that Gemini gives before it speaks or calls, `searched` what it looked for in the web before it calls. With `raw` the body is these bytes, with `wire` everything that is written
    is, and the connection is closed. A stream of these `events` replaces the usual one. Other than 200, `text` is the error's message and `code` its code.
    """

    text: str = "ok"
    finish: str = "stop"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    raw: bytes | None = None
    wire: bytes | None = None
    code: str = ""
    model: str = ""
    input_tokens: int = 10
    output_tokens: int = 5
    cached_tokens: int = 0
    thoughts: str = ""
    searched: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    events: tuple[bytes, ...] | None = None


@dataclass(frozen=True)
class Received:
    """One request that was understood."""

    dialect: str
    path: str
    prompt: str
    body: Json
    headers: Mapping[str, str]


class Refused(Exception):
    """A request that the real service would not take."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(frozen=True)
class Wire:
    """One protocol: which paths are its own, where its key stands, what it refuses, and how it answers.

    `check` gets the body and the headers and raises Refused; `read` is a body in the protocol's own spelling.
    """

    dialect: str
    paths: re.Pattern[str]
    key: Callable[[Mapping[str, str]], str]
    check: Callable[[Json, Mapping[str, str]], None]
    prompt: Callable[[Json], str]
    answer: Callable[[Answer, Received], Json]
    error: Callable[[Answer], Json]
    read: Callable[[Json], Json] = lambda body: body
    stream: Callable[[Answer, Received], list[bytes]] | None = None
    is_streamed: Callable[[str, Json], bool] = lambda _path, body: body.get("stream") is True


def bearer(headers: Mapping[str, str]) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ")


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def only(value: Json, fields: frozenset[str], where: str) -> None:
    if not isinstance(value, dict):
        raise Refused(400, f"'{where}' must be an object")
    for name in value:
        if name not in fields:
            raise Refused(400, f"Unrecognized request argument supplied: {where}{name}", "unknown_parameter")


def content_text(content: Json) -> str:
    """A text, or the texts of its parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def check_model(body: Json) -> None:
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused(400, "you must provide a model parameter")


def check_strict(schema: Json, place: str) -> None:
    """The rule that people trip over: every object closed, every property required."""
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        names = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != names:
            raise Refused(400, f"invalid schema for response_format at {place}", "invalid_json_schema")
    for name, inner in {**schema.get("properties", {}), **schema.get("$defs", {})}.items():
        check_strict(inner, name)
    check_strict(schema.get("items"), f"{place} items")
    for inner in schema.get("anyOf", ()):
        check_strict(inner, f"{place} anyOf")


def check_named_schema(form: Json, place: str) -> None:
    """A schema with its name, as OpenAI's two protocols take it; `place` is the field that holds it."""
    only(form, words("name description schema strict"), f"{place}.")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", form.get("name", "")):
        raise Refused(400, f"invalid '{place}.name'")
    if form.get("strict"):
        check_strict(form.get("schema"), "root")


def sse(value: Json, name: str = "") -> bytes:
    """One event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def pieces(text: str) -> list[str]:
    """A text in three pieces, as a model would say it."""
    third = max(1, -(-len(text) // 3))
    return [text[at : at + third] for at in range(0, len(text), third)]


def dump(value: Json) -> bytes:
    return json.dumps(value).encode()
