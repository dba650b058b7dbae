"""What tools are given, as far as the file says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.checks.context import CheckContext
from runner.core.canonical import Json
from runner.core.problem import Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.values import Value, literal
from runner.link.parts import LinkedStep, LinkedTool
from runner.output.validate import Validator


def check_tools(context: CheckContext) -> Iterator[Problem]:
    """Arguments that a tool does not have, lacks, or does not take."""
    for linked in context.linked.questions.values():
        call = linked.step.call
        tool = linked.tools.get(call.tool) if call is not None else None
        if call is not None and tool is not None and tool.parameters is not None:
            yield from _arguments(linked, tool, tool.parameters.bundled, call.arguments)


def _arguments(linked: LinkedStep, tool: LinkedTool, schema: Json, given: Mapping[str, Value]) -> Iterator[Problem]:
    title = f"tool '{tool.tool.name}'"
    known = schema.get("properties", {})
    unknown = [name for name in given if name not in known] if _is_closed(schema) else []
    for name in unknown:
        yield Problem(
            "bad-arguments",
            f"step '{linked.name}' gives {title} the argument '{name}', which it does not have",
            linked.step.at(f"name of with.{name}"),
            expected=f"an argument of {title}: {listed(known)}" if known else "no arguments",
            nearest=nearest(name, known),
            edits=renaming(linked.step.at(f"name of with.{name}"), name, known),
        )
    meant = {nearest(name, known) for name in unknown}
    for name in schema.get("required", ()):
        if name not in given and name not in meant:
            yield Problem(
                "bad-arguments",
                f"step '{linked.name}' does not give {title} the argument '{name}', which it needs",
                linked.step.at("call"),
                fix=f"with: {{{name}: …}}",
            )
    yield from _literals(linked, title, schema, given)


def _is_closed(schema: Json) -> bool:
    return schema.get("additionalProperties") is False and "patternProperties" not in schema


def _literals(linked: LinkedStep, title: str, schema: Json, given: Mapping[str, Value]) -> Iterator[Problem]:
    """Values that stand in the file and that the parameters do not allow."""
    values = {name: plain[0] for name, value in given.items() if (plain := literal(value)) is not None}
    told: set[str] = set()
    for one in Validator(schema).violations(values):
        name = one.pointer.split("/")[1] if one.pointer else ""
        if name in values and name not in told and name in schema.get("properties", {}):
            told.add(name)
            found = f", found {one.found}" if one.found else ""
            place = f" at {one.pointer}" if one.pointer.count("/") > 1 else ""
            yield Problem(
                "bad-arguments",
                f"step '{linked.name}' gives {title} a '{name}' that it does not take{place}{found}",
                linked.step.at(f"with.{name}"),
                expected=one.expected,
            )
