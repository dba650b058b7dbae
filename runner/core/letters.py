"""Letters that look like others, and characters that cannot be seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from runner.core.problem import Problem
from runner.core.span import Span, lines_of

# Cyrillic and Greek letters that no eye tells from Latin ones; only those, so that words of these scripts stay words.
_LOOKS = dict(
    zip(
        "аеорсухіјѕԁһԛԝАВЕЅІЈКМНОРСТХҮԚԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
        "aeopcyxijsdhqwABESIJKMHOPCTXYQWABEZHIKMNOPTYXo",
        strict=True,
    )
)
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_TABLE = str.maketrans(_LOOKS) | _WIDE
_WORD = re.compile(r"[^\W\d_]+")
_HIDDEN = "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u180e"
_MARKS = "\u200e\u200f\u061c\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
_OVERRIDES = "\u202d\u202e"
_SUSPECTS = re.compile(f"[{_HIDDEN}{_MARKS}{_OVERRIDES}\U000e0001-\U000e007f]")
_FLAG = "\U0001f3f4"
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")


def skeleton(text: str) -> str:
    """A text as it looks: two that look alike have the same."""
    if text.isascii():
        return text
    import unicodedata

    return _SUSPECTS.sub("", unicodedata.normalize("NFC", text).translate(_TABLE))


def strangers(text: str) -> str:
    """Letters that only look Latin, of words that are Latin but for them."""
    if text.isascii():
        return ""
    words = (word for word in _WORD.findall(text) if not word.isascii())
    found = (letter for word in words if _is_disguised(word) for letter in word if letter in _LOOKS)
    return "".join(dict.fromkeys(found))


def _is_disguised(word: str) -> bool:
    """Latin letters, look-alikes of them, and nothing else."""
    kinds = {letter.isascii() for letter in word}
    return kinds == {True, False} and all(letter.isascii() or letter in _LOOKS for letter in word)


def hidden(text: str) -> Iterator[int]:
    """Positions of characters that cannot be seen and have no business there.

    Joiners belong to scripts beyond ASCII and to emoji, marks of direction to lines written from right to left.
    """
    if text.isascii():
        return
    for match in _SUSPECTS.finditer(text):
        if not _belongs(text, match.start()):
            yield match.start()


def _belongs(text: str, position: int) -> bool:
    sign = text[position]
    if sign in _OVERRIDES:
        return False
    if sign in _MARKS:
        start, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
        return _RIGHT_TO_LEFT.search(text, start, end if end >= 0 else len(text)) is not None
    if sign in _HIDDEN:
        around = text[max(0, position - 1) : position] + text[position + 1 : position + 2]
        return not around.isascii()
    return _FLAG in text[:position]


def say_letter(letter: str) -> str:
    """`U+0430 (cyrillic small letter a)`."""
    import unicodedata

    return f"U+{ord(letter):04X} ({unicodedata.name(letter, 'without a name').lower()})"


def with_letters(problems: Sequence[Problem], sources: Mapping[str, str]) -> list[Problem]:
    """Problems with names that only look right, with the letters that do not."""
    return [_with_letters(problem, sources) for problem in problems]


def _with_letters(problem: Problem, sources: Mapping[str, str]) -> Problem:
    if problem.span is None or not (problem.nearest or problem.code == "bad-name"):
        return problem
    written = _text_at(problem.span, sources)
    if problem.code == "bad-name":
        others = "".join(letter for letter in dict.fromkeys(written) if letter in _LOOKS or ord(letter) in _WIDE)
    elif skeleton(written) == skeleton(problem.nearest):
        others = "".join(letter for letter in dict.fromkeys(written) if letter not in problem.nearest)
    else:
        return problem
    others = "".join(letter for letter in others if not letter.isascii())
    if not others:
        return problem
    note = ("letters", f"it only looks right: {', '.join(map(say_letter, others))}")
    return replace(problem, notes=(*problem.notes, note))


def _text_at(span: Span, sources: Mapping[str, str]) -> str:
    lines = lines_of(span.file, sources.get(span.file, ""))
    if not 1 <= span.line <= len(lines):
        return ""
    return lines[span.line - 1][span.column - 1 : span.column - 1 + span.length].strip("\"'")
