"""Where each value of a JSON text stands."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from runner.core.canonical import escape_pointer
from runner.core.span import Span

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def places(text: str, file: str) -> dict[str, Span]:
    """JSON pointer → place of the value, for a text that is known to be JSON."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found: dict[str, Span] = {}
    frames: list[_Frame] = []
    for token in _TOKEN.finditer(text):
        word = token[0]
        frame = frames[-1] if frames else None
        if word in "}]":
            frames.pop()
        elif word == ":":
            continue
        elif word == ",":
            frame = frames[-1]
            frame.index += 1
            frame.key = None
        elif frame is not None and frame.is_object and frame.key is None:
            frame.key = json.loads(word)
        else:
            pointer = frame.child() if frame else ""
            line = bisect_right(starts, token.start())
            found[pointer] = Span(file, line, token.start() - starts[line - 1] + 1, len(word))
            if word in "{[":
                frames.append(_Frame(pointer, is_object=word == "{"))
    return found


class _Frame:
    """One open object or list."""

    __slots__ = ("index", "is_object", "key", "pointer")

    def __init__(self, pointer: str, *, is_object: bool) -> None:
        self.pointer = pointer
        self.is_object = is_object
        self.index = 0
        self.key: str | None = None

    def child(self) -> str:
        return f"{self.pointer}/{self.index if self.key is None else escape_pointer(self.key)}"
