"""What a tool is given: rendered, and held to the tool's parameters before it runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.canonical import Json
from runner.core.outcome import Violation
from runner.core.problem import Problem
from runner.link.parts import LinkedStep, LinkedTool
from runner.output.validate import Validator
from runner.templates.problems import RenderFailed


def arguments_of(linked: LinkedStep, values: Mapping[str, Json]) -> Json:
    """The arguments of the tool that a step runs. Raises RenderFailed when they do not fit its parameters."""
    assert linked.step.call is not None
    given = {name: value(values) for name, value in linked.arguments.items()}
    misfit = misfit_of(linked.tools[linked.step.call.tool], given)
    if misfit is not None:
        name = misfit.pointer.split("/")[1] if misfit.pointer else ""
        message = f"what '{linked.step.call.tool}' is given does not fit its parameters: {in_words(misfit)}"
        raise RenderFailed(Problem("bad-arguments", message, linked.step.at(f"with.{name}" if name else "with")))
    return given


def misfit_of(tool: LinkedTool, arguments: Json) -> Violation | None:
    """The first way in which arguments do not fit the parameters of a tool."""
    if tool.parameters is None:
        return None
    validator = Validator(tool.parameters.bundled)
    return None if validator.fits(arguments) else validator.violations(arguments)[0]


def in_words(misfit: Violation) -> str:
    found = f", found {misfit.found}" if misfit.found else ""
    return f"at {misfit.pointer or 'its root'} expected {misfit.expected}{found}"
