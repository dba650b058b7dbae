"""Foreign text made harmless where it is shown: it may not drive a terminal, nor command a CI job."""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, bidi controls, line separators, half characters, byte-order mark.
BEYOND_ASCII = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROL = re.compile(f"[\x00-\x08\x0b-\x1f{BEYOND_ASCII}]")

# CI trims blanks before it looks for the double colon, and finds the older bracket form anywhere in a line.
_COMMAND_COLONS = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
COMMAND_BRACKET = re.compile(r"#(?=#\[)")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def safe(text: str, *, is_ci: bool = False) -> str:
    """The text with control characters as visible escapes; for a CI log, without workflow commands."""
    shown = _CONTROL.sub(_visible, text)
    if not is_ci:
        return shown
    return COMMAND_BRACKET.sub(r"\\x23", _COMMAND_COLONS.sub(r"\1\\x3a", shown))
