"""Cells against a baseline: is a difference worse than allowed, and is it more than chance?"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from runner.core.canonical import Json
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.suite import Comparison, Metric
from runner.core.workflow import Expression
from runner.suites.differences import equal
from runner.suites.metrics import Judged
from runner.suites.statistics import Rate
from runner.suites.totals import PASS_RATE, CellTotal, numbers_of
from runner.suites.values import Seen, Texts
from runner.suites.verdict import Finding, Verdict
from runner.templates.references import references_of

EXACT_PAIRS = 12
FLIPS = 10_000


@dataclass(frozen=True, slots=True)
class Baseline:
    """What cells are compared with: numbers by name, rates where a number is one, and the cases of a cell."""

    title: str
    numbers: Mapping[str, float]
    rates: Mapping[str, Rate]
    judged: Judged = ()


def baseline_of_cell(total: CellTotal, judged: Judged) -> Baseline:
    rates = {PASS_RATE: total.passed} | {name: one.rate for name, one in total.metrics.items() if one.rate is not None}
    return Baseline(f"cell {total.cell}", numbers_of(total), rates, judged)


def baseline_of_document(document: Json, cell: str, title: str) -> Baseline | None:
    """From what `runner test --json` printed: the cell of the same name, or the only one; None for anything else."""
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or not all(isinstance(one, dict) for one in cells):
        return None
    found = next((one for one in cells if one.get("cell") == cell), cells[0] if len(cells) == 1 else None)
    measures = found.get("measures") if found is not None else None
    if not isinstance(measures, dict):
        return None
    numbers: dict[str, float] = {}
    rates: dict[str, Rate] = {}
    for name, one in measures.items():
        match one:
            case {"value": int() | float() as value, "hits": int() as hits, "total": int() as total}:
                numbers[name], rates[name] = value, Rate(hits, total)
            case {"value": int() | float() as value}:
                numbers[name] = value
    return Baseline(title, numbers, rates)


def compare(
    comparison: Comparison,
    cell: CellTotal,
    judged: Judged,
    baseline: Baseline,
    metrics: Mapping[str, Metric],
    texts: Texts,
) -> Finding | None:
    """What is told of a cell that is worse than allowed, and not by chance."""
    if comparison.fail_if is None:
        return None
    span = comparison.fail_if.origin.span(1, 1, len(comparison.fail_if.text.strip()))
    where = f"cell {cell.cell}" if cell.cell else "it"
    title = f"{where} fails against the baseline"
    numbers = numbers_of(cell)
    seen = Seen(texts, {**numbers, "baseline": dict(baseline.numbers)})
    try:
        if not seen.holds(comparison.fail_if):
            return None
    except RunnerError as error:
        message = f"fail_if cannot be evaluated: {error.problems[0].message}"
        return Finding(title, (message,), span, f"{where}: {message}")
    read = _read(comparison.fail_if, texts)
    details = []
    is_more_than_chance = False
    for name in (name for name in read if name in numbers and name in baseline.numbers):
        chance = _chance(name, cell, judged, baseline, metrics, texts)
        is_more_than_chance |= chance is None or chance <= comparison.significance
        shown = "" if chance is None else f" (by chance with a probability of {chance:.3f})"
        details.append(f"{name}: {numbers[name]:.4g}, {baseline.title} {baseline.numbers[name]:.4g}{shown}")
    if not is_more_than_chance:
        return None
    return Finding(title, tuple(details), span, f"{where}: {comparison.fail_if.text.strip()}; {'; '.join(details)}")


def _read(text: Expression, texts: Texts) -> dict[str, None]:
    """The metrics that an expression reads, here or in the baseline."""
    paths = [one.path for one in references_of(texts.environment, text)]
    return dict.fromkeys(path[-1] if path[0] == "baseline" else path[0] for path in paths)


# --- chance


def _chance(
    name: str, cell: CellTotal, judged: Judged, baseline: Baseline, metrics: Mapping[str, Metric], texts: Texts
) -> float | None:
    """How likely so large a difference is without any real one; None where it is no matter of chance, or not known.

    A computed metric differs by chance as the least likely of those that it is computed from.
    """
    if name in metrics and metrics[name].kind == "from":
        sources = [one for one in _read(metrics[name].of, texts) if one in baseline.numbers]
        chances = [_chance(one, cell, judged, baseline, metrics, texts) for one in sources]
        return min((one for one in chances if one is not None), default=None) if None not in chances else None
    pairs = list(_pairs(name, judged, baseline.judged, metrics))
    if pairs:
        return sign_flip_chance([one - other for one, other in pairs])
    own = cell.passed if name == PASS_RATE else cell.metrics[name].rate if name in cell.metrics else None
    other = baseline.rates.get(name)
    return rate_chance(own, other) if own is not None and other is not None else None


def _pairs(name: str, judged: Judged, others: Judged, metrics: Mapping[str, Metric]) -> Iterator[tuple[float, float]]:
    """The value of each case here and in the baseline, where both have one."""
    by_case = {(unit.case.name, unit.sample): (unit, verdict) for unit, verdict in others}
    for unit, verdict in judged:
        other = by_case.get((unit.case.name, unit.sample))
        found = (_value(name, verdict, metrics), _value(name, other[1], metrics) if other else None)
        if found[0] is not None and found[1] is not None:
            yield found[0], found[1]


def _value(name: str, verdict: Verdict, metrics: Mapping[str, Metric]) -> float | None:
    if name == PASS_RATE:
        return float(verdict.is_good)
    measured = verdict.metrics.get(name)
    if measured is None or measured.problem:
        return None
    metric = metrics[name]
    match metric.kind:
        case "accuracy" | "precision" | "recall" | "f1":
            is_about = metric.label is None or metric.label[0] in (measured.of, measured.against)
            return float(equal(measured.of, measured.against)) if is_about else None
        case "share":
            return float(bool(measured.of))
        case "mean" | "median" | "percentile" | "min" | "max" | "sum":
            is_number = isinstance(measured.of, int | float) and not isinstance(measured.of, bool)
            return float(measured.of) if is_number else None
        case _:
            return None


def sign_flip_chance(differences: Sequence[float]) -> float:
    """Two-sided permutation test on pairs: how often a random choice of signs gives so large a sum.

    All choices for few pairs; else 10,000 of a fixed seed, so that equal answers give the same verdict.
    """
    moved = [abs(one) for one in differences if one]
    if not moved:
        return 1.0
    least = abs(math.fsum(differences)) - 1e-12
    if len(moved) <= EXACT_PAIRS:
        sums = [math.fsum(sign * one for sign, one in zip(signs, moved, strict=True))
                for signs in product((1, -1), repeat=len(moved))]  # fmt: skip
        return sum(abs(one) >= least for one in sums) / len(sums)
    chosen = random.Random(len(moved))  # noqa: S311 - a test of chance, no secret
    hits = sum(abs(math.fsum(one if chosen.random() < 0.5 else -one for one in moved)) >= least for _ in range(FLIPS))
    return (hits + 1) / (FLIPS + 1)


def rate_chance(one: Rate, other: Rate) -> float:
    """Two-sided test of two rates over different cases (normal approximation with the pooled rate)."""
    if not one.total or not other.total:
        return 1.0
    pooled = (one.hits + other.hits) / (one.total + other.total)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / one.total + 1 / other.total))
    if not spread:
        return 1.0
    return math.erfc(abs(one.value - other.value) / spread / math.sqrt(2))
