"""Schemas are few and calls are many: what is made from a schema is made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from runner.core.canonical import Json

Made = TypeVar("Made")

_MOST = 256


def remember(make: Callable[[Json], Made]) -> Callable[[Json], Made]:
    """`make`, once per schema object. A schema must not be changed after its first use (nothing here does)."""
    made: dict[int, tuple[Json, Made]] = {}

    @wraps(make)
    def recall(schema: Json) -> Made:
        entry = made.get(id(schema))
        # The schema is kept beside the result, so its id cannot be given to another one.
        if entry is not None and entry[0] is schema:
            return entry[1]
        result = make(schema)
        if len(made) >= _MOST:
            made.clear()
        made[id(schema)] = (schema, result)
        return result

    return recall
