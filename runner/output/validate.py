"""A value against a schema: a verdict, and what does not fit."""

from __future__ import annotations

from functools import cached_property

from runner.core.canonical import MAX_DEPTH, Json, NotJson, ensure_json
from runner.core.outcome import Violation
from runner.output.engines import build_engine
from runner.output.misfit import Engine
from runner.output.violations import violations_of


class Validator:
    """A bundled schema, compiled when it is first needed."""

    def __init__(self, schema: Json) -> None:
        self.schema = schema

    @cached_property
    def _engine(self) -> Engine:
        return build_engine(self.schema)

    def fits(self, value: Json) -> bool:
        """The verdict alone; the value is JSON without NaN."""
        if _is_deeper(value, MAX_DEPTH):
            return False
        try:
            return self._engine.is_valid(value)
        except ValueError:  # half a character, or a key that is no text
            return False

    def violations(self, value: Json) -> tuple[Violation, ...]:
        """Everything that does not fit, sorted by pointer, then keyword; empty for a value that fits."""
        try:
            ensure_json(value)
        except NotJson as problem:
            return (Violation(problem.pointer, "json", f"JSON without: {problem.reason}"),)
        if self._engine.is_valid(value):
            return ()
        return violations_of(self._engine.misfits(value), self.schema)


def _is_deeper(value: Json, levels: int) -> bool:
    """Fast validators recurse, and overflow the stack of the whole process on deep values."""
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper(i, levels - 1) for i in value.values() if isinstance(i, (dict, list)))
    if isinstance(value, list):
        return levels == 0 or any(_is_deeper(i, levels - 1) for i in value if isinstance(i, (dict, list)))
    return False
