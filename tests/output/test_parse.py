from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.output.parse import MAX_BYTES, NotParsed, parse_json, parse_strictly

TAKEN: dict[str, tuple[str, Json]] = {
    "an object": ('{"a": 1}', {"a": 1}),
    "a scalar": ("42", 42),
    "a text": ('"x"', "x"),
    "null": ("null", None),
    "blanks around": ('\n {"a": 1}\t\n', {"a": 1}),
    "byte order mark": ('\ufeff{"a": 1}', {"a": 1}),
    "the same name in two objects": ('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
    "colons in strings": ('{"a": "b:c", "d\\":": ":"}', {"a": "b:c", 'd":': ":"}),
    "backslashes before a quote": ('{"a": "\\\\", "b": "\\\\\\""}', {"a": "\\", "b": '\\"'}),
    "a pair of surrogates": ('"\\ud83d\\ude00"', "😀"),
    "NUL": ('"\\u0000"', "\x00"),
    "line separator": ('"\u2028"', "\u2028"),
    "largest integer": ("18446744073709551615", 2**64 - 1),
    "smallest integer": ("-9223372036854775808", -(2**63)),
    "long fraction": ("0.1234567890123456789012345", 0.12345678901234568),
    "long digits in a string": ('{"id": "1234567890123456789012345"}', {"id": "1234567890123456789012345"}),
    "a tiny number": ("1e-400", 0.0),
    "64 levels": ("[" * 64 + "]" * 64, json.loads("[" * 64 + "]" * 64)),
    "brackets in strings": (json.dumps(["[" * 70, "]" * 3]), ["[" * 70, "]" * 3]),
    "fence": ('```json\n{"a": 1}\n```', {"a": 1}),
    "fence in capitals": ('```JSON\n{"a": 1}\n```', {"a": 1}),
    "fence without a word": ("```\n[1]\n```", [1]),
    "fence with a scalar": ("The number:\n```json\n42\n```\n", 42),
    "fence with prose": ('Sure!\n\n```json\n{"a": 1}\n```\nAnything [else]?', {"a": 1}),
    "fence never closed": ('```json\n{"a": 1}', {"a": 1}),
    "fence beside another language": ('```python\nx = {"b": 2}\n```\n```json\n{"a": 1}\n```', {"a": 1}),
    "json fence wins": ('```\nls [a-z]\n```\n```json\n{"a": 1}\n```', {"a": 1}),
    "fence in a string": ('```json\n{"a": "```py\\nx\\n```"}\n```', {"a": "```py\nx\n```"}),
    "fence on one line": ('```json {"a": 1} ```', {"a": 1}),
    "prose before": ('The answer is: {"a": 1}', {"a": 1}),
    "prose behind": ('{"a": 1}\nI hope that helps.', {"a": 1}),
    "prose with braces": ('As {name} [asked]: {"a": 1} (see {b)', {"a": 1}),
    "prose with an unclosed bracket": ('A list [ of things: {"a": 1}', {"a": 1}),
    "words in brackets": ('[truly so] {"a": 1}', {"a": 1}),
    "a list in prose": ('So: ["a", "b"].', ["a", "b"]),
    "an empty object in prose": ("Nothing: {}", {}),
}


@pytest.mark.parametrize(("text", "value"), TAKEN.values(), ids=TAKEN)
def test_what_is_taken(text: str, value: Json) -> None:
    assert parse_json(text) == value


REFUSED: dict[str, tuple[str, str]] = {
    "nothing": ("", "an empty answer"),
    "blanks": (" \n", "an empty answer"),
    "prose": ("I cannot tell.", "not JSON"),
    "a bare word": ("yes", "not JSON"),
    "two objects": ('{"a": 1} {"a": 1}', "two JSON texts"),
    "lines of objects": ('{"a": 1}\n{"a": 2}\n', "two JSON texts"),
    "an object and a list": ('{"a": 1} as in [1]', "two JSON texts"),
    "two fences": ("```json\n1\n```\n```json\n2\n```", "two JSON texts"),
    "two bare fences": ("```\n1\n```\n```\n2\n```", "two JSON texts"),
    "an empty fence": ("```json\n```", "not JSON"),
    "a fence of prose": ('```json\nhere: {"a": 1}\n```', "not JSON"),
    "NaN": ('{"a": NaN}', "NaN or Infinity, which is no JSON number"),
    "infinity": ('{"a": -Infinity}', "NaN or Infinity, which is no JSON number"),
    "1e400": ('{"a": 1e400}', "a number that is too large"),
    "a long number": ("1" * 400, "a number that is too large"),
    "beyond 64 bits": ("18446744073709551616", "an integer beyond 64 bits"),
    "below 64 bits": ("[-9223372036854775809]", "an integer beyond 64 bits"),
    "5,000 digits in a list": (f"[{'1' * 300}]", "an integer beyond 64 bits"),
    "twice": ('{"a": 1, "b": {"a": 1}, "a": 2}', "the property 'a' twice"),
    "twice inside": ('[{"a" : 1, "a"\n: 2}]', "the property 'a' twice"),
    "twice by escapes": ('{"a": 1, "\\u0061": 2}', "the property 'a' twice"),
    "twice, hostile": ('{"\\u001b[31m": 1, "\\u001b[31m": 2}', "the property '�[31m' twice"),
    "twice, long": (f'{{"{"k" * 50}": 1, "{"k" * 50}": 2}}', f"the property '{'k' * 40}…' twice"),
    "twice in prose": ('Here: {"a": 1, "a": 2}', "the property 'a' twice"),
    "trailing comma": ('{"a": [1, 2],}', "a trailing comma"),
    "trailing comma in prose": ('Here: {"a": [1, 2],}', "a trailing comma"),
    "a comma in prose behind": ('Here: [{"a": 1},] and {"b": 2}', "a trailing comma"),
    "half a character": ('{"a": "\\ud800"}', "half a character (a lone surrogate)"),
    "half a character, raw": ('{"a": "\ud800"}', "half a character (a lone surrogate)"),
    "half a character outside": ("\ud800", "not JSON"),
    "a bad escape": ('{"a": "\\x"}', "not JSON"),
    "a raw line break": ('{"a": "b\nc"}', "not JSON"),
    "single quotes": ("{'a': 1}", "not JSON"),
    "a comment": ('{"a": 1 /* one */}', "not JSON"),
    "65 levels": ("[" * 65 + "]" * 65, "nested more than 64 deep"),
    "65 levels with content": ('{"a":' * 65 + "1" + "}" * 65, "nested more than 64 deep"),
    "levels in prose": ("See: " + "[" * 65 + "1" + "]" * 65, "nested more than 64 deep"),
    "100,000 levels": ("[" * 100_000, "nested more than 64 deep"),
    "cut": ('{"a": [1, 2', "an unfinished JSON text"),
    "cut in a string": ('{"a": "b', "an unfinished JSON text"),
    "cut in prose": ('Here: {"a": [1, 2', "an unfinished JSON text"),
    "many brackets": ("{a} " * 70, "too many brackets around the JSON text"),
    "many unclosed brackets": ("{a " * 6, "too many brackets around the JSON text"),
    "too long": ("1" * (MAX_BYTES + 1), "more than 16 MB"),
    "too long in bytes": ('"' + "é" * (MAX_BYTES // 2) + '"', "more than 16 MB"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(NotParsed) as caught:
        parse_json(text)
    assert caught.value.reason == str(caught.value) == reason


def test_a_file_is_read_strictly() -> None:
    assert parse_strictly('{"a": 1}') == {"a": 1}
    with pytest.raises(NotParsed, match="not JSON"):
        parse_strictly('Here: {"a": 1}')


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=12,
)


def same(left: Json, right: Json) -> bool:
    return json.dumps(left) == json.dumps(right)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_every_json_text_is_read_as_written(value: Json, ascii_only: bool, indent: int | None) -> None:
    assert same(parse_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent)), value)


@settings(max_examples=40)
@given(st.lists(VALUES) | st.dictionaries(st.text(max_size=3), VALUES))
@example({"```": "\n```\n"})
def test_fences_and_prose_change_nothing(value: Json) -> None:
    text = json.dumps(value)
    assert same(parse_json(f"Here you are:\n```json\n{text}\n```\nBye."), value)
    assert same(parse_json(f"Here you are: {text} Bye."), value)


@settings(max_examples=40)
@given(st.lists(VALUES) | st.dictionaries(st.text(), VALUES))
@example([None, [False, []]])
def test_an_answer_that_breaks_off_is_never_taken(value: Json) -> None:
    text = json.dumps(value)
    for end in range(max(1, len(text) - 20), len(text)):
        with pytest.raises(NotParsed):
            parse_json(text[:end])


@given(st.data())
def test_a_mutated_text_is_read_as_the_standard_library_reads_it_or_refused(data: st.DataObject) -> None:
    text = json.dumps(data.draw(VALUES))
    position = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 2))
    mutated = (
        text[:position] + data.draw(st.text('{}[]",:\\0129eE+-.ntu \n\ud800', max_size=3)) + text[position + length :]
    )
    try:
        value = parse_strictly(mutated)
    except NotParsed:
        return
    assert same(json.loads(mutated), value)


@given(st.text('{}[]",:\\`0a\n ', max_size=60))
def test_no_text_brings_the_parser_down(text: str) -> None:
    with contextlib.suppress(NotParsed):
        json.dumps(parse_json(text))
