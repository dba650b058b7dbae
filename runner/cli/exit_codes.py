"""The exit codes, in one table."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
BAD_ANSWER: Final = 1
USAGE: Final = 2
PROVIDER: Final = 3
BUDGET: Final = 4
NOTHING: Final = 5
CALL_NEEDED: Final = 6
DEFECT: Final = 70
INTERRUPTED: Final = 130

MEANINGS: Final[dict[int, str]] = {
    DONE: "done",
    BAD_ANSWER: "ran, and the answer is bad; findings of check; damaged entries",
    USAGE: "usage or file error, nothing was called",
    PROVIDER: "provider, network or storage trouble",
    BUDGET: "budget or limit reached",
    NOTHING: "nothing selected",
    CALL_NEEDED: "a call would be needed where none is allowed",
    DEFECT: "a defect of runner",
    INTERRUPTED: "interrupted",
}


def table() -> str:
    """The codes as lines for the help."""
    return "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
