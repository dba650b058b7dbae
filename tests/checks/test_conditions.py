"""Conditions that hold always or never are told; where a value may decide, nothing is said."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

FLOW = """\
inputs:
  size: {type: integer, minimum: 1, maximum: 9}
steps:
  first: {model: me/any, prompt: "{{ inputs.size }}", fields: {sure: number 0..1, kind: [bug, other], note: string?}}
  last:
    model: me/any
    prompt: x
    schema:
      type: object
      properties:
        n: {type: integer, minimum: 1, maximum: 5}
        open: {type: number, exclusiveMinimum: 0, exclusiveMaximum: 1}
        zero: {type: "null"}
        flag: {type: boolean}
        yes: {const: true}
        few: {type: array, items: {type: string}, minItems: 1, maxItems: 3}
        none: {type: array, maxItems: 0}
        name: {type: string, minLength: 2, maxLength: 8}
        code: {enum: [3, 5]}
        mixed: {type: [integer, string]}
        both: {type: [array, string]}
        any: {}
        perhaps: {type: integer, minimum: 1, maximum: 5}
      required: [n, open, zero, flag, yes, few, none, name, code, mixed, both, any]
"""

NEVER = [
    "output.n > 5",
    "output.n >= 6",
    "output.n < 1",
    "output.n <= 0",
    "output.n == 6",
    "5 < output.n",
    "output.n == 'a'",
    "output.n is gt 5",
    "output.n is gt(5)",
    "output.n > 5 and output.flag",
    "output.flag and output.n > 5",
    "not output.n >= 1",
    "output.n > 5 or output.n < 1",
    "0 < output.n < 1",
    "output.n in [0, 6]",
    "output.n is in [0, 6]",
    "output.open >= 1",
    "output.open <= 0",
    "output.open > 1",
    "output.open == 0",
    "output.zero",
    "output.zero is not none",
    "output.none",
    "output.none | length > 0",
    "output.few | length > 3",
    "output.few | count == 0",
    "output.name | length == 1",
    "output.name == 'x'",
    "output.code == 4",
    "output.code > 5",
    "output.code not in [3, 5]",
    "output.yes == false",
    "output.n is undefined",
    "output.n == -1",
    "false",
    "'abc' | length == 2",
]
ALWAYS = [
    "output.n >= 1",
    "output.n > 0",
    "output.n < 6",
    "output.n <= 5",
    "output.n",
    "output.n != 6",
    "output.n is defined",
    "output.open > 0",
    "output.open < 1",
    "output.open",
    "output.few",
    "output.name",
    "output.few | length >= 1",
    "not output.zero",
    "output.n > 5 or output.n >= 1",
    "output.code in [3, 5] or output.code > 2",
    "output.code != 4",
    "output.n not in [0, 6]",
    "output.flag or output.n > 0",
    "output.yes",
    "inputs.size < 10",
]
OPEN = [
    "output.n > 3",
    "output.n >= 5",
    "output.n == 5",
    "output.n < 2",
    "output.n <= 1",
    "output.open > 0.5",
    "output.open == 0.5",
    "output.flag",
    "output.flag == 1",
    "output.n == true",
    "output.code == 3",
    "output.code in [3, 5]",
    "output.code in [3]",
    "output.code > 3",
    "output.perhaps > 5",
    "output.perhaps is defined",
    "output.mixed > 3",
    "output.mixed == 'a'",
    "output.both | length > 3",
    "output.both",
    "output.any",
    "output.any == 3",
    "output.any | length > 2",
    "output.n | length > 2",
    "output.n > output.code",
    "output.code > output.n",
    "output.n == output.n",
    "output.n + 1 > 9",
    "output.n is odd",
    "output.few[0] == 'a'",
    "output[inputs.size] == 3",
    "output.name == 'xyz'",
    "output.name in ['x', 'xyz']",
    "'x' in output.name",
    "output.code in output.few",
    "output.name > 3",
    "'a' > 3",
    "output.n in [1, output.code]",
    "steps.first.output.note",
    "steps.first.output.sure > 0.5",
    "3 | length > 2",
    "output is defined and output.n > 2",
]


def _told(findings: Callable[..., str], condition: str, key: str = "ensure") -> list[tuple[str, str, str]]:
    line = f'    {key}: ["{condition}"]\n' if key == "ensure" else f'    {key}: "{condition}"\n'
    shown = findings(FLOW + line)
    found = re.findall(r"^flow\.yaml:(\d+:\d+): (warning: )?([a-z-]+): ", shown, flags=re.MULTILINE)
    return [(code, "warning" if word else "error", place) for place, word, code in found if code != "may-be-absent"]


LINE = FLOW.count("\n") + 1


@pytest.mark.parametrize("condition", NEVER)
def test_an_ensure_line_that_never_holds_is_an_error(condition: str, findings: Callable[..., str]) -> None:
    assert _told(findings, condition) == [("never-holds", "error", f"{LINE}:15")]


@pytest.mark.parametrize("condition", ALWAYS)
def test_an_ensure_line_that_always_holds_is_a_warning(condition: str, findings: Callable[..., str]) -> None:
    assert _told(findings, condition) == [("always-holds", "warning", f"{LINE}:15")]


@pytest.mark.parametrize("condition", OPEN)
def test_nothing_is_said_where_a_value_may_decide(condition: str, findings: Callable[..., str]) -> None:
    assert _told(findings, condition) == []


WHEN = [
    ("inputs.size > 9", [("never-holds", "warning", f"{LINE}:12")]),
    ("steps.first.output.sure >= 0", [("always-holds", "warning", f"{LINE}:12")]),
    ("inputs.size > 5", []),
    ("false", []),
    ("true", []),
    ("not (1 > 2)", []),
]


@pytest.mark.parametrize(("condition", "told"), WHEN)
def test_a_when_that_decides_nothing_is_a_warning_and_a_switch_is_not(
    condition: str, told: list[tuple[str, str, str]], findings: Callable[..., str]
) -> None:
    assert _told(findings, condition, "when") == told


def test_a_word_that_never_occurs_is_told_once_and_is_an_error_where_every_answer_fails(
    findings: Callable[..., str],
) -> None:
    flow = "steps:\n  a: {model: me/any, prompt: x, fields: {kind: [bug, other]}, %s}\n"
    assert "flow.yaml:2:88: never-equal: " in findings(flow % "ensure: ['output.kind == \"bugs\"']")
    shown = findings(flow % 'ensure: [\'output.kind == "bugs" or output.kind == "bug"\']')
    assert shown.startswith("flow.yaml:2:88: warning: never-equal: ")
    assert shown.count("flow.yaml:2:") == 1


def test_the_words_of_both_findings(findings: Callable[..., str]) -> None:
    shown = findings(FLOW + '    ensure: ["output.n > 5", "output.n > 0"]\n    when: inputs.size > 9\n')
    lines = [line.partition(": ")[2] for line in shown.splitlines() if line.startswith("flow.yaml")]
    assert lines == [
        "never-holds: this ensure line of step 'last' holds for no answer that fits the schema, so every answer would fail",
        "warning: always-holds: this ensure line of step 'last' holds for every answer that fits the schema",
        "warning: never-holds: the when of step 'last' never holds, so the step is never asked",
    ]
