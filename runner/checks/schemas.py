"""Schemas against what each provider takes."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.checks.patterns import slow_patterns
from runner.checks.suspicious import Finding, suspicious_parts
from runner.core.canonical import Json, escape_pointer
from runner.core.problem import Problem, nearest
from runner.core.workflow import SchemaSource, Step
from runner.link.parts import LinkedStep
from runner.output.keywords import HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, every_schema
from runner.output.schema import CompiledSchema

_KEYWORDS = (
    *HOLDS_ONE, *HOLDS_LIST, *HOLDS_NAMED,
    *("$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$comment", "type", "enum"),
    *("const", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format"),
    *("pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"),
    *("required", "dependentRequired", "contentEncoding", "contentMediaType"),
)  # fmt: skip


def _misspelt_keywords(source: SchemaSource) -> Iterator[Problem]:
    """A keyword that JSON Schema does not have says nothing, which is hardly what its author meant."""
    if source.is_fields:
        return
    for pointer, schema in every_schema(source.value):
        for keyword in schema if isinstance(schema, dict) else ():
            near = nearest(keyword, _KEYWORDS) if keyword not in _KEYWORDS and not keyword.startswith("x-") else ""
            if near:
                yield Problem(
                    "unknown-keyword",
                    f"JSON Schema has no keyword '{keyword}', so it says nothing about the answer",
                    source.at(f"{pointer}/{escape_pointer(keyword)}"),
                    nearest=near,
                    severity="warning",
                )


def check_schemas(context: CheckContext) -> Iterator[Problem]:
    """What is wrong in itself, and what the provider of a step's model would answer with an error."""
    for name, linked in context.linked.questions.items():
        if linked.schema is None:
            continue
        if name in context.routes:
            yield from _misspelt_keywords(linked.schema.source)
        refused = list(_refused(name, linked, context)) if not linked.step.is_enforced_locally else []
        findings = [] if linked.schema.source.is_fields else list(look_into(linked.schema.bundled))
        places = {pointer for pointer, _ in refused}
        kept = [one for one in findings if one.severity == "error" or _keyword_of(one.pointer) not in places]
        told_already = {_keyword_of(finding.pointer) for finding in kept if finding.severity == "error"}
        yield from (told(finding, linked.schema) for finding in kept)
        yield from (problem for pointer, problem in refused if pointer not in told_already)


def _keyword_of(pointer: str) -> str:
    """The pointer of the list that a name of `required` stands in, any other as it is."""
    start, _, index = pointer.rpartition("/")
    return start if index.isdigit() and start.endswith("/required") else pointer


def rungs_of(name: str, step: Step) -> tuple[str, ...]:
    """The full names under which further models are asked."""
    return tuple(name + rung.removeprefix(step.name) for rung in step.rungs)


def _refused(name: str, linked: LinkedStep, context: CheckContext) -> Iterator[tuple[str, Problem]]:
    """What would be answered with an error, with its pointer; such a schema can be checked locally only."""
    assert linked.schema is not None
    asked = [context.routes[one] for one in (name, *rungs_of(name, linked.step)) if one in context.routes]
    for route in {route.name: route for route in asked}.values():
        for pointer, reason in context.dialect_of(route).lower(linked.schema.bundled).refused:
            yield (
                pointer,
                Problem(
                    "schema-not-taken",
                    f"step '{name}': {route.name} would refuse the schema at {pointer or 'its root'}: {reason}",
                    linked.schema.at(pointer),
                    fix="change the schema, or set enforce: local to check it here only",
                ),
            )


def told(finding: Finding, schema: CompiledSchema) -> Problem:
    """A finding at its place in the author's file."""
    return Problem(
        finding.code,
        finding.message,
        schema.at(finding.pointer),
        expected=finding.expected,
        nearest=finding.nearest,
        fix=finding.fix,
        severity=finding.severity,
    )


def look_into(bundled: Json) -> Iterator[Finding]:
    """All that can be found in a schema by itself."""
    yield from suspicious_parts(bundled)
    yield from slow_patterns(bundled)
