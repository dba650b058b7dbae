"""All cases together, cell by cell: pass rates, metrics, and what the thresholds say. Folds over verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.suite import Metric, Suite, Threshold
from runner.suites.cases import Unit
from runner.suites.statistics import (
    LabelScore,
    Rate,
    accuracy,
    agreement,
    confusion,
    label_scores,
    macro_f1,
    median,
    percentile,
)
from runner.suites.verdict import Finding, Kind, Verdict

Judged = Sequence[tuple[Unit, Verdict]]
PASS_RATE, USD = "pass_rate", "usd"


@dataclass(frozen=True, slots=True)
class MetricTotal:
    """A metric over the cases of a cell: its number, or the table of a confusion; `missing` cases have no value."""

    name: str
    value: float | None
    rate: Rate | None = None
    labels: tuple[LabelScore, ...] = ()
    table: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: int = 0
    problem: str = ""

    def __str__(self) -> str:
        lacking = f", {self.missing} without a value" if self.missing else ""
        if self.value is None:
            return f"{self.problem or 'a table'}{lacking}"
        return f"{self.rate if self.rate is not None else f'{self.value:.4g}'}{lacking}"


@dataclass(frozen=True, slots=True)
class CellTotal:
    """The cases of one cell. `usd` is what all its answers cost when they were asked, None where a price is unknown."""

    cell: str
    passed: Rate
    metrics: Mapping[str, MetricTotal]
    usd: float | None
    tokens: int
    is_complete: bool

    def measure(self, name: str) -> float | None:
        if name == PASS_RATE:
            return self.passed.value
        if name == USD:
            return self.usd
        return self.metrics[name].value if name in self.metrics else None


@dataclass(frozen=True, slots=True)
class Totals:
    cells: tuple[CellTotal, ...]
    findings: tuple[Finding, ...]
    kind: Kind


def counts_together(suite: Suite) -> bool:
    """Whether cases count towards a rate, so that none fails on its own."""
    return suite.compare is not None or any(name != USD for name in suite.thresholds)


def totals_of(suite: Suite, judged: Judged) -> Totals:
    """The cells in the order of the cases, and every threshold that one of them misses."""
    by_cell = in_cells(judged)
    cells = tuple(_cell(name, group, suite.metrics) for name, group in by_cell.items())
    unheard = next((verdict for _, verdict in judged if verdict.kind not in (Kind.PASSED, Kind.FAILED)), None)
    if unheard is not None:
        message = f"case '{unheard.unit}' has no verdict: {unheard.kind}"
        finding = Finding("the thresholds cannot be told", (message,), _place(suite), message)
        return Totals(cells, (finding,), unheard.kind)
    findings = tuple(finding for cell in cells for finding in _missed(suite, cell))
    return Totals(cells, findings, Kind.FAILED if findings else Kind.PASSED)


def in_cells(judged: Judged) -> dict[str, list[tuple[Unit, Verdict]]]:
    """The cases of each cell."""
    by_cell: dict[str, list[tuple[Unit, Verdict]]] = {}
    for unit, verdict in judged:
        by_cell.setdefault(unit.cell.name, []).append((unit, verdict))
    return by_cell


def _place(suite: Suite) -> Span:
    return next((threshold.span for threshold in suite.thresholds.values()), suite.span)


def _cell(name: str, judged: Judged, metrics: Mapping[str, Metric]) -> CellTotal:
    verdicts = [verdict for _, verdict in judged]
    costs = [verdict.taken.cost_usd for verdict in verdicts]
    return CellTotal(
        cell=name,
        passed=Rate(sum(verdict.is_good for verdict in verdicts), len(verdicts)),
        metrics={name: _metric(metric, judged) for name, metric in metrics.items()},
        usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        tokens=sum(verdict.taken.tokens for verdict in verdicts),
        is_complete=all(verdict.kind in (Kind.PASSED, Kind.FAILED) for verdict in verdicts),
    )


# --- metrics


def _metric(metric: Metric, judged: Judged) -> MetricTotal:
    measured = [(unit, verdict.metrics[metric.name]) for unit, verdict in judged if metric.name in verdict.metrics]
    good = [(unit, one) for unit, one in measured if not one.problem]
    missing = len(judged) - len(good)
    if not good:
        problem = next((one.problem for _, one in measured if one.problem), "no case has a value")
        return MetricTotal(metric.name, None, missing=missing, problem=problem)
    pairs = [(one.of, one.against) for _, one in good]
    match metric.kind:
        case "accuracy":
            # A case without an answer is not right: it counts against the rate.
            rate = Rate(accuracy(pairs).hits, len(judged))
            return MetricTotal(metric.name, rate.value, rate, missing=missing)
        case "f1":
            return MetricTotal(metric.name, macro_f1(pairs), labels=label_scores(pairs), missing=missing)
        case "confusion":
            return MetricTotal(metric.name, None, table=confusion(pairs), missing=missing)
        case "share":
            rate = Rate(sum(bool(of) for of, _ in pairs), len(pairs))
            return MetricTotal(metric.name, rate.value, rate, missing=missing)
        case "agreement":
            groups: dict[str, list[Json]] = {}
            for unit, one in good:
                groups.setdefault(unit.case.name, []).append(one.of)
            rate = agreement(list(groups.values()))
            return MetricTotal(metric.name, rate.value, rate, missing=missing)
        case _:
            return _number(metric, [of for of, _ in pairs], missing)


_FOLDS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda numbers: sum(numbers) / len(numbers),
    "median": median,
    "p95": lambda numbers: percentile(numbers, 0.95),
    "min": min,
    "max": max,
    "sum": sum,
}


def _number(metric: Metric, values: Sequence[Json], missing: int) -> MetricTotal:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    missing += len(values) - len(numbers)
    if not numbers:
        return MetricTotal(metric.name, None, missing=missing, problem="no case gives a number")
    return MetricTotal(metric.name, float(_FOLDS[metric.kind](numbers)), missing=missing)


# --- thresholds


def _missed(suite: Suite, cell: CellTotal) -> Iterator[Finding]:
    for name, threshold in suite.thresholds.items():
        told = _against(threshold, cell)
        if told:
            where = f" in cell {cell.cell}" if cell.cell else ""
            title = f"threshold {name} is missed{where}"
            yield Finding(title, (told,), threshold.span, f"{name}{where}: {told}")


def _against(threshold: Threshold, cell: CellTotal) -> str:
    """Why a threshold is missed, or ""."""
    found = cell.measure(threshold.name)
    if found is None:
        if threshold.name == USD:
            return "what the answers cost is not known, since a model has no price"
        return str(cell.metrics[threshold.name])
    shown = _shown(threshold.name, found, cell)
    if threshold.least is not None and found < threshold.least:
        return f"{shown} < {threshold.least:g}"
    if threshold.most is not None and found > threshold.most:
        return f"{shown} > {threshold.most:g}"
    return ""


def _shown(name: str, found: float, cell: CellTotal) -> str:
    if name == PASS_RATE:
        return str(cell.passed)
    if name == USD:
        return f"{found:.6f} USD"
    return str(cell.metrics[name])
