"""Inputs and rows against their schemas, as far as the file itself says what they are."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from runner.checks.context import CheckContext
from runner.checks.schemas import look_into, told
from runner.core.canonical import Json
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import SchemaSource
from runner.output.schema import CompiledSchema, SchemaProblems, compile_schema
from runner.output.validate import Validator

_MOST_TOLD = 10


def check_inputs(context: CheckContext) -> Iterator[Problem]:
    """Schemas of inputs and rows that cannot be used, and defaults that do not fit."""
    workflow = context.linked.workflow
    for spec in workflow.inputs.values():
        schema = yield from _compiled(spec.schema, context)
        if schema is not None and spec.default is not None:
            problem = misfit(f"the default of input '{spec.name}'", spec.default[0], schema, spec.at("default"))
            if problem is not None:
                yield problem
    for source in workflow.data.values():
        if source.schema is not None:
            yield from _compiled(source.schema, context)


def _compiled(source: SchemaSource, context: CheckContext) -> Generator[Problem, None, CompiledSchema | None]:
    if context.read is None:
        return None
    try:
        schema = compile_schema(source, context.read)
    except SchemaProblems as error:
        yield from error.problems
        return None
    if not source.is_fields:
        yield from (told(finding, schema) for finding in look_into(schema.bundled))
    return schema


def misfit(title: str, value: Json, schema: CompiledSchema, span: Span) -> Problem | None:
    """What is wrong with a value, or None."""
    violations = Validator(schema.bundled).violations(value)
    if not violations:
        return None
    first, *others = violations
    where = f"{title} at {first.pointer}" if first.pointer else title
    verb = f"is {first.found}, which does" if first.found else "does"
    rows = [("also", f"{one.pointer or 'the whole'} is {one.found}, expected {one.expected}") for one in others]
    message = f"{where} {verb} not fit its schema"
    return Problem("invalid-input", message, span, expected=first.expected, notes=tuple(rows[:_MOST_TOLD]))
