"""Patterns in schemas that a backtracking engine may try for ever."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.ambiguity import Slow, slow_text
from runner.checks.suspicious import Finding
from runner.core.canonical import Json, escape_pointer
from runner.output.describe import show
from runner.output.keywords import every_schema

_LEAST_SHOWN = 8
_FIX = "let every repetition begin or end with a character that the rest of it cannot have"


def slow_patterns(bundled: Json) -> Iterator[Finding]:
    """Here most patterns are matched in linear time, but not by every provider, nor by all code that reads a schema."""
    for pointer, schema in every_schema(bundled):
        if not isinstance(schema, dict):
            continue
        patterns = {"/pattern": schema["pattern"]} if "pattern" in schema else {}
        patterns |= {f"/patternProperties/{escape_pointer(one)}": one for one in schema.get("patternProperties", ())}
        for path, pattern in patterns.items():
            slow = slow_text(pattern) if _repeats(pattern) else None
            if slow is not None:
                yield _finding(pattern, slow, pointer + path)


def _repeats(pattern: str) -> bool:
    return any(sign in pattern for sign in "*+{")


def _finding(pattern: str, slow: Slow, pointer: str) -> Finding:
    text = show((slow.letters * _LEAST_SHOWN)[: max(_LEAST_SHOWN, len(slow.letters))] + "…!")
    grows = (
        f"grows with the length to the power of {slow.power}" if slow.power else f"doubles with each '{slow.letters}'"
    )
    where = (
        "a backtracking engine, such as a provider's, needs time that"
        if slow.is_linear_here
        else "because of its look-around or back reference it cannot be matched in linear time, and the time"
    )
    return Finding(
        "slow-pattern",
        f"for the pattern {show(pattern)} {where} {grows} in a text such as {text}",
        pointer,
        fix=_FIX,
        severity="warning" if slow.is_linear_here else "error",
    )
