"""The cells of a matrix, and the workflow that each one is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from itertools import product

from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.suite import CellPattern, InputChange, Matrix, Option, StepChange
from runner.core.workflow import Step, Workflow

# Where a key of a step is kept under another name.
_KEPT_AS = {
    "prompt": "messages",
    "fields": "schema",
    "enforce": "is_enforced_locally",
    "timeout": "timeout_s",
}
_STEP_FIELDS = frozenset(one.name for one in fields(Step))


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant of the workflow: the option of each axis. The cell of a suite without a matrix has none."""

    options: Mapping[str, Option] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The options' names, as they stand in an item's id; "" without a matrix."""
        return "-".join(option.name for option in self.options.values())

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
    whole = [Cell(dict(zip(matrix.axes, options, strict=True))) for options in product(*_options(matrix))]
    kept = [cell for cell in whole if not any(cell.fits(pattern) for pattern in matrix.exclude)]
    kept += [cell for cell in whole if cell not in kept and any(cell.fits(pattern) for pattern in matrix.include)]
    return tuple(kept)


def _options(matrix: Matrix) -> Iterator[tuple[Option, ...]]:
    return (axis.options for axis in matrix.axes.values())


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
