"""Schemas against what each provider takes."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.problem import Problem


def check_schemas(context: CheckContext) -> Iterator[Problem]:
    """What the provider of a step's model would answer with an error; such a schema can be checked locally only."""
    for name, route in context.routes.items():
        linked = context.linked.steps[name]
        source = linked.step.schema
        if linked.schema is None or source is None or linked.step.is_enforced_locally:
            continue
        for pointer, reason in context.dialect_of(route).lower(linked.schema.bundled).refused:
            yield Problem(
                "schema-not-taken",
                f"step '{name}': {route.name} would refuse the schema at {pointer or 'its root'}: {reason}",
                source.at(pointer),
                fix="change the schema, or set enforce: local to check it here only",
            )
