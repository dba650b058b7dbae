"""Numbers over the cases of a cell, as the suite asks for them. Folds over verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from runner.core.canonical import Json
from runner.core.errors import RunnerError
from runner.core.frozen import dataclass
from runner.core.suite import Metric
from runner.suites.cases import Unit
from runner.suites.looking import as_text
from runner.suites.statistics import (
    LabelScore,
    Rate,
    accuracy,
    agreement,
    confusion,
    label_scores,
    macro,
    median,
    percentile,
)
from runner.suites.values import Seen, Texts
from runner.suites.verdict import Verdict

Judged = Sequence[tuple[Unit, Verdict]]


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


_LABEL_VALUES: Mapping[str, Callable[[LabelScore], float]] = {
    "precision": lambda score: score.precision,
    "recall": lambda score: score.recall,
    "f1": lambda score: score.f1,
}


def metric_total(metric: Metric, judged: Judged) -> MetricTotal:
    """A metric of any kind but `from`."""
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
        case "precision" | "recall" | "f1":
            return _of_labels(metric, label_scores(pairs), missing)
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


def _of_labels(metric: Metric, scores: tuple[LabelScore, ...], missing: int) -> MetricTotal:
    """The mean of all labels, or the number of one; what divides by nothing is no number."""
    value = _LABEL_VALUES[metric.kind]
    if metric.label is None:
        return MetricTotal(metric.name, macro(scores, value), labels=scores, missing=missing)
    label = as_text(metric.label[0])
    score = next((score for score in scores if score.label == label), None)
    if score is None or (metric.kind == "recall" and not score.support):
        problem = f"no case should have the label '{label}'"
        return MetricTotal(metric.name, None, missing=missing, problem=problem)
    return MetricTotal(metric.name, value(score), labels=(score,), missing=missing)


_FOLDS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda numbers: sum(numbers) / len(numbers),
    "median": median,
    "min": min,
    "max": max,
    "sum": sum,
}


def _number(metric: Metric, values: Sequence[Json], missing: int) -> MetricTotal:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    missing += len(values) - len(numbers)
    if not numbers:
        return MetricTotal(metric.name, None, missing=missing, problem="no case gives a number")
    found = percentile(numbers, metric.share) if metric.kind == "percentile" else _FOLDS[metric.kind](numbers)
    return MetricTotal(metric.name, float(found), missing=missing)


def computed_total(metric: Metric, numbers: Mapping[str, float], texts: Texts) -> MetricTotal:
    """A metric that is computed from others."""
    try:
        value = Seen(texts, numbers).evaluate(metric.of)
    except RunnerError as error:
        return MetricTotal(metric.name, None, problem=error.problems[0].message)
    if not isinstance(value, int | float):
        return MetricTotal(metric.name, None, problem=f"it is {as_text(value)}, not a number")
    return MetricTotal(metric.name, float(value))
