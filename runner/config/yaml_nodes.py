"""Text → nodes with a place on every key and value.

Bytes are checked and decoded here before a parser sees them; `compose.py` does the rest.
"""

from __future__ import annotations

import re

from runner.config.compose import compose
from runner.config.nodes import Node, to_value
from runner.core.problem import Problem
from runner.core.span import Span

__all__ = ["MAX_BYTES", "decode", "normalise", "parse_yaml", "to_value"]

MAX_BYTES = 10_000_000

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_SURROGATE_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def parse_yaml(text: str | bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """The document of a text, and all mistakes in it. None when there is nothing that could be read."""
    decoded = decode(text, file)
    if isinstance(decoded, Problem):
        return None, [decoded]
    if file.endswith(".json"):
        decoded = _SURROGATE_PAIR.sub(_joined_surrogates, decoded)
    return compose(decoded, file)


def decode(text: str | bytes, file: str) -> str | Problem:
    """Text with one kind of line end and without a byte-order mark, or the reason why it is no text."""
    size = len(text) if isinstance(text, bytes) or text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        return Problem(
            "too-large", f"{file} has {size:,} bytes, more than the {MAX_BYTES:,} that are read", Span(file, 1, 1)
        )
    if isinstance(text, bytes):
        if text.startswith((b"\xff\xfe", b"\xfe\xff")):
            return _not_text(file, "it is UTF-16", fix="save it as UTF-8")
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            return _not_utf8(file, error)
    text = normalise(text)
    if "\0" in text:
        return _not_text(file, "it is binary")
    if control := _CONTROL.search(text):
        line, column = _position(text, control.start())
        return Problem(
            "control-character",
            f"the file holds the character U+{ord(control[0]):04X}, which YAML does not allow",
            Span(file, line, column),
            fix=f'delete it, or write it as an escape in double quotes: "\\x{ord(control[0]):02x}"',
        )
    return text


def _not_utf8(file: str, error: UnicodeDecodeError) -> Problem:
    data = error.object
    if b"\0" in data:
        return _not_text(file, "it is binary")
    line = data.count(b"\n", 0, error.start) + 1
    return _not_text(file, f"byte 0x{data[error.start]:02x} on line {line} is not UTF-8", fix="save it as UTF-8")


def normalise(text: str) -> str:
    """Without a byte-order mark, every line end as one line feed."""
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _not_text(file: str, reason: str, fix: str = "") -> Problem:
    return Problem("not-text", f"{file} is not a text file: {reason}", Span(file, 1, 1), fix=fix)


def _position(text: str, index: int) -> tuple[int, int]:
    start = text.rfind("\n", 0, index) + 1
    return text.count("\n", 0, index) + 1, index - start + 1


def _joined_surrogates(match: re.Match[str]) -> str:
    """JSON writes characters beyond U+FFFF as two escapes, YAML as one."""
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"
