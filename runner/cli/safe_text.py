"""Foreign text made harmless where it is shown: it may not drive a terminal, nor command a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# C0 but tab and newline, DEL, C1, bidi controls, line separators, half characters, byte-order mark.
_BEYOND_ASCII = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROL = re.compile(f"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}]")
_CONTROL_IN_JSON = re.compile(f"[{_BEYOND_ASCII}]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")

# CI trims blanks before it looks for the double colon, and finds the older bracket form anywhere in a line.
_COMMAND_COLONS = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_COMMAND_BRACKET = re.compile(r"#(?=#\[)")

_ASCII_SYMBOLS = str.maketrans({"·": "-", "≤": "<=", "→": "->", "…": "...", "×": "x"})

_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
# A shorter value is as likely a word of the text as a secret.
_SHORTEST_SECRET = 6


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def safe(text: str, *, is_ci: bool = False) -> str:
    """The text with control characters as visible escapes; for a CI log, without workflow commands."""
    shown = _CONTROL.sub(_visible, text)
    if not is_ci:
        return shown
    return _COMMAND_BRACKET.sub(r"\\x23", _COMMAND_COLONS.sub(r"\1\\x3a", shown))


def safe_json(document: str, *, is_ci: bool = False) -> str:
    """JSON text of the same value without raw control characters (they stand in strings only)."""
    shown = _CONTROL_IN_JSON.sub(_json_escape, document)
    return _COMMAND_BRACKET.sub(r"\\u0023", shown) if is_ci else shown


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
