"""The cells of a suite against its baseline: another cell, or a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.app.suite_units import PreparedSuite
from runner.core.errors import FileError, NothingSelected
from runner.core.problem import Problem
from runner.core.suite import Comparison
from runner.suites.comparing import Baseline, baseline_of_cell, baseline_of_document, compare
from runner.suites.metrics import Judged
from runner.suites.totals import CellTotal, Totals, in_cells
from runner.suites.verdict import Finding


def worse_cells(prepared: PreparedSuite, totals: Totals, judged: Judged) -> Iterator[Finding]:
    """The cells that are worse than the baseline by more than is allowed. Raises RunnerError without a baseline."""
    suite = prepared.suite
    if suite.compare is None:
        return
    by_cell = in_cells(judged)
    for total in totals.cells:
        baseline = _baseline(prepared, suite.compare, total, totals, by_cell)
        found = compare(suite.compare, total, by_cell[total.cell], baseline, suite.metrics, prepared.texts)
        if found is not None:
            yield found


def _baseline(
    prepared: PreparedSuite, wanted: Comparison, total: CellTotal, totals: Totals, by_cell: Mapping[str, Judged]
) -> Baseline:
    if wanted.cell is None:
        document = prepared.texts.load(wanted.file)
        found = baseline_of_document(document, total.cell, wanted.file)
        if found is None:
            message = f"{wanted.file} holds no numbers of {f'cell {total.cell}' if total.cell else 'this suite'}"
            fix = f"runner test --json > {wanted.file}"
            raise FileError(Problem("bad-baseline", message, wanted.at("baseline"), fix=fix))
        return found
    for cell in totals.cells:
        if by_cell[cell.cell][0][0].cell.fits(wanted.cell):
            return baseline_of_cell(cell, by_cell[cell.cell])
    message = "no case of the baseline's cell was selected"
    raise NothingSelected(Problem("no-baseline", message, wanted.at("baseline")))
