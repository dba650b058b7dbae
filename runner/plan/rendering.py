"""Messages, lists and conditions of a step, given what its texts see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runner.core.call import Message
from runner.core.canonical import Json
from runner.core.long_list import LongList
from runner.core.problem import Problem
from runner.link.parts import LinkedMessage
from runner.output.judge import CannotEvaluate
from runner.templates.expression import CompiledExpression
from runner.templates.problems import RenderFailed


def render_message(entry: LinkedMessage, values: Mapping[str, Json]) -> list[Message]:
    """The messages of one entry. Raises RenderFailed."""
    if entry.text is not None:
        return [Message(entry.role, entry.text.render_in_pieces(values))]
    assert entry.items is not None
    elements = listed(entry.items, values)
    return [
        message
        for element in elements
        for inner in entry.inner
        for message in render_message(inner, {**values, entry.name: element})
    ]


def listed(expression: CompiledExpression, values: Mapping[str, Json]) -> Sequence[Json]:
    """The value of an expression that must be a list. Raises RenderFailed."""
    value = expression.evaluate(values, may_be_long=True)
    if isinstance(value, list | LongList):
        return value
    source = expression.expression
    message = f"'{source.text.strip()}' gives {_kind(value)}, and a list is needed"
    raise RenderFailed(Problem("not-a-list", message, source.origin.span(1, 1, len(source.text))))


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case _:
            return "a mapping"


def holding(line: CompiledExpression, values: Mapping[str, Json], name: str) -> Callable[[Json], bool]:
    """A condition over an answer, which it reads as `name`. What it gives raises CannotEvaluate."""

    def holds(output: Json) -> bool:
        try:
            return line.holds({**values, name: output})
        except RenderFailed as error:
            raise CannotEvaluate(str(error)) from error

    return holds
