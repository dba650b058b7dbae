"""Who holds an answer to its schema: keyword by keyword, the provider or only we."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from runner.checks.context import CheckContext
from runner.core.canonical import Json, escape_pointer
from runner.core.frozen import dataclass
from runner.core.model import Route
from runner.core.ports import Dialect, LoweredSchema
from runner.dialects.keywords import ASSERTIONS, FORMATS
from runner.link.parts import LinkedStep
from runner.output.keywords import every_schema
from runner.output.schema import CompiledSchema

Pointers = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Keyword → the pointers where the schema of a step uses it; `refused` has a reason for each pointer."""

    file: str
    step: str
    model: str
    enforced: Pointers = field(default_factory=dict)
    local: Pointers = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()


def enforcements(context: CheckContext, file: str) -> Iterator[Enforcement]:
    """What becomes of the schemas of a workflow at the providers of its steps."""
    asked = context.linked.asked
    for name, route in context.routes.items():
        step = asked[name]
        if step.schema is not None:
            yield _enforcement(file, step, step.schema, route, context.dialect_of(route))


def _enforcement(file: str, step: LinkedStep, schema: CompiledSchema, route: Route, dialect: Dialect) -> Enforcement:
    is_sent = not step.step.is_enforced_locally
    lowered = dialect.lower(schema.bundled) if is_sent else LoweredSchema(None)
    by_provider, refused = set(lowered.enforced), {pointer for pointer, _ in lowered.refused}
    enforced: dict[str, tuple[str, ...]] = {}
    local: dict[str, tuple[str, ...]] = {}
    for keyword, pointer in _assertions(schema.bundled):
        if pointer in refused:
            continue
        group = enforced if _modern(pointer) in by_provider else local
        group[keyword] = (*group.get(keyword, ()), pointer)
    return Enforcement(file, step.name, route.name, enforced, local, lowered.refused)


def _assertions(schema: Json) -> Iterator[tuple[str, str]]:
    for pointer, inner in every_schema(schema):
        for keyword, value in inner.items() if isinstance(inner, dict) else ():
            if keyword in ASSERTIONS and (keyword != "format" or value in FORMATS):
                yield keyword, f"{pointer}/{escape_pointer(keyword)}"


def _modern(pointer: str) -> str:
    """Definitions have another name where a schema is sent."""
    return f"/$defs/{pointer.removeprefix('/definitions/')}" if pointer.startswith("/definitions/") else pointer
