"""The least number of tokens of a text."""

from __future__ import annotations

import pytest

from runner.core.words import are_over, least_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("one", 1),
        (" one  two\nthree\t4 ", 4),
        ("- * _ ...", 0),
        ("it's (so-called)", 2),
        ("日本語のテキスト", 1),
    ],
)
def test_each_word_with_a_letter_or_digit_is_a_token_or_more(text: str, tokens: int) -> None:
    assert least_tokens(text) == tokens


def test_texts_are_over_a_window_together() -> None:
    assert are_over(["a b", "c"], 2) == 3
    assert are_over(["a b", "c"], 3) == 0
    assert are_over(["a . . . . . . . . .", "b"], 2) == 0
