"""Fewer at once where more make each slower."""

from __future__ import annotations

from runner.execute.slowing import Slowing


def rounds(slowing: Slowing, *seconds: float, at_once: int = 100) -> None:
    for took_s in seconds:
        for _ in range(at_once):
            slowing.answered(took_s, at_once)


def test_even_answers_set_no_bound() -> None:
    slowing = Slowing()
    rounds(slowing, 1.0, 1.5, 2.0, 1.0)
    assert (slowing.most, slowing.mean_s) == (None, 1.0)


def test_answers_that_take_three_times_as_long_lower_the_bound_by_a_fifth() -> None:
    slowing = Slowing()
    rounds(slowing, 2.0, 7.0)
    assert slowing.most == 80


def test_small_times_do_not_matter() -> None:
    slowing = Slowing()
    rounds(slowing, 0.01, 1.9)
    assert slowing.most is None


def test_the_bound_is_lowered_further_while_that_helps_and_grows_when_all_is_well() -> None:
    slowing = Slowing()
    rounds(slowing, 1.0, 10.0)
    rounds(slowing, 10.0, 6.0, at_once=80)  # the first were asked before
    assert slowing.most == 64
    rounds(slowing, 6.0, 1.2, at_once=64)
    assert slowing.most is not None
    assert slowing.most > 64


def test_questions_that_take_longer_whatever_the_load_are_no_sign_of_it() -> None:
    slowing = Slowing()
    rounds(slowing, 1.0, 10.0)
    rounds(slowing, 10.0, 10.0, at_once=80)
    assert slowing.most is None
    rounds(slowing, 10.0, 12.0)
    assert slowing.most is None


def test_the_bound_never_reaches_nothing() -> None:
    slowing = Slowing()
    rounds(slowing, 1.0, at_once=20)
    for number in range(60):
        rounds(slowing, 5000.0 * 0.8**number, at_once=1)
    assert slowing.most is not None
    assert slowing.most >= 1
