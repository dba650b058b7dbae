"""Tools that a provider runs itself, and calls that a model is forced to make, against what its protocol takes."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalog.thinking import thinking_for
from runner.checks.context import CheckContext
from runner.core.model import Route
from runner.core.problem import Problem
from runner.core.workflow import Step
from runner.dialects.own_tools import forces_while_thinking, runs_own, takes_own_alone, takes_own_unchosen


def check_own_tools(context: CheckContext) -> Iterator[Problem]:
    """What the protocol of a step's model has no word for, each at its line."""
    asked = context.linked.workflow.asked
    for name, route in context.routes.items():
        step = asked[name]
        if not step.tools or "tools" in context.dialect_of(route).lacks or "tools" in route.facts.refuses:
            continue
        wrong = list(_unknown(step, route))
        yield from wrong or _beside(step, route)
        yield from _forced(step, route)


def _own(step: Step) -> dict[str, str]:
    """The step's tools that a provider runs: the author's name of each, and what it is."""
    return {name: tool.own for name in step.tools if (tool := step.toolbox.get(name)) is not None and tool.own}


def _unknown(step: Step, route: Route) -> Iterator[Problem]:
    for name, own in _own(step).items():
        if not runs_own(route.provider.dialect, own):
            yield Problem(
                "refused-setting",
                f"step '{step.name}' has the tool '{name}', a {own} of the provider's, and none is asked for in the "
                f"{route.provider.dialect} protocol",
                step.at(f"tools.{step.tools.index(name)}"),
                expected="a model of gemini, vertex or openai, or a tool of runner.yaml with the key 'python'",
            )


def _beside(step: Step, route: Route) -> Iterator[Problem]:
    """What does not go together with tools that the provider runs."""
    own = _own(step)
    functions = [name for name in step.tools if name in step.toolbox and name not in own]
    dialect = route.provider.dialect
    is_alone = bool(own) and (takes_own_alone(dialect) or route.facts.mixes_tools is False)
    if is_alone and functions:
        yield Problem(
            "refused-setting",
            f"step '{step.name}' has '{functions[0]}' beside '{next(iter(own))}', and {route.name} takes no functions "
            "beside tools that its provider runs",
            step.at(f"tools.{step.tools.index(functions[0])}"),
            fix="ask in two steps, one with each",
        )
    elif step.tool_choice in own or (own and takes_own_unchosen(dialect) and step.tool_choice not in ("", "auto")):
        yield Problem(
            "refused-setting",
            f"step '{step.name}' sets tool_choice, and {route.name} decides itself when to use what its provider runs",
            step.at("tool_choice"),
            fix="leave tool_choice out",
        )


def _forced(step: Step, route: Route) -> Iterator[Problem]:
    """A model that thinks, told that it must call: some protocols refuse that. What an option says of thinking counts more."""
    level = thinking_for(route, step.thinking, step.at("thinking"))
    is_forced = step.tool_choice not in ("", "auto", "none")
    is_thinking = isinstance(level, str) and level != "none" and "thinking" not in step.options
    if is_forced and is_thinking and not forces_while_thinking(route.provider.dialect):
        can_stop = "none" in route.facts.thinking_levels
        yield Problem(
            "refused-setting",
            f"step '{step.name}' sets tool_choice to {step.tool_choice}, which {route.name} takes only where it does "
            f"not think, not at {level}",
            step.at("tool_choice"),
            fix="thinking: none, or leave tool_choice out" if can_stop else "leave tool_choice out",
        )
