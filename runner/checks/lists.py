"""What is walked must be a list."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.checks.spelling import say_path
from runner.core.problem import Problem
from runner.link.paths import types_at
from runner.link.readings import Reading

_IN_WORDS = {"string": "text", "number": "a number", "boolean": "true or false", "null": "null", "object": "a mapping"}


def check_lists(context: CheckContext) -> Iterator[Problem]:
    """`for_each`, `rows`, `each` and `over` that are one path whose value is never a list."""
    for reading in context.linked.typing.readings:
        if reading.text.role in ("for_each", "each", "loop.over") and _is_alone(reading):
            types = types_at(reading.typed)
            if types and "array" not in types:
                yield _no_list(reading, types)


def _is_alone(reading: Reading) -> bool:
    """Whether the expression is the path and nothing else, such as a filter that makes a list of it."""
    return reading.text.source.text.strip() == ".".join(reading.reference.path)


def _no_list(reading: Reading, types: frozenset[str]) -> Problem:
    inside = say_path(reading.path[reading.subject.start :])
    title = f"{inside} in {reading.subject.title}" if inside else reading.subject.title
    found = " or ".join(_IN_WORDS[name] for name in sorted(types))
    fix = "read a field of it that is a list" if "object" in types else ""
    message = f"{reading.text.place.title} walks {title}, which is {found} and no list"
    return Problem("not-a-list", message, reading.reference.span, expected="a list", fix=fix)
