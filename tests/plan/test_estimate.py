"""Tokens and money before a call: what is known, what is only bounded, and what nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.call import Call, Message
from runner.core.canonical import Json
from runner.core.model import ModelFacts, Price
from runner.plan.estimate import History, TokensOut, price_of, tokens_in, tokens_of, tokens_out

PRICE = Price(input=2, output=10)
TEXTS = st.text(st.characters(codec="utf-8"))


def facts(cap: int | None = None) -> ModelFacts:
    return ModelFacts("box", "m", max_output_tokens=cap)


def question(text: str = "", system: str | None = None, schema: Json | None = None) -> Call:
    return Call("m", (Message("user", text),), system=system, schema=schema)


@pytest.mark.parametrize(("size_bytes", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2)])
def test_four_bytes_are_a_token_and_a_part_of_one_counts(size_bytes: int, tokens: int) -> None:
    assert tokens_of(size_bytes) == tokens


def test_all_that_is_sent_is_counted_in_bytes() -> None:
    assert tokens_in(question("12345678")) == 2
    assert tokens_in(question("12345678", system="1234")) == 3
    assert tokens_in(question("12345678", system="1234", schema={})) == 4
    assert tokens_in(question("äöüß")) == 2
    assert tokens_in(Call("m", (Message("user", "1234"), Message("assistant", "1234")))) == 2


@pytest.mark.parametrize(
    ("cap", "of_model", "bound"), [(None, None, None), (50, None, 50), (None, 40, 40), (50, 40, 40), (30, 40, 30)]
)
def test_the_lower_of_both_caps_bounds_an_answer(cap: int | None, of_model: int | None, bound: int | None) -> None:
    assert tokens_out(cap, facts(of_model), History()) == TokensOut(bound, bound)


def test_earlier_answers_say_what_is_likely_and_never_what_is_most() -> None:
    history = History(calls=3, output_tokens=100)
    assert tokens_out(50, facts(), history) == TokensOut(34, 50, is_measured=True)
    assert tokens_out(None, facts(), history) == TokensOut(34, None, is_measured=True)


def test_a_listed_price_is_per_million_tokens() -> None:
    assert price_of(1_000_000, 500_000, PRICE) == 7.0


def test_without_a_price_nothing_is_known_not_even_of_no_tokens() -> None:
    assert price_of(10, 10, None) is None
    assert price_of(0, 0, None) is None


def test_a_free_model_costs_nothing_whatever_it_takes() -> None:
    assert price_of(None, None, Price(0, 0)) == 0.0
    assert price_of(10, 10, Price(0, 0)) == 0.0


@pytest.mark.parametrize(("tokens_input", "tokens_output"), [(None, 10), (10, None), (None, None)])
def test_a_number_that_is_not_known_makes_an_unknown_cost(tokens_input: int | None, tokens_output: int | None) -> None:
    assert price_of(tokens_input, tokens_output, PRICE) is None
    assert price_of(tokens_input, tokens_output, Price(0, 1)) is None


@given(TEXTS, TEXTS, st.none() | TEXTS)
def test_a_longer_question_is_never_estimated_as_shorter(text: str, more: str, system: str | None) -> None:
    assert tokens_in(question(text, system)) <= tokens_in(question(text + more, system))
