"""A value against a schema: a verdict, and what does not fit."""

from __future__ import annotations

from functools import cached_property

from runner.core.canonical import MAX_DEPTH, Json, NotJson, ensure_json
from runner.core.outcome import Violation
from runner.output.engines import build_engine
from runner.output.misfit import Engine
from runner.output.violations import violations_of

_CONTAINERS = (dict, list, tuple)


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
        if self.fits(value):
            return ()
        try:
            ensure_json(value)
        except NotJson as problem:
            return (Violation(problem.pointer, "json", "a JSON value", problem.reason),)
        return violations_of(self._engine.misfits(value), self.schema)


def _is_deeper(value: Json, levels: int) -> bool:
    """Fast validators recurse, and overflow the stack of the whole process on deep values."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return False
    for inner in value:  # noqa: SIM110 - a generator would double the time, and this runs for every answer
        if isinstance(inner, _CONTAINERS) and (levels == 0 or _is_deeper(inner, levels - 1)):
            return True
    return False
