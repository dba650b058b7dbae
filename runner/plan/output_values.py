"""The value of an output, for whoever reads it: the end of a run, and a judge of a suite."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.canonical import Json
from runner.core.outcome import Status
from runner.core.workflow import OutputValue
from runner.link.linked import LinkedOutput
from runner.link.scope import Use
from runner.plan.states import Scope
from runner.templates.problems import RenderFailed


def output_value(output: LinkedOutput, scope: Scope, inputs: Mapping[str, Json]) -> Json:
    """The value of an output; null when a step that it reads was skipped or failed. Raises RenderFailed."""
    assert output.value is not None
    if any(is_hole_in(use, scope) for use in output.uses if not use.is_soft):
        return None
    return output.value.evaluate({"inputs": inputs, "steps": scope.views})


def is_hole_in(use: Use, scope: Scope) -> bool:
    """Whether a step that is read has no good end."""
    ended = scope.barriers.get(use.step) if use.is_barrier else scope.outcomes.get(use.step)
    return ended is None or ended.status is not Status.GOOD


def values_of_outputs(outputs: tuple[LinkedOutput, ...], scope: Scope, inputs: Mapping[str, Json]) -> dict[str, Json]:
    """All that can be told; one that cannot be evaluated is not there, so that reading it is an error."""
    found: dict[str, Json] = {}
    for output in outputs:
        if isinstance(output.output, OutputValue):
            try:
                found[output.output.name] = output_value(output, scope, inputs)
            except RenderFailed:
                continue
    return found
