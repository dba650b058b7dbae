"""Schemas against what each provider takes."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.canonical import escape_pointer
from runner.core.problem import Problem, nearest
from runner.core.workflow import SchemaSource
from runner.output.keywords import HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, every_schema

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
    """What the provider of a step's model would answer with an error; such a schema can be checked locally only."""
    for name, route in context.routes.items():
        linked = context.linked.steps[name]
        source = linked.step.schema
        if linked.schema is None or source is None:
            continue
        yield from _misspelt_keywords(source)
        if linked.step.is_enforced_locally:
            continue
        for pointer, reason in context.dialect_of(route).lower(linked.schema.bundled).refused:
            yield Problem(
                "schema-not-taken",
                f"step '{name}': {route.name} would refuse the schema at {pointer or 'its root'}: {reason}",
                source.at(pointer),
                fix="change the schema, or set enforce: local to check it here only",
            )
