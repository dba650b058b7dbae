from __future__ import annotations

import pytest

from runner.config.fields import (
    AnyMapping,
    AnyValue,
    Expr,
    Kind,
    ListOf,
    Names,
    Number,
    Prompt,
    Shapes,
    Text,
    holds,
    kind_in_words,
)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Text(), "text"),
        (Text(says="a path"), "a path"),
        (Text(choices=("a", "b")), "one of a, b"),
        (Number(), "a number"),
        (Number(is_whole=True, minimum=1), "a whole number, at least 1"),
        (Number(minimum=0, maximum=0.5), "a number from 0 to 0.5"),
        (Number(above=0), "a number above 0"),
        (Expr(), "an expression without braces"),
        (Prompt(), "text, or {file: path}"),
        (AnyValue(), "a value"),
        (AnyMapping(), "a mapping"),
        (Names("step", Text()), "a mapping with a name for each step"),
        (ListOf(Text()), "a list"),
        (Shapes(text=Text(says="a path"), mapping=AnyMapping()), "a path, or a mapping"),
    ],
)
def test_what_is_expected_in_words(kind: Kind, words: str) -> None:
    assert kind_in_words(kind) == words


def test_the_end_of_a_pattern_is_the_end_of_the_text() -> None:
    assert holds(r"^a$", "a")
    assert not holds(r"^a$", "a\n")
    assert holds(r"a", "bab")
