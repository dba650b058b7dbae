from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

PAIRS = [("bug", "bug"), ("bug", "billing"), ("billing", "billing"), ("other", "bug")]


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_of_a_rate_is_wilsons(hits: int, total: int, low: float, high: float) -> None:
    assert Rate(hits, total).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 5000), st.data())
def test_a_rate_lies_inside_its_interval_and_the_interval_inside_0_to_1(total: int, data: st.DataObject) -> None:
    rate = Rate(data.draw(st.integers(0, total)), total)
    low, high = rate.interval
    assert 0.0 <= low <= rate.value <= high <= 1.0


def test_a_rate_of_nothing_is_0() -> None:
    assert Rate(0, 0).value == 0.0


def test_a_rate_is_told_with_its_counts_and_interval() -> None:
    assert str(Rate(5, 10)) == "0.50 (5 of 10, 95 % 0.24–0.76)"


def test_accuracy_is_the_share_of_equal_pairs() -> None:
    assert accuracy(PAIRS) == Rate(2, 4)
    assert accuracy([(1, 1.0), (True, 1)]) == Rate(1, 2)


def test_a_confusion_counts_what_was_given_for_what() -> None:
    assert confusion(PAIRS) == {
        "billing": {"billing": 1, "bug": 1, "other": 0},
        "bug": {"billing": 0, "bug": 1, "other": 1},
        "other": {"billing": 0, "bug": 0, "other": 0},
    }


def test_each_label_has_precision_recall_and_f1() -> None:
    assert label_scores(PAIRS) == (
        LabelScore("billing", 1.0, 0.5, 2 / 3, 2),
        LabelScore("bug", 0.5, 0.5, 0.5, 2),
        LabelScore("other", 0.0, 0.0, 0.0, 0),
    )


def test_the_mean_of_all_labels_leaves_out_those_that_should_not_have_come() -> None:
    assert macro(label_scores(PAIRS), lambda score: score.f1) == pytest.approx((2 / 3 + 0.5) / 2)
    assert macro([], lambda score: score.f1) == 0.0


def test_percentiles_are_values_that_occurred() -> None:
    numbers = [float(number) for number in range(1, 21)]
    assert [percentile(numbers, share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 10.0, 19.0, 20.0]


def test_every_percentile_of_a_hundred_numbers_is_the_one_of_its_name() -> None:
    assert [percentile(range(1, 101), number / 100) for number in range(1, 101)] == list(range(1, 101))
    assert [percentile(range(1, 21), number / 100) for number in (50, 55, 56)] == [10, 11, 12]


def test_the_median_of_an_even_number_lies_between() -> None:
    assert (median([3, 1, 2]), median([4, 1, 2, 3])) == (2, 2.5)


def test_agreement_counts_those_that_say_the_most_frequent_answer() -> None:
    assert agreement([["a", "a", "b"], ["c"], []]) == Rate(3, 4)
