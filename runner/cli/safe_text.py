"""Foreign text as JSON, secrets, and what a stream can carry; `core.harmless` has the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from runner.core.harmless import BEYOND_ASCII, COMMAND_BRACKET

_CONTROL_IN_JSON = re.compile(f"[{BEYOND_ASCII}]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")

_ASCII_SYMBOLS = str.maketrans({"·": "-", "≤": "<=", "→": "->", "…": "...", "×": "x"})

_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
# A shorter value is as likely a word of the text as a secret.
_SHORTEST_SECRET = 6


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def safe_json(document: str, *, is_ci: bool = False) -> str:
    """JSON text of the same value without raw control characters (they stand in strings only)."""
    shown = _CONTROL_IN_JSON.sub(_json_escape, document)
    return COMMAND_BRACKET.sub(r"\\u0023", shown) if is_ci else shown


def fit(text: str, encoding: str | None, *, is_json: bool = False) -> str:
    """The text as far as the stream can carry it: symbols get an ASCII spelling, the rest escapes."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        if is_json:
            return _NOT_ASCII.sub(_json_escape, text)
        return text.translate(_ASCII_SYMBOLS).encode(encoding, "backslashreplace").decode(encoding)
    return text


def secret_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Values of variables that are named like secrets, longest first."""
    found = {
        value
        for name, value in environ.items()
        if name.upper().endswith(_SECRET_NAMES) and len(value) >= _SHORTEST_SECRET
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def held_back(text: str, marks: Iterable[str]) -> int:
    """How many characters at the end may be the beginning of a mark, so that they wait for what follows."""
    return max((_overlap(text, mark) for mark in marks), default=0)


def _overlap(text: str, mark: str) -> int:
    longest = min(len(text), len(mark) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(mark[:size])), 0)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret value as stars."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
