"""Patterns: what may take for ever is found, and nothing is said of those that people write every day."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.checks.ambiguity import slow_text
from runner.checks.automaton import read_pattern

DOUBLING = [
    r"^(a+)+$",
    r"(a+)+$",
    r"^(a|a)*$",
    r"^(a|aa)+$",
    r"^(a|a?)+$",
    r"^(a*)*$",
    r"^(a*b*)*$",
    r"^([a-zA-Z]+)*$",
    r"^(\w|\d)+$",
    r"^(\w+\s?)*$",
    r"^(\d+|\w+)*$",
    r"^(x+x+)+y",
    r"^(.|\s)*$",
    r"^([^\n]|.)*x",
    r"^([a-z]+-?)*$",
    r"^(?:[a-z]{1,3})+$",
    r"^(a{1,50}){1,50}$",
    r"^((ab)*(a|b)*)*c",
    r"^(\p{L}+ ?)+$",
    r"^([\/\w \.-]*)*\/?$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"^(?<word>a+)+$",
    r"^(?i:a+)+$",
]
NOT_LINEAR = [r"^(?=.*\d)(a+)+$", r"^(a+)+\1$", r"^(?!.*(a+)+$)b", r"^(?=(?=(a+)+$)b)c"]
HARMLESS = [
    # As people write them for what people write.
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$",
    r"^[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63})+$",
    r"^\d{4}-\d{2}-\d{2}$",
    r"^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})$",
    r"^P(?!$)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$",
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$",
    r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$",
    r"^https?://[^\s/$.?#].[^\s]*$",
    r"^(\d{1,3}\.){3}\d{1,3}$",
    r"^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.|$)){4}$",
    r"^#([0-9a-f]{3}|[0-9a-f]{6})$",
    r"^[A-Z]{2}\d{2}[A-Z0-9]{1,30}$",
    r"^\+?[1-9]\d{1,14}$",
    r"^(?=.*\d)(?=.*[a-z])(?=.*[A-Z]).{8,}$",
    r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    r"^data:image/(png|jpe?g);base64,[A-Za-z0-9+/=]+$",
    r"^[\p{L} .'-]+$",
    r"^[^\P{L}\d]+$",
    r"^\pL+$",
    r"^[a-z]+(-[a-z]+)*$",
    r"^(\w+\.)*\w+$",
    r"^(\w+ )*\w+$",
    r"^(?:\d+,)*\d+$",
    r"^\s*(.*?)\s*$",
    r"^\[.*\]$",
    r"^\[[^]|]*\]$",
    r"^(?<year>\d{4})$",
    r"^([а-яё]|[一-龥])*$",
    r"^(-?[A-Za-z0-9])+$",
    r"^((\w)+)$",
    r"^(a)(?(1)b|c)$",
    r"^([\D\S])*$",
    r"^.*$",
    r"x*",
    r"",
    # Ambiguous, but what follows cannot fail.
    r"(a+)+",
    r"^(a+)+",
    r"^(a+)+[\s\S]*$",
    # In every loop the ways come together again at no place that repeats.
    r"^(a|b|ab)c$",
    r"^(?:x{2}){3}$",
    # Nothing is said of what is too long, or in another dialect.
    r"^([0-9a-f]{400})+$",
    r"^(a+",
    r"^[\w--\d]+\K$",
]


@pytest.mark.parametrize("pattern", DOUBLING)
def test_a_pattern_whose_time_doubles_is_found(pattern: str) -> None:
    slow = slow_text(pattern)
    assert slow is not None
    assert (slow.power, slow.is_linear_here) == (0, True)


@pytest.mark.parametrize("pattern", NOT_LINEAR)
def test_look_around_and_back_references_cannot_be_matched_in_linear_time(pattern: str) -> None:
    slow = slow_text(pattern)
    assert slow is not None
    assert not slow.is_linear_here


@pytest.mark.parametrize("pattern", HARMLESS)
def test_nothing_is_said_of_a_harmless_pattern(pattern: str) -> None:
    assert slow_text(pattern) is None


def test_many_loops_in_a_row_cost_a_power_of_the_length() -> None:
    slow = slow_text(r"^(.*a){10}$")
    assert slow is not None
    assert slow.power == 10
    assert slow_text(r"^(.*a){5}$") is None


@pytest.mark.parametrize("pattern", [one for one in DOUBLING if "\\p" not in one])
def test_each_round_of_the_text_that_is_told_doubles_the_ways_through_the_pattern(pattern: str) -> None:
    slow = slow_text(pattern)
    assert slow is not None
    ways = [_ways(pattern, slow.letters * rounds) for rounds in (4, 8, 12)]
    assert ways[1] >= 8 * ways[0]
    assert ways[2] >= 8 * ways[1]


def _ways(pattern: str, text: str) -> int:
    """In how many ways the text can be walked from any position on."""
    automaton = read_pattern(pattern)
    ways = [1] * len(automaton.reads)
    for letter in text:
        segment = next(i for i, (low, high) in enumerate(automaton.letters) if low <= ord(letter) <= high)
        following = [0] * len(ways)
        for (place, to), count in automaton.follows.items():
            if automaton.reads[to] >> segment & 1:
                following[to] += ways[place] * count
        ways = following
    return sum(ways)


PIECES = st.sampled_from(
    ["a", "b", "ab", "(a|b)", "(a|ab)", "a?", "a*", "b+", "[ab]", ".", "(ab)*", "(a*b)+", "a{2,3}"]
)


@given(st.lists(PIECES, min_size=1, max_size=4), st.sampled_from(["*", "+", "{2,}", ""]))
def test_what_is_said_to_be_harmless_can_be_walked_in_few_ways(pieces: list[str], repeat: str) -> None:
    pattern = f"^({''.join(pieces)}){repeat}$"
    if slow_text(pattern) is None:
        assert all(_ways(pattern, text) < 10**9 for text in ("a" * 120, "ab" * 60, "aab" * 40, "b" * 120))


SHOWN = [
    ("{type: string, pattern: '^(a+)+$'}", "warning: slow-pattern", "'^(a+)+$'"),
    ("{type: object, patternProperties: {'^(a+)+$': {type: integer}}}", "warning: slow-pattern", "{type: integer}"),
    ("{type: string, pattern: '^(?=x)(a+)+$'}", "slow-pattern", "'^(?=x)"),
]


@pytest.mark.parametrize(("schema", "said", "at"), SHOWN)
def test_a_slow_pattern_is_told_at_its_place(schema: str, said: str, at: str, findings: Callable[..., str]) -> None:
    flow = f"steps:\n  a: {{model: me/any, prompt: x, schema: {{type: object, properties: {{p: {schema}}}}}}}\n"
    column = flow.splitlines()[1].index(at) + 1
    assert f"flow.yaml:2:{column}: {said}: for the pattern" in findings(flow)
