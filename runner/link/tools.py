"""The tools that steps name, as `runner.yaml` says what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.span import Span
from runner.core.tool import TOOL_CHOICES, Tool
from runner.core.workflow import SchemaSource, Settings, Step, Workflow
from runner.link.parts import LinkedTool
from runner.output.schema import CompiledSchema

NO_ARGUMENTS: Json = {"type": "object", "properties": {}, "additionalProperties": False}


def bind_tools(workflow: Workflow, settings: Settings) -> tuple[Workflow, tuple[Problem, ...]]:
    """The workflow with what is known of each tool that a step names; a `call` has the type that its tool returns."""
    problems: list[tuple[str, Problem]] = []
    steps = {name: _bound(step, settings.tools, problems) for name, step in workflow.steps.items()}
    # A tool that is told to be wrong is not told to be missing.
    found = (problem for name, problem in problems if name in settings.tools or f"tools.{name}" not in settings.spans)
    return replace(workflow, steps=steps), tuple(found)


def _bound(step: Step, tools: Mapping[str, Tool], problems: list[tuple[str, Problem]]) -> Step:
    if step.loop is not None:
        inner = {name: _bound(one, tools, problems) for name, one in step.loop.steps.items()}
        return replace(step, loop=replace(step.loop, steps=inner))
    named = list(_named(step))
    if step.tool_choice and step.tool_choice not in (*TOOL_CHOICES, *step.tools):
        problems.append(("", _no_choice(step)))
    problems += [(name, told) for name, span in named if (told := _unknown(step, name, span, tools)) is not None]
    toolbox = {name: tools[name] for name, _ in named if name in tools}
    called = toolbox.get(step.call.tool) if step.call else None
    schema = called.returns if called is not None and called.returns is not None else step.schema
    return replace(step, toolbox=toolbox, schema=schema)


def _named(step: Step) -> Iterator[tuple[str, Span]]:
    """The tools that a step names, each with its place."""
    if step.call is not None:
        yield step.call.tool, step.at("call")
    for number, name in enumerate(step.tools):
        yield name, step.at(f"tools.{number}")


def _unknown(step: Step, name: str, span: Span, tools: Mapping[str, Tool]) -> Problem | None:
    if name in tools:
        return _not_callable(step, tools[name], span)
    near = nearest(name, tools)
    return Problem(
        "unknown-tool",
        f"step '{step.name}' names the tool '{name}', which runner.yaml does not have",
        span,
        expected=f"a tool of runner.yaml: {listed(tools)}" if tools else "",
        nearest=near,
        fix="" if near else f"say in runner.yaml what it is: tools: {{{name}: {{python: module:function}}}}",
        edits=renaming(span, name, tools),
    )


def _no_choice(step: Step) -> Problem:
    choices = (*TOOL_CHOICES, *step.tools)
    return Problem(
        "unknown-tool",
        f"tool_choice of step '{step.name}' names '{step.tool_choice}', which its tools leave out",
        step.at("tool_choice"),
        expected=f"one of {', '.join(choices)}",
        nearest=nearest(step.tool_choice, choices),
        edits=renaming(step.at("tool_choice"), step.tool_choice, choices),
    )


def _not_callable(step: Step, tool: Tool, span: Span) -> Problem | None:
    if step.call is None or tool.python:
        return None
    return Problem(
        "not-a-function",
        f"step '{step.name}' calls '{tool.name}', which is run by a provider for its models and by nobody else",
        span,
        expected="a tool of runner.yaml with the key 'python'",
    )


def link_tools(
    toolbox: Iterable[Tool], compiled: Callable[[SchemaSource], CompiledSchema | None], told: list[Problem]
) -> dict[str, LinkedTool]:
    """Tools with their schemas; parameters that are no object are told."""
    found: dict[str, LinkedTool] = {}
    for tool in toolbox:
        parameters = compiled(tool.parameters or SchemaSource(NO_ARGUMENTS, tool.span))
        if parameters is not None and not _is_object(parameters.bundled):
            told.append(_no_object(tool))
            parameters = None
        found[tool.name] = LinkedTool(tool, parameters, compiled(tool.returns) if tool.returns else None)
    return found


def _is_object(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "object"


def _no_object(tool: Tool) -> Problem:
    return Problem(
        "bad-parameters",
        f"the parameters of tool '{tool.name}' are no object, and its arguments have names",
        tool.parameters.span if tool.parameters else tool.span,
        expected="type: object, with a property for each argument",
    )
