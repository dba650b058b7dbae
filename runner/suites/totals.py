"""All cases together, cell by cell: pass rates, metrics, and what the thresholds say. Folds over verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from runner.core.frozen import dataclass, replace
from runner.core.span import Span
from runner.core.suite import Metric, Suite, Threshold
from runner.suites.cases import Unit
from runner.suites.metrics import Judged, MetricTotal, computed_total, metric_total
from runner.suites.statistics import Rate, pass_at
from runner.suites.values import Texts
from runner.suites.verdict import Finding, Kind, Verdict

PASS_RATE, USD, PASS_AT = "pass_rate", "usd", "pass_at_"


@dataclass(frozen=True, slots=True)
class CellTotal:
    """The cases of one cell. `usd` is what all its answers cost when they were asked, None where a price is unknown."""

    cell: str
    passed: Rate
    metrics: Mapping[str, MetricTotal]
    usd: float | None
    tokens: int
    is_complete: bool
    pass_at: Mapping[int, float] = field(default_factory=dict)
    """By k from 2: how likely one of k answers of a case passes."""

    @property
    def usd_per_case(self) -> float | None:
        return None if self.usd is None or not self.passed.total else self.usd / self.passed.total

    def measure(self, name: str) -> float | None:
        if name == PASS_RATE:
            return self.passed.value
        if name == USD:
            return self.usd
        if is_pass_at(name) and name not in self.metrics:
            return self.pass_at.get(int(name.removeprefix(PASS_AT)))
        return self.metrics[name].value if name in self.metrics else None


@dataclass(frozen=True, slots=True)
class Totals:
    cells: tuple[CellTotal, ...]
    findings: tuple[Finding, ...]
    kind: Kind


def worth_their_cost(cells: Sequence[CellTotal]) -> frozenset[str]:
    """The cells that no other one beats: none is as good for less money, or better for the same."""
    known = {cell.cell: (cell.passed.value, -cell.usd_per_case) for cell in cells if cell.usd_per_case is not None}

    def is_beaten(own: tuple[float, float]) -> bool:
        return any(rate >= own[0] and saved >= own[1] and (rate, saved) != own for rate, saved in known.values())

    return frozenset(cell for cell, worth in known.items() if not is_beaten(worth))


def counts_together(suite: Suite) -> bool:
    """Whether cases count towards a rate, so that none fails on its own."""
    return suite.compare is not None or any(name != USD for name in suite.thresholds)


def totals_of(suite: Suite, judged: Judged, texts: Texts) -> Totals:
    """The cells in the order of the cases, and every threshold that one of them misses."""
    by_cell = in_cells(judged)
    cells = tuple(_cell(name, group, suite.metrics, texts) for name, group in by_cell.items())
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


def is_pass_at(name: str) -> bool:
    """Whether a threshold is `pass_at_K`."""
    return name.startswith(PASS_AT) and name.removeprefix(PASS_AT).isdecimal()


def _pass_at(judged: Judged) -> dict[int, float]:
    by_case: dict[str, tuple[int, int]] = {}
    for unit, verdict in judged:
        asked, good = by_case.get(unit.case.name, (0, 0))
        by_case[unit.case.name] = (asked + 1, good + verdict.is_good)
    most = max((asked for asked, _ in by_case.values()), default=0)
    found = {k: pass_at(k, list(by_case.values())) for k in range(2, most + 1)}
    return {k: value for k, value in found.items() if value is not None}


def _cell(name: str, judged: Judged, metrics: Mapping[str, Metric], texts: Texts) -> CellTotal:
    verdicts = [verdict for _, verdict in judged]
    costs = [verdict.taken.cost_usd for verdict in verdicts]
    total = CellTotal(
        cell=name,
        passed=Rate(sum(verdict.is_good for verdict in verdicts), len(verdicts)),
        metrics={name: metric_total(metric, judged) for name, metric in metrics.items() if metric.kind != "from"},
        usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        tokens=sum(verdict.taken.tokens for verdict in verdicts),
        is_complete=all(verdict.kind in (Kind.PASSED, Kind.FAILED) for verdict in verdicts),
        pass_at=_pass_at(judged),
    )
    for computed in (metric for metric in metrics.values() if metric.kind == "from"):
        told = computed_total(computed, numbers_of(total), texts)
        total = replace(total, metrics={**total.metrics, computed.name: told})
    return total


def numbers_of(total: CellTotal) -> dict[str, float]:
    """What a cell measures, by name; what it could not measure is not there."""
    at = [f"{PASS_AT}{k}" for k in total.pass_at]
    measures = {name: total.measure(name) for name in (PASS_RATE, USD, *at, *total.metrics)}
    return {name: value for name, value in measures.items() if value is not None}


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
        if is_pass_at(threshold.name) and threshold.name not in cell.metrics:
            return "not every case was asked so often; raise samples"
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
    if is_pass_at(name) and name not in cell.metrics:
        return f"{found:.2f}"
    return str(cell.metrics[name])
