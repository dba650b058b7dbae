"""Loops: steps in a scope of their own, with the state and the turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from runner.core.frozen import replace
from runner.core.span import Span
from runner.core.workflow import Expression, Loop, SchemaSource, Step, Template, Workflow
from runner.link.parts import LinkedLoop, LinkedStep
from runner.link.scope import Place, Use
from runner.link.values import value_of
from runner.output.schema import CompiledSchema
from runner.templates.environment import Environment
from runner.templates.expression import CompiledExpression, compile_expression
from runner.templates.trail import ELEMENT

_S = TypeVar("_S")
_C = TypeVar("_C")


class Linking(Protocol):
    """What linking a loop needs of the whole."""

    def compile(self, compile_text: Callable[[Environment, _S], _C], source: _S | None) -> _C | None: ...

    def uses(
        self, source: Template | Expression, place: Place, role: str, span: Span | None = None
    ) -> tuple[Use, ...]: ...

    def schema(self, source: SchemaSource | None) -> CompiledSchema | None: ...

    def plain(self, step: Step, place: Place) -> LinkedStep: ...

    def is_below(self, name: str, lane: str) -> bool: ...

    def tell_circle(self, steps: Mapping[str, LinkedStep]) -> None: ...


def link_loop(linking: Linking, step: Step, loop: Loop, place: Place) -> LinkedStep:
    """A step with a loop. It needs what any text inside reads of the workflow."""
    uses: list[Use] = []

    def linked(source: Expression | None, where: Place, role: str) -> CompiledExpression | None:
        if source is None:
            return None
        uses.extend(linking.uses(source, where, role, step.at(role)))
        return linking.compile(compile_expression, source)

    when = linked(step.when, place, "when")
    computed: list[CompiledExpression] = []

    def at_start(source: Expression) -> CompiledExpression | None:
        found = linked(source, place, "loop.state.start")
        computed.extend([found] if found else [])
        return found

    start = {name: value_of(value, at_start) for name, value in loop.start.items()}
    over = linked(loop.over.items, place, "loop.over") if loop.over else None
    inside = _inside(step, loop, place, over)
    steps = {}
    for name, inner in loop.steps.items():
        own = replace(inside, title=f"step '{step.name}.{name}'", owner=f"{step.name}.{name}")
        steps[name] = linking.plain(inner, own)
        uses += steps[name].uses
    after = replace(inside, title=f"next of step '{step.name}'")
    following = {name: linked(text, after, f"loop.next.{name}") for name, text in loop.next.items()}
    until = linked(loop.until, replace(inside, title=f"until of step '{step.name}'"), "loop.until")
    outer = tuple(use for use in uses if use.step not in inside.local.values())
    hard = frozenset(use.step for use in outer if not use.is_soft)
    short = {full: name for name, full in inside.local.items()}
    inner_steps = {name: _within(one, short) for name, one in steps.items()}
    linking.tell_circle(inner_steps)
    barriers = frozenset(use.step for use in outer if use.is_barrier)
    return LinkedStep(
        step=step,
        lane=place.lane,
        when=when,
        uses=outer,
        hard=hard,
        soft=frozenset(use.step for use in outer) - hard,
        barriers=barriers,
        below=frozenset(name for name in barriers if linking.is_below(name, place.lane)),
        loop=LinkedLoop(
            loop=loop,
            steps=inner_steps,
            schema=linking.schema(loop.schema),
            start=start,
            next={name: text for name, text in following.items() if text is not None},
            until=until,
            over=over,
            computed=tuple(computed),
        ),
    )


def _inside(step: Step, loop: Loop, place: Place, over: CompiledExpression | None) -> Place:
    """The scope of the texts inside."""
    local = {name: f"{step.name}.{name}" for name in loop.steps}
    inside = replace(place, others=place.others | {"state", "turn"}, loop=step.name, local=local)
    if loop.over is None:
        return inside
    path = (*over.path, ELEMENT) if over and over.path else ()
    names = inside.item_names | {loop.over.name}
    return replace(inside, item_names=names, elements=(*inside.elements, (loop.over.name, path)))


def _within(step: LinkedStep, short: Mapping[str, str]) -> LinkedStep:
    """A step of a loop, which waits for steps of its turn only; the loop itself waits for all others."""

    def own(names: Iterable[str]) -> frozenset[str]:
        return frozenset(short[name] for name in names if name in short)

    return replace(
        step,
        uses=tuple(replace(use, step=short[use.step]) for use in step.uses if use.step in short),
        hard=own(step.hard),
        soft=own(step.soft),
        barriers=frozenset(),
        answers=frozenset(short.get(name, name) for name in step.answers),
        models=frozenset(short.get(name, name) for name in step.models),
        tool_readers=frozenset(short.get(name, name) for name in step.tool_readers),
    )


def seen_from(place: Place, workflow: Workflow, lanes: Mapping[str, str]) -> tuple[Workflow, Mapping[str, str]]:
    """The steps that a text can read, and their lanes: those of its loop hide others of the same name."""
    loop = workflow.steps[place.loop].loop if place.loop else None
    if loop is None:
        return workflow, lanes
    steps = {**workflow.steps, **loop.steps}
    return replace(workflow, steps=steps), {**lanes, **dict.fromkeys(loop.steps, place.lane)}


def with_inner(
    steps: Mapping[str, LinkedStep], workflow: Workflow
) -> tuple[dict[str, LinkedStep], Workflow, dict[str, CompiledSchema | None]]:
    """All steps, those of loops by their full names too; and the schemas of states."""
    known, written = dict(steps), dict(workflow.steps)
    states: dict[str, CompiledSchema | None] = {}
    for name, step in steps.items():
        if step.loop is None:
            continue
        states[name] = step.loop.schema
        for short, inner in step.loop.steps.items():
            known[f"{name}.{short}"] = replace(inner, hard=step.hard, soft=frozenset())
            written[f"{name}.{short}"] = inner.step
    return known, replace(workflow, steps=written), states
