"""A number of tokens that no text can stay below, without its model's vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A letter or digit, and the rest of its word.
_WORD = re.compile(r"[^\W_]\S*")


def least_tokens(text: str) -> int:
    """One for each word: the vocabularies of language models split a text at white space before anything else.

    A word here is a run without white space that has a letter or a digit in it. Texts in scripts without spaces have
    few of these, so that nothing is claimed of them.
    """
    return sum(1 for _ in _WORD.finditer(text))  # no list of them: it would take ten times the memory of the text


def are_over(texts: Sequence[str], window: int) -> int:
    """The least number of tokens that texts have together, if it is more than `window`; else 0."""
    if sum(map(len, texts)) + len(texts) <= 2 * window:  # each word takes a letter and a space
        return 0
    tokens = sum(map(least_tokens, texts))
    return tokens if tokens > window else 0
