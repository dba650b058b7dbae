"""A number of tokens that no text can stay below, without its model's vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.core.long_text import LongText, Stretch, Text

# A letter or digit, and the rest of its word.
_WORD = re.compile(r"[^\W_]\S*")


def least_tokens(text: Text | Stretch) -> int:
    """One for each word: the vocabularies of language models split a text at white space before anything else.

    A word here is a run without white space that has a letter or a digit in it. Texts in scripts without spaces have
    few of these, so that nothing is claimed of them.
    """
    if isinstance(text, LongText):  # a word may be cut in two where its pieces meet
        return max(0, sum(map(least_tokens, text.pieces)) - len(text.pieces) + 1)
    # No list of them: it would take ten times the memory of the text.
    if isinstance(text, Stretch):
        return sum(1 for _ in _WORD.finditer(text.text, text.start, text.end))
    return sum(1 for _ in _WORD.finditer(text))


def are_over(texts: Sequence[Text | Stretch], window: int) -> int:
    """The least number of tokens that texts have together, if it is more than `window`; else 0."""
    if sum(map(len, texts)) + len(texts) <= 2 * window:  # each word takes a letter and a space
        return 0
    tokens = sum(map(least_tokens, texts))
    return tokens if tokens > window else 0
