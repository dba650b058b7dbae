from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.letters import hidden, say_letter, skeleton, strangers, with_letters
from runner.core.problem import Problem
from runner.core.span import Span


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("сlаssify", "classify"),
        ("ＡＢＣ１", "ABC1"),
        ("ΟΚ", "OK"),
        ("cafe\u0301", "café"),
        ("la\u200bbel", "label"),
        ("plain", "plain"),
    ],
)
def test_what_looks_alike_has_one_skeleton(text: str, other: str) -> None:
    assert skeleton(text) == skeleton(other)


@given(st.text())
def test_a_skeleton_looks_like_itself(text: str) -> None:
    assert skeleton(skeleton(text)) == skeleton(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_in_ascii_nothing_is_strange(text: str) -> None:
    assert (skeleton(text), strangers(text), list(hidden(text))) == (text, "", [])


@pytest.mark.parametrize(("text", "found"), [("clаssify", "а"), ("Сost of рорсоrn", "Сро" + "с"), ("οk", "ο")])
def test_letters_that_only_look_latin_are_found(text: str, found: str) -> None:
    assert strangers(text) == found


@pytest.mark.parametrize(
    "text", ["счёт", "оса", "α-test", "μm", "naïve", "IP-адрес", "SMSки", "日本語 text", "Ärger", "Οκ", "vor_о"]
)
def test_words_of_other_scripts_are_words(text: str) -> None:
    assert strangers(text) == ""


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("la\u200bbel", [2]),
        ("a\u202eb \u05d0", [1]),
        ("a\u200eb\n\u05d0", [1]),
        ("\u05d0\na\u2066b", [3]),
        ("\ufeff", [0]),
        ("x\U000e0041", [1]),
    ],
)
def test_what_cannot_be_seen_is_found(text: str, positions: list[int]) -> None:
    assert list(hidden(text)) == positions


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d💻",
        "می\u200cخواهم",
        "\u05e9\u05dc\u05d5\u05dd (a)\u200e b",
        "a\n\u2067\u0633\u0644\u0627\u0645\u2069 b",
        "🏴\U000e0067\U000e0062\U000e0065\U000e007f",
        "soft\u00adware",
        "a\u00a0b",
    ],
)  # fmt: skip
def test_what_a_script_or_a_sign_needs_is_left(text: str) -> None:
    assert list(hidden(text)) == []


def test_a_letter_is_named_with_its_number() -> None:
    assert say_letter("а") == "U+0430 (cyrillic small letter a)"
    assert say_letter("\ue000") == "U+E000 (without a name)"


SOURCES = {"f": 'x: "clаssify"\nсafe\ncafé\n'}


@pytest.mark.parametrize(
    ("problem", "letters"),
    [
        (Problem("unknown-step", "m", Span("f", 1, 4, 10), nearest="classify"), "U+0430 (cyrillic small letter a)"),
        (Problem("bad-name", "m", Span("f", 2, 1, 4)), "U+0441 (cyrillic small letter es)"),
        (Problem("bad-name", "m", Span("f", 3, 1, 4)), ""),
        (Problem("unknown-step", "m", Span("f", 1, 4, 10), nearest="classified"), ""),
        (Problem("unknown-step", "m", Span("f", 3, 1, 3), nearest="caf"), ""),
        (Problem("unknown-step", "m", Span("f", 9, 1, 3), nearest="caf"), ""),
        (Problem("unknown-step", "m", Span("f", 1, 4, 10)), ""),
        (Problem("unknown-step", "m", nearest="classify"), ""),
    ],
)
def test_a_name_that_only_looks_right_is_told_by_its_letters(problem: Problem, letters: str) -> None:
    (found,) = with_letters([problem], SOURCES)
    assert found.notes == ((("letters", f"it only looks right: {letters}"),) if letters else ())
