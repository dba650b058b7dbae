"""The cases of a suite, from the file and from rows, and the items that they make: case × cell × sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.harmless import safe
from runner.core.span import Span
from runner.core.suite import Assertion, Case, CaseSource, Expectation, Suite
from runner.core.values import Value
from runner.plan.items import Item
from runner.suites.cells import Cell

THRESHOLDS = "thresholds"


@dataclass(frozen=True, slots=True)
class CaseToRun:
    """A case with the assertions that all cases share. `row` is what `case` stands for, None beside rows.

    `problem` says why a row is no good one.
    """

    name: str
    values: Mapping[str, Value]
    expect: Expectation | None
    assertions: tuple[Assertion, ...]
    tags: tuple[str, ...]
    span: Span
    xfail: str = ""
    row: Json = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is run and judged as one: a case in one cell, asked once. `sample` counts from 0."""

    case: CaseToRun
    cell: Cell
    sample: int = 0
    samples: int = 1

    @property
    def id(self) -> str:
        """`crash`, `crash[strong-low]`, `crash[strong-low-s2]`."""
        suffix = [self.cell.name] if self.cell.name else []
        suffix += [f"s{self.sample + 1}"] if self.samples > 1 else []
        return f"{self.case.name}[{'-'.join(suffix)}]" if suffix else self.case.name


def cases_of(suite: Suite, rows: Iterable[Item]) -> Iterator[CaseToRun]:
    """The cases in the order of the file, then those of the rows."""
    for case in suite.cases.values():
        yield _written(case, suite)
    if suite.cases_from is not None:
        for row in rows:
            made = _made(row, suite.cases_from, suite)
            if made.name == THRESHOLDS:
                made = replace(made, name=f"{made.name}#2")
            if made.name in suite.cases:
                made = replace(made, name=f"{made.name}#2", problem=f"case '{made.name}' came before")
            yield made


def _written(case: Case, suite: Suite) -> CaseToRun:
    return CaseToRun(
        name=case.name,
        values={**suite.values, **case.values},
        expect=case.expect,
        assertions=(*case.assertions, *suite.assertions),
        tags=(*suite.tags, *case.tags),
        span=case.span,
        xfail=case.xfail,
    )


def _made(row: Item, source: CaseSource, suite: Suite) -> CaseToRun:
    return CaseToRun(
        name=safe(row.id).replace("\n", "\\n"),  # it stands in names of tests, which everything shows
        values={**suite.values, **source.values},
        expect=source.expect,
        assertions=(*source.assertions, *suite.assertions),
        tags=(*suite.tags, *source.tags),
        span=source.span,
        row=row.value,
        problem=row.problem,
    )


def units_of(cases: Sequence[CaseToRun], cells: Sequence[Cell], samples: int) -> tuple[Unit, ...]:
    """Every case in every cell, as often as it is asked; the cases in order, so that `-x` stops early."""
    return tuple(Unit(case, cell, sample, samples) for case in cases for cell in cells for sample in range(samples))
