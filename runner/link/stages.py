"""Steps into stages: a lane's steps run together as far as no barrier stands between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from runner.core.frozen import dataclass


class StepNeeds(Protocol):
    """What the order of steps depends on."""

    @property
    def lane(self) -> str: ...

    @property
    def needs(self) -> frozenset[str]: ...

    @property
    def barriers(self) -> frozenset[str]: ...


class LaneNeeds(Protocol):
    @property
    def needs(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps of one lane, in an order in which each comes after those of them that it needs.

    An item walks through all of them without waiting for other items. `after` are the positions of the stages
    that must have ended first. A step that runs once is a stage of its own, so that independent ones overlap.
    """

    lane: str
    steps: tuple[str, ...]
    after: frozenset[int]


def needs_of(name: str, steps: Mapping[str, StepNeeds], lanes: Mapping[str, LaneNeeds]) -> frozenset[str]:
    """What must come before a step: what it reads, and what its lane's list reads."""
    lane = steps[name].lane
    return steps[name].needs | (lanes[lane].needs if lane in lanes else frozenset())


def find_circle(steps: Mapping[str, StepNeeds], lanes: Mapping[str, LaneNeeds]) -> tuple[str, ...]:
    """A circle of needs as a path that ends where it starts, or ()."""
    done: set[str] = set()
    for start in steps:
        path: list[str] = []
        stack: list[Iterator[str]] = [iter([start])]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                if path:
                    done.add(path.pop())
            elif name in path:
                return (*path[path.index(name) :], name)
            elif name not in done and name in steps:
                path.append(name)
                stack.append(iter(sorted(needs_of(name, steps, lanes))))
    return ()


def cut_stages(steps: Mapping[str, StepNeeds], lanes: Mapping[str, LaneNeeds]) -> tuple[Stage, ...]:
    """All steps in stages; every stage comes after those in its `after`. There must be no circle.

    Steps that run once go first whenever they can, so that a lane is cut only where a barrier makes it: a step of
    the lane waits for a step elsewhere only if that one, in turn, waits for the lane.
    """
    stage_of: dict[str, int] = {}
    stages: list[Stage] = []

    def emit(lane: str, names: tuple[str, ...]) -> None:
        before = {need for name in names for need in needs_of(name, steps, lanes)} - set(names)
        stages.append(Stage(lane, names, frozenset(stage_of[need] for need in before)))
        stage_of.update(dict.fromkeys(names, len(stages) - 1))

    while len(stage_of) < len(steps):
        single = next(
            (name for name in steps if not steps[name].lane and _is_ready(name, steps, lanes, stage_of)), None
        )
        if single is not None:
            emit("", (single,))
            continue
        lane = next(steps[name].lane for name in steps if _is_ready(name, steps, lanes, stage_of))
        emit(lane, _closure(lane, steps, lanes, stage_of))
    return tuple(stages)


def _is_ready(
    name: str, steps: Mapping[str, StepNeeds], lanes: Mapping[str, LaneNeeds], placed: Mapping[str, int]
) -> bool:
    return name not in placed and needs_of(name, steps, lanes) <= placed.keys()


def _closure(
    lane: str, steps: Mapping[str, StepNeeds], lanes: Mapping[str, LaneNeeds], placed: Mapping[str, int]
) -> tuple[str, ...]:
    """The steps of a lane that can run once the placed stages have ended, in order of need."""
    chosen: list[str] = []
    grew = True
    while grew:
        grew = False
        for name, step in steps.items():
            if step.lane != lane or name in placed or name in chosen:
                continue
            outside = needs_of(name, steps, lanes) - set(chosen)
            barred = step.barriers & set(chosen)
            if outside <= placed.keys() and not barred:
                chosen.append(name)
                grew = True
    return tuple(chosen)
