"""Likeness by vectors: what a suite asks an embedding model for, as steps beside those of the workflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from runner.core.canonical import Json, digest
from runner.core.frozen import dataclass, replace
from runner.core.span import Origin, Span
from runner.core.suite import Assertion, SimilarityCheck, Suite
from runner.core.values import Computed, Fields, FromFile, ListOfValues, Plain, Value
from runner.core.workflow import VECTOR, Expression, MessageTemplate, SchemaSource, Step, Template
from runner.link.linked import Linked
from runner.link.stages import cut_stages

_PREFIX = "vector:"  # no step of a workflow can be called so
_SHORT_DIGEST = 8
_OPENING, _CLOSING = "{{ (", ") }}"

Load = Callable[[str], Json]
"""What a file of the project holds, by its path."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """The two steps of a comparison: the vector of what came out, and of what it should be like."""

    of: Step
    to: Step


def is_vector(step: str) -> bool:
    """Whether a step is one of these."""
    return step.startswith(_PREFIX)


def vectors_of(check: SimilarityCheck, load: Load) -> Vectors:
    """Raises FileError for a file that cannot be read."""
    shown = check.of.text.strip()
    return Vectors(
        _step(check, _template(check.of), f"the vector of {shown}"),
        _step(check, _wanted(check.to, load, check.at("similar.to")), f"the vector of what {shown} should be like"),
    )


def vector_steps(assertions: Iterable[Assertion], load: Load) -> dict[str, Step]:
    """All that comparisons by vectors ask; what several of them ask is one step. Raises FileError."""
    compared = (one for one in assertions if isinstance(one, SimilarityCheck) and one.by)
    pairs = (vectors_of(one, load) for one in compared)
    return {step.name: step for pair in pairs for step in (pair.of, pair.to)}


def all_assertions(suite: Suite) -> tuple[Assertion, ...]:
    own = [one for case in suite.cases.values() for one in case.assertions]
    made = suite.cases_from.assertions if suite.cases_from else ()
    return (*suite.assertions, *own, *made)


def without_vectors(linked: Linked, kept: Iterable[str]) -> Linked:
    """The workflow of a case, which compares by some of the vectors only. Nothing reads one, so that nothing else changes."""
    wanted = set(kept)
    steps = {name: step for name, step in linked.steps.items() if not is_vector(name) or name in wanted}
    if len(steps) == len(linked.steps):
        return linked
    workflow = replace(linked.workflow, steps={name: linked.workflow.steps[name] for name in steps})
    return replace(linked, workflow=workflow, steps=steps, stages=cut_stages(steps, linked.lanes))


def vector_in(steps: Mapping[str, Json], step: Step) -> list[float] | None:
    """The vector that a step gave, None where it did not run."""
    found = steps.get(step.name, {}).get("output")
    return found if isinstance(found, list) else None


# --- the steps


def _step(check: SimilarityCheck, text: Template, description: str) -> Step:
    named = check.at("similar.by")
    name = f"{_PREFIX}{digest(json.dumps([check.by, text.text]))[:_SHORT_DIGEST]}"
    return Step(
        span=check.span,
        spans={"model": named, "embed": named},
        name=name,
        description=description,
        model=check.by,
        messages=(MessageTemplate("user", text, check.span),),
        schema=SchemaSource(VECTOR, named),
        is_enforced_locally=True,
        is_embedding=True,
        own=frozenset({"model", "embed"}),
    )


def _template(expression: Expression) -> Template:
    origin = expression.origin
    shifted = replace(origin, column=origin.column - len(_OPENING)) if origin.is_exact else origin
    return Template(f"{_OPENING}{expression.text}{_CLOSING}", shifted)


def _wanted(value: Value, load: Load, span: Span) -> Template:
    """A value as a template: one expression, so that no brace in it is taken for one."""
    if isinstance(value, Computed):
        return _template(value.expression)
    origin = Origin(span.file, span.line, span.column, is_exact=False)
    return Template(f"{_OPENING}{_expression(value, load)}{_CLOSING}", origin)


def _expression(value: Value, load: Load) -> str:
    match value:
        case Plain():
            return _spelled(value.json)
        case Computed():
            return f"({value.expression.text})"
        case FromFile():
            return _spelled(load(value.file))
        case ListOfValues():
            return f"[{', '.join(_expression(item, load) for item in value.items)}]"
        case Fields():
            inner = (f"{_spelled(name)}: {_expression(one, load)}" for name, one in value.entries.items())
            return f"{{{', '.join(inner)}}}"


def _spelled(value: Json) -> str:
    """A JSON value as Jinja spells it."""
    match value:
        case None | bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_spelled, value))}]"
        case dict():
            return f"{{{', '.join(f'{_spelled(name)}: {_spelled(one)}' for name, one in value.items())}}}"
        case _:
            return json.dumps(value, ensure_ascii=False)
