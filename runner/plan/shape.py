"""The shape of a workflow: its steps in order of execution, and which reads which. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from runner.core.frozen import dataclass
from runner.core.model import Route
from runner.link.linked import Linked
from runner.link.stages import needs_of

ReadKind = Literal["answer", "all items", "list"]


@dataclass(frozen=True, slots=True)
class Read:
    """A step that is read: its answer, the answers of all its items (a barrier), or for the list of items."""

    step: str
    kind: ReadKind


@dataclass(frozen=True, slots=True)
class StepShape:
    """One step among the others. `lane` is the list that it walks, "" for a step that runs once."""

    step: str
    model: str
    description: str = ""
    tags: tuple[str, ...] = ()
    lane: str = ""
    reads: tuple[Read, ...] = ()


def shape_of(linked: Linked, routes: Mapping[str, Route]) -> tuple[StepShape, ...]:
    """All steps, each after those that it reads."""
    order = [name for stage in linked.stages for name in stage.steps]
    return tuple(_shape(linked, name, _models(linked, name, routes)) for name in order)


def _models(linked: Linked, name: str, routes: Mapping[str, Route]) -> str:
    """The models that are asked first: of a loop, those of its steps."""
    loop = linked.steps[name].loop
    asked = [name] if loop is None else [f"{name}.{inner}" for inner in loop.steps]
    return ", ".join(dict.fromkeys(routes[one].name for one in asked))


def _shape(linked: Linked, name: str, model: str) -> StepShape:
    step = linked.steps[name]
    reads = [Read(need, "all items" if need in step.barriers else "answer") for need in sorted(step.needs)]
    if step.lane:
        reads += [Read(need, "list") for need in sorted(linked.lanes[step.lane].needs - step.needs)]
    walked = linked.lanes[step.lane].items.expression.text if step.lane else ""
    return StepShape(
        name, model, step.step.description, step.step.tags, " ".join(walked.split("\n")).strip(), tuple(reads)
    )


def needs_by_step(linked: Linked) -> dict[str, frozenset[str]]:
    """What each step waits for: the steps that it reads, also for its list."""
    return {name: needs_of(name, linked.steps, linked.lanes) for name in linked.steps}
