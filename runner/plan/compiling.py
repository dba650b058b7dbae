"""Steps compiled: the schema lowered, what is the same for all items fixed, and the use of stored answers decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from runner.core.frozen import dataclass, replace
from runner.core.model import Route
from runner.core.ports import Dialect, FindMedium
from runner.core.response import Usage
from runner.core.tool import TOOL_DIALECT
from runner.core.workflow import CacheUse
from runner.dialects import ASKED
from runner.link.parts import LinkedLoop, LinkedStep
from runner.output.validate import Validator
from runner.plan.ingredients import fixed_ingredients, tool_ingredients
from runner.plan.program import Policy, StepProgram
from runner.plan.shared import context_of


@dataclass(frozen=True, slots=True)
class Asked:
    """How a model is asked: its route and dialect, the level that is sent, and what an answer costs."""

    route: Route
    dialect: Dialect
    thinking: str | None
    cost: Callable[[Usage], float | None]
    is_batch: bool = False


def compile_whole(
    linked: LinkedStep, asked: Mapping[str, Asked], policy: Policy, find: FindMedium | None = None
) -> StepProgram:
    """A step with all models that it may ask; `asked` has them by full name, `find` looks at its files."""
    if linked.loop is not None:
        return _compile_loop(linked, linked.loop, asked, policy, find)
    names = list(linked.asked)
    parts: dict[str, StepProgram] = {}
    for number, (name, one) in enumerate(linked.asked.items()):
        how = asked[name]
        made = compile_step(one, how.route, how.dialect, thinking=how.thinking, policy=policy, cost=how.cost, find=find)
        part = "" if name == linked.name else name
        parts[name] = replace(
            made,
            is_batch=how.is_batch,
            part=part,
            above=names[number + 1] if number + 1 < len(names) else "",
            context=context_of(one, how.route, is_batch=how.is_batch),
        )
    tools = {tool.full_name: tool for part in parts.values() for tool in _tools_of(part)}
    whole = parts.pop(linked.name)
    return replace(whole, parts=parts, tools=tools)


def _tools_of(part: StepProgram) -> Iterator[StepProgram]:
    """The tools that a model may call and that are run here, each as a part of its own."""
    for name, tool in part.linked.tools.items() if part.linked.step.call is None else ():
        if not tool.tool.python:
            continue
        route = tool.tool.route
        yield replace(
            part,
            route=route,
            dialect=ASKED[TOOL_DIALECT],
            thinking=None,
            validator=None,
            undo=None,
            sent_schema=None,
            fixed_ingredients=tool_ingredients(route),
            cost=lambda _: 0.0,
            use=part.use if tool.tool.is_replayed else "off",
            part=f"{part.full_name}.{TOOL_DIALECT}.{name}",
            above="",
            is_batch=False,
            context=None,
        )


def _compile_loop(
    linked: LinkedStep, loop: LinkedLoop, asked: Mapping[str, Asked], policy: Policy, find: FindMedium | None
) -> StepProgram:
    """A loop: its steps are compiled as if they were a workflow's, under the settings of the step around them."""
    is_refreshed = bool(policy.refresh & {linked.name, "*"})
    inside = replace(
        policy,
        is_final=policy.is_final or linked.step.on_error == "skip",
        refresh=frozenset({"*"} if is_refreshed else ()),
    )
    prefix = f"{linked.name}."
    known = {name.removeprefix(prefix): how for name, how in asked.items() if name.startswith(prefix)}
    turn = {name: compile_whole(step, known, inside, find) for name, step in loop.steps.items()}
    parts = {
        prefix + part.full_name: replace(
            part, part=prefix + part.full_name, above=prefix + part.above if part.above else "", parts={}
        )
        for step in turn.values()
        for part in step.all_parts
    }
    tools = {
        prefix + tool.full_name: replace(tool, part=prefix + tool.full_name)
        for step in turn.values()
        for tool in step.tools.values()
    }
    return replace(
        next(iter(turn.values())),
        linked=linked,
        validator=Validator(loop.schema.bundled) if loop.schema is not None else None,
        sent_schema=None,
        use="auto",
        is_settled=inside.is_final,
        awaited=linked.needs - linked.barriers,
        above="",
        parts=parts,
        tools=tools,
        turn=turn,
    )


def compile_step(
    linked: LinkedStep,
    route: Route,
    dialect: Dialect,
    *,
    thinking: str | None,
    policy: Policy,
    cost: Callable[[Usage], float | None],
    find: FindMedium | None = None,
) -> StepProgram:
    """Lower the schema, fix what does not change from item to item, and decide how stored answers are used."""
    step = linked.step
    schema = linked.schema
    is_sent = schema is not None and not step.is_enforced_locally
    lowered = dialect.lower(schema.bundled) if schema is not None and is_sent else None
    is_replayed = all(tool.tool.is_replayed for tool in linked.tools.values()) or step.call is None
    use: CacheUse = step.cache.use if is_replayed else "off"
    if policy.refresh & {step.name, "*"}:
        use = "refresh"
    if not policy.use_cache:
        use = "off"
    return StepProgram(
        linked=linked,
        route=route,
        dialect=dialect,
        thinking=thinking,
        validator=Validator(schema.bundled) if schema is not None else None,
        undo=lowered.undo if lowered else None,
        sent_schema=schema.bundled if schema is not None and is_sent else None,
        fixed_ingredients=fixed_ingredients(linked, route, dialect, thinking),
        cost=cost,
        use=use,
        is_settled=policy.is_final or step.on_error == "skip",
        awaited=linked.needs - linked.barriers,
        find=find,
    )
