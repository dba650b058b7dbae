"""Steps into stages: a lane's steps run together as far as no barrier stands between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush
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
    ready = _Ready(steps, lanes)

    def emit(lane: str, names: tuple[str, ...]) -> None:
        before = {need for name in names for need in needs_of(name, steps, lanes)} - set(names)
        stages.append(Stage(lane, names, frozenset(stage_of[need] for need in before)))
        stage_of.update(dict.fromkeys(names, len(stages) - 1))
        ready.place(names)

    while len(stage_of) < len(steps):
        name = ready.first(stage_of)
        lane = steps[name].lane
        emit(lane, _closure(lane, steps, lanes, stage_of) if lane else (name,))
    return tuple(stages)


class _Ready:
    """The steps whose needs are all placed: those that run once first, each kind in the author's order."""

    def __init__(self, steps: Mapping[str, StepNeeds], lanes: Mapping[str, LaneNeeds]) -> None:
        self._rank = {name: (bool(step.lane), at) for at, (name, step) in enumerate(steps.items())}
        self._readers: dict[str, list[str]] = defaultdict(list)
        self._missing: dict[str, int] = {}
        for name in steps:
            needs = needs_of(name, steps, lanes)
            self._missing[name] = len(needs)
            for need in needs:
                self._readers[need].append(name)
        self._found = [(self._rank[name], name) for name, count in self._missing.items() if not count]
        heapify(self._found)

    def first(self, placed: Mapping[str, int]) -> str:
        while self._found[0][1] in placed:
            heappop(self._found)
        return self._found[0][1]

    def place(self, names: tuple[str, ...]) -> None:
        for reader in (reader for name in names for reader in self._readers[name]):
            self._missing[reader] -= 1
            if not self._missing[reader]:
                heappush(self._found, (self._rank[reader], reader))


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
