"""The cells of a matrix, and the workflow that each one is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, fields
from itertools import product

from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.suite import Axis, CellPattern, InputChange, Matrix, Option, StepChange
from runner.core.workflow import Step, Workflow

# Where a key of a step is kept under another name.
_KEPT_AS = {
    "prompt": "messages",
    "fields": "schema",
    "enforce": "is_enforced_locally",
    "timeout": "timeout_s",
}
_SHORT = re.compile(r"[\w./:+]([\w./:+-]{0,39})")
_STEP_FIELDS = frozenset(one.name for one in fields(Step))


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant of the workflow: the option of each axis. The cell of a suite without a matrix has none."""

    options: Mapping[str, Option] = field(default_factory=dict)
    name: str = ""
    """The options' names, as they stand in an item's id; "" without a matrix."""

    @property
    def values(self) -> dict[str, Json]:
        """The options as written, by axis."""
        return {axis: option.written for axis, option in self.options.items()}

    def fits(self, pattern: CellPattern) -> bool:
        return all(
            name in self.options and self.options[name].written in values for name, values in pattern.values.items()
        )


def cells_of(matrix: Matrix | None) -> tuple[Cell, ...]:
    """All combinations but those that are left out, then those that are added."""
    if matrix is None or not matrix.axes:
        return (Cell(),)
    names = {axis.name: _names(axis) for axis in matrix.axes.values()}
    kept: list[Cell] = []
    told: set[str] = set()
    for numbered in product(*(enumerate(axis.options) for axis in matrix.axes.values())):
        chosen = dict(zip(matrix.axes, numbered, strict=True))
        cell = Cell({axis: option for axis, (_, option) in chosen.items()})
        if not any(cell.fits(pattern) for pattern in matrix.exclude):
            name = "-".join(names[axis][index] for axis, (index, _) in chosen.items())
            kept.append(replace(cell, name=_unique(name, told)))
    for options in matrix.added:
        if not any(cell.options == options for cell in kept):
            name = "-".join(map(_short, options.values()))
            kept.append(Cell(options, _unique(name, told)))
    return tuple(kept)


def _unique(name: str, told: set[str]) -> str:
    """A name that no cell has had."""
    while name in told:
        name += "'"
    told.add(name)
    return name


def _short(option: Option) -> str:
    return option.name if _SHORT.fullmatch(option.name) else f"line{option.span.line}"


def _names(axis: Axis) -> list[str]:
    """What the options are called in an id: a short word as it is, a prompt or a schema by its number."""
    words = [option.name for option in axis.options]
    key = axis.name.rpartition(".")[2]
    return [
        word if _SHORT.fullmatch(word) and words.count(word) == 1 else f"{key}{number}"
        for number, word in enumerate(words, 1)
    ]


def vary(workflow: Workflow, cell: Cell) -> Workflow:
    """The workflow with what the cell replaces in its steps; what is replaced keeps the place of the axis."""
    steps = dict(workflow.steps)
    for change in (change for option in cell.options.values() for change in option.changes):
        if isinstance(change, StepChange) and change.step in steps:
            steps[change.step] = _changed(steps[change.step], change)
    return replace(workflow, steps=steps)


def _changed(step: Step, change: StepChange) -> Step:
    name = _KEPT_AS.get(change.key, change.key)
    assert name in _STEP_FIELDS, change.key
    spans = {path: span for path, span in step.spans.items() if path.partition(".")[0] not in (change.key, name)}
    return replace(
        step,
        **{name: getattr(change.part, name)},
        spans={**spans, **change.part.spans, change.key: change.part.spans.get(change.key, change.span)},
        own=step.own | {change.key},
    )


def inputs_of(cell: Cell) -> dict[str, InputChange]:
    """The inputs that a cell replaces, by name."""
    changes = (change for option in cell.options.values() for change in option.changes)
    return {change.input: change for change in changes if isinstance(change, InputChange)}
