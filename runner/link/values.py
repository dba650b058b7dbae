"""Values of a file, given what their expressions read."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.canonical import Json
from runner.core.values import Computed, Expression, Fields, ListOfValues, Plain, Value
from runner.link.parts import ValueOf
from runner.templates.expression import CompiledExpression


def value_of(value: Value, compiled: Callable[[Expression], CompiledExpression | None]) -> ValueOf:
    """A value of a file made ready; `compiled` compiles the expressions in it, and gives None for a broken one."""
    match value:
        case Computed():
            expression = compiled(value.expression)
            return expression.evaluate if expression else lambda _: None
        case ListOfValues():
            items = [value_of(item, compiled) for item in value.items]
            return lambda seen: [item(seen) for item in items]
        case Fields():
            entries = {name: value_of(inner, compiled) for name, inner in value.entries.items()}
            return lambda seen: {name: inner(seen) for name, inner in entries.items()}
        case _:
            json: Json = value.json if isinstance(value, Plain) else None
            return lambda _: json
