from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aside import InMemory
from runner.core.outcome import Failure, FailureKind, Outcome, Status, Violation
from runner.core.response import Citation
from runner.plan.kept import StageResults

GOOD = Outcome("tag", "a", Status.GOOD, output={"n": 2**80}, model="m-1")
INVALID = Failure(FailureKind.INVALID, "no", (Violation("/n", "type", "a number", '"x"'),), 1.5, 200)
OUTCOMES = [
    GOOD,
    Outcome("tag", "a", Status.GOOD, output=None),
    Outcome(
        "tag", "a", Status.GOOD, output="x", model="m", sources=(Citation("https://a.example", "A"), Citation("b"))
    ),
    Outcome("tag", "a", Status.SKIPPED, because="when does not hold"),
    Outcome("tag", "a", Status.FAILED, failure=INVALID),
    Outcome("tag", "a", Status.FAILED, output="half", failure=Failure(FailureKind.CUT, "cut"), model="m-2"),
    Outcome("tag", "a", Status.BLOCKED, because="step 'x' failed", failure=Failure(FailureKind.UPSTREAM, "x")),
]


def results(*chunks: tuple[int, Sequence[object]]) -> StageResults:
    """Of a stage with one step; what is no outcome is a good answer."""
    kept = StageResults(("tag",), InMemory().pieces())
    for number, outputs in chunks:
        made = [one if isinstance(one, Outcome) else Outcome("tag", "", Status.GOOD, output=one) for one in outputs]
        kept.keep(number, [{"tag": one} for one in made])
    return kept


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_is_kept_whole(outcome: Outcome) -> None:
    assert results((0, [outcome])).chunk(0, ["a"]) == [{"tag": outcome}]


def test_of_a_chunk_that_was_not_kept_nothing_is_known() -> None:
    kept = results((2, [GOOD]))
    assert [kept.chunk(number, ["a"]) for number in (0, 2, 7)] == [[{}], [{"tag": GOOD}], [{}]]


def test_a_step_that_an_item_did_not_reach_is_left_out() -> None:
    kept = StageResults(("tag", "rank"), InMemory().pieces())
    kept.keep(0, [{"tag": GOOD}, {}])
    assert kept.chunk(0, ["a", "b"]) == [{"tag": GOOD}, {}]
    assert list(kept.good("rank")) == []


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=6), st.randoms(use_true_random=False))
def test_good_answers_are_a_list_in_source_order_whatever_the_order_of_chunks(
    chunks: list[list[int]], random: object
) -> None:
    numbered = [(number, [one or OUTCOMES[3] for one in chunk]) for number, chunk in enumerate(chunks)]
    random.shuffle(numbered)  # type: ignore[attr-defined]  # a random.Random
    found = results(*numbered).good("tag")
    expected = [one for chunk in chunks for one in chunk if one]
    assert (list(found), len(found), bool(found)) == (expected, len(expected), bool(expected))
    assert [found[index] for index in range(len(expected))] == expected
    assert [found[index] for index in range(-len(expected), 0)] == expected
    assert (found[1:3], found[::-1], found[-2:]) == (expected[1:3], expected[::-1], expected[-2:])


@pytest.mark.parametrize("index", [2, -3])
def test_beyond_its_ends_there_is_nothing(index: int) -> None:
    with pytest.raises(IndexError):
        results((0, ["a", "b"])).good("tag")[index]


def test_the_digest_of_good_answers_tells_lists_apart() -> None:
    digests = [results((0, list(outputs))).good("tag").digest() for outputs in ("ab", "ab", "ba", ["ab"], "")]
    assert len(set(digests)) == 4
    assert digests[0] == digests[1]


def test_the_digest_is_made_once() -> None:
    found = results((0, ["a"])).good("tag")
    assert found.digest() is found.digest()
