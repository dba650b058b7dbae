"""Numbers over many cases: rates with their intervals, and metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.suites.differences import equal
from runner.suites.looking import as_text

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many, and where the true rate lies with 95 % confidence (Wilson's score interval)."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's: it stays inside 0 to 1 and says something for few cases too."""
        n = self.total
        if not n:
            return (0.0, 1.0)
        share, square = self.hits / n, Z_95 * Z_95
        middle = (share + square / (2 * n)) / (1 + square / n)
        half = Z_95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
        low = 0.0 if not self.hits else max(0.0, middle - half)
        high = 1.0 if self.hits == n else min(1.0, middle + half)
        return (low, high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2f} ({self.hits} of {self.total}, 95 % {low:.2f}–{high:.2f})"


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How well one label was found: `support` is how often it should have come."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


def accuracy(pairs: Sequence[tuple[Json, Json]]) -> Rate:
    """The share of pairs that are equal."""
    return Rate(sum(equal(of, against) for of, against in pairs), len(pairs))


def confusion(pairs: Sequence[tuple[Json, Json]]) -> Mapping[str, Mapping[str, int]]:
    """How often which label (the inner key) was given for which (the outer)."""
    labels = sorted({as_text(label) for pair in pairs for label in pair})
    counts = Counter((as_text(against), as_text(of)) for of, against in pairs)
    return {wanted: {given: counts[wanted, given] for given in labels} for wanted in labels}


def label_scores(pairs: Sequence[tuple[Json, Json]]) -> tuple[LabelScore, ...]:
    table = confusion(pairs)
    scores = []
    for label in table:
        hits = table[label][label]
        given = sum(row[label] for row in table.values())
        support = sum(table[label].values())
        precision = hits / given if given else 0.0
        recall = hits / support if support else 0.0
        f1 = 2 * hits / (given + support) if given + support else 0.0
        scores.append(LabelScore(label, precision, recall, f1, support))
    return tuple(scores)


def macro(scores: Sequence[LabelScore], value: Callable[[LabelScore], float]) -> float:
    """The mean over the labels that should have come, each counting the same."""
    counted = [value(score) for score in scores if score.support]
    return sum(counted) / len(counted) if counted else 0.0


def percentile(numbers: Sequence[float], share: float) -> float:
    """The smallest number that this share of all does not exceed (nearest rank)."""
    ranked = sorted(numbers)
    # 0.55 * 20 is a little more than 11 in binary, and would be taken for the twelfth.
    return ranked[max(0, math.ceil(share * len(ranked) - 1e-9) - 1)]


def median(numbers: Sequence[float]) -> float:
    ranked = sorted(numbers)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2


def agreement(groups: Sequence[Sequence[Json]]) -> Rate:
    """The share of samples that agree with the most frequent answer of their case."""
    hits = sum(max(Counter(as_text(value) for value in group).values()) for group in groups if group)
    return Rate(hits, sum(len(group) for group in groups))


def pass_at(k: int, cases: Sequence[tuple[int, int]]) -> float | None:
    """How likely one of k answers of a case passes, over all cases: `cases` are (answers, of which good).

    The unbiased estimate: of all choices of k among the answers, the share with a good one. None for fewer answers.
    """
    if not cases or any(asked < k for asked, _ in cases):
        return None
    return sum(1 - math.comb(asked - good, k) / math.comb(asked, k) for asked, good in cases) / len(cases)
