"""Fields that a model is asked for and that nothing reads: worth a word, since many are asked for on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.checks.context import CheckContext
from runner.checks.spelling import ELEMENT
from runner.core.canonical import escape_pointer
from runner.core.problem import Problem
from runner.core.workflow import SchemaSource
from runner.link.linked import Linked
from runner.link.readings import Reading


def unread_fields(context: CheckContext) -> Iterator[Problem]:
    """Notes on fields of an answer that is read by its fields alone, and only of some of them.

    A field may be asked for so that the model thinks of it (a reason before a verdict); so this is a note, no warning.
    """
    linked = context.linked
    if not context.is_whole or any(problem.is_error for problem in linked.problems):
        return
    readings: dict[str, list[Reading]] = {}
    for reading in linked.typing.readings:
        readings.setdefault(reading.subject.owner, []).append(reading)
    for name, linked_step in linked.steps.items():
        schema, source = linked_step.schema, linked_step.step.schema
        if (
            linked_step.step.call is not None
            or schema is None
            or source is None
            or not isinstance(schema.bundled, dict)
        ):
            continue
        read = _fields_read(linked, name, readings.get(name, ()))
        for field in schema.bundled.get("properties", ()) if read else ():
            if field not in read and not context.is_named_elsewhere(field):
                yield _unread(name, field, source)


def _unread(name: str, field: str, source: SchemaSource) -> Problem:
    key = escape_pointer(field)
    span = source.at(f"/{key}" if source.is_fields else f"/properties/{key}")
    message = f"nothing reads the field '{field}' of the answer of step '{name}'"
    return Problem("unread-field", message, span, fix="leave it out where it only costs tokens", severity="note")


def _fields_read(linked: Linked, name: str, readings: Iterable[Reading]) -> frozenset[str]:
    """The fields of an answer that are read; none where it is read as a whole, or is an output as a whole."""
    if not linked.workflow.outputs and name in linked.final_steps:
        return frozenset()
    found: set[str] = set()
    for reading in readings:
        if reading.path[:2] != ("steps", name):
            continue
        inner = reading.path[reading.subject.start :]
        if reading.subject.is_list:
            inner = inner[1:]
        if not inner or inner[0] == ELEMENT:
            return frozenset()
        found.add(inner[0])
    return frozenset(found)
