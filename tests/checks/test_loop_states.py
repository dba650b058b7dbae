"""The state of a loop against its schema, where the file itself shows that it cannot fit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Findings = Callable[..., str]

FLOW = """\
steps:
  first: {model: me/any, prompt: x, fields: {words: [string], word: string, size: integer, note: string?}}
  play:
    loop:
      max: 5
      state:
        %(schema)s
        start: {%(start)s}
      steps:
        ask: {model: me/any, prompt: "{{ state.n }} {{ turn }} {{ steps.first.output.words }}", fields: {plus: integer, why: string?}}
        say: {model: me/any, prompt: "{{ steps.ask.output.plus }} {{ steps.first.output.word }} {{ steps.first.output.size }}"}
      next: {%(next)s}
      until: %(until)s
outputs: {log: steps.play.state, note: steps.first.output.note}
"""
FIELDS = "fields: {n: integer 0..9, log: [string], mood: [calm, angry], deep: {at: number, tags: [string]}}"
START = "n: 0, log: [], mood: calm, deep: {at: 0, tags: []}"


def flow(
    schema: str = FIELDS, start: str = START, following: str = "n: state.n + 1", until: str = "state.n > 3"
) -> str:
    return FLOW % {"schema": schema, "start": start, "next": following, "until": until}


@pytest.mark.parametrize(
    "following",
    [
        "n: state.n + 1",
        "n: steps.ask.output.plus * 2",
        "n: state.log | length",
        "n: -state.n",
        "n: state.n if turn > 2 else 0",
        "n: steps.say.text | int",
        "n: state.n % 7",
        "n: '[state.n, 3] | min'",
        "log: 'state.log + [steps.say.text]'",
        "log: steps.first.output.words",
        "log: '[steps.say.text, steps.say.text ~ turn]'",
        "log: 'state.log | reject(\"eq\", steps.say.text) | list'",
        "log: '[steps.say.text] * 2'",
        "log: '[] + state.log'",
        "log: 'state.log[1:]'",
        "mood: '\"angry\"'",
        "mood: steps.say.text",
        'mood: \'"calm" if turn > 2 else "sad"\'',
        "mood: state.mood",
        "mood: '[\"calm\"] | first'",
        'deep: \'{"at": turn, "tags": [steps.say.text]}\'',
        'deep: \'{"at": 1, "tags": []}\'',
        "deep: state.deep",
        "deep: '{steps.say.text: 1}'",
        'deep: \'{"at": state.n, "tags": state.log + ["x"]}\'',
        "n: steps.ask.output.why | default(0)",
        "n: turn",
    ],
)
def test_nothing_is_said_of_what_may_fit(findings: Findings, following: str) -> None:
    assert findings(flow(following=following)) == ""


@pytest.mark.parametrize(
    ("following", "message", "expected"),
    [
        ("n: '\"x\"'", "gives \"x\" for 'n'", "an integer from 0 to 9"),
        ("n: 10", "gives 10 for 'n'", "an integer from 0 to 9"),
        ("n: steps.say.text", "gives text for 'n'", "a number"),
        ("n: state.n ~ 1", "gives text for 'n'", "a number"),
        ("n: state.log | join", "gives text for 'n'", "a number"),
        ("n: 'state.log + [\"x\"]'", "gives a list for 'n'", "a number"),
        ("n: turn > 2", "gives true or false for 'n'", "a number"),
        ("n: state.log | list", "gives a list for 'n'", "a number"),
        ('n: steps.say.text if turn > 2 else "x"', "gives text for 'n'", "a number"),
        ("log: steps.say.text", "gives text for 'log'", "a list"),
        ("log: state.n + 1", "gives a number for 'log'", "a list"),
        ("log: 'state.log + [state.n]'", "gives a number for an element of 'log'", "text"),
        ("log: '[3] + state.log'", "gives 3 for an element of 'log'", "text"),
        ("log: '[turn]'", "gives a number for an element of 'log'", "text"),
        ("log: '[[\"a\"]]'", "gives a list for an element of 'log'", "text"),
        ("mood: '\"sad\"'", "gives \"sad\" for 'mood'", "one of calm, angry"),
        ('deep: \'{"at": 1, "tag": []}\'', "gives the field 'tag' for 'deep'", "one of at, tags\n  nearest:  tags"),
        ("deep: '{\"at\": turn}'", "gives no field 'tags' for 'deep'", "all of at, tags"),
        ('deep: \'{"at": "x", "tags": [turn]}\'', "gives \"x\" for 'deep.at'", "a number"),
        ('deep: \'{"at": 1, "tags": [1, "x"]}\'', "gives 1 for an element of 'deep.tags'", "text"),
        ("deep: '[1]'", "gives a list for 'deep'", "an object"),
    ],
)
def test_what_next_gives_can_never_fit(findings: Findings, following: str, message: str, expected: str) -> None:
    key, _, value = following.partition(": ")
    column = len("      next: {") + len(key) + len(": ") + value.startswith("'") + 1
    head, _, rest = findings(flow(following=following)).partition("\n")
    assert head == f"flow.yaml:12:{column}: state-misfit: next.{key} of 'play' {message}, which never fits the state"
    assert rest.endswith(f"  expected: {expected}")


def test_a_key_of_next_that_the_state_lacks(findings: Findings) -> None:
    assert findings(flow(following="m: state.n + 1, n: state.n")) == (
        "flow.yaml:12:14: unknown-field: the state of 'play' has no field 'm'\n"
        "   12 |       next: {m: state.n + 1, n: state.n}\n"
        "      |              ^\n"
        "  expected: a field of the state: deep, log, mood, n\n"
        "  fix:      add 'm' to the state of 'play'"
    )
    assert "  nearest:  mood\n" in findings(flow(following="mod: state.mood"))


def test_a_state_with_further_keys_takes_any(findings: Findings) -> None:
    schema = "schema: {type: object, properties: {n: {type: integer}, log: {type: array}}, required: [n]}"
    assert findings(flow(schema=schema, start="n: 0, log: [], more: x", following="n: state.n + 1, other: turn")) == ""


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("n: x, log: [], mood: calm, deep: {at: 0, tags: []}", "at 'n' is \"x\", which does not fit the state"),
        ("n: 0, log: [1], mood: calm, deep: {at: 0, tags: []}", "at 'log[0]' is 1, which does not fit the state"),
        ("n: 0, log: [], mood: sad, deep: {at: 0, tags: []}", "at 'mood' is \"sad\", which does not fit the state"),
        ("n: 0, log: [], mood: calm, deep: {at: 0}", "at 'deep' is an object with 'at', which does not fit the state"),
        (
            "n: 0, log: [], mood: calm, deep: {at: 0, tags: [x, 2]}",
            "at 'deep.tags[1]' is 2, which does not fit the state",
        ),
        ("n: 0, mood: calm, deep: {at: 0, tags: []}", "lacks 'log', which its state must have"),
    ],
)
def test_a_start_that_does_not_fit(findings: Findings, start: str, told: str) -> None:
    assert f"state-misfit: the start of 'play' {told}\n" in findings(flow(start=start))


def test_the_place_of_a_start_is_that_of_the_part(findings: Findings) -> None:
    assert findings(flow(start="n: 0, log: [a, 7], mood: calm, deep: {at: 0, tags: []}")) == (
        "flow.yaml:8:32: state-misfit: the start of 'play' at 'log[1]' is 7, which does not fit the state\n"
        "    8 |         start: {n: 0, log: [a, 7], mood: calm, deep: {at: 0, tags: []}}\n"
        "      |                                ^\n"
        "  expected: text"
    )


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("n: {from: steps.first.output.word}", "start.n of 'play' gives text for 'n'"),
        ("n: {from: steps.first.output.size ~ 1}", "start.n of 'play' gives text for 'n'"),
        ("n: [{from: steps.first.output.size}]", "start.n of 'play' gives a list for 'n'"),
        ("n: {a: {from: steps.first.output.size}}", "start.n of 'play' gives a mapping for 'n'"),
        ("log: [x, {from: steps.first.output.size}]", "start.log of 'play' gives a number for an element of 'log'"),
        ("log: [3, {from: steps.first.output.word}]", "start.log of 'play' gives 3 for an element of 'log'"),
        ("deep: {at: {from: steps.first.output.words}, tags: []}", "start.deep of 'play' gives a list for 'deep.at'"),
    ],
)
def test_a_start_that_is_computed_and_can_never_fit(findings: Findings, start: str, told: str) -> None:
    key = start.partition(":")[0]
    others = {"n": "n: 0", "log": "log: []", "mood": "mood: calm", "deep": "deep: {at: 0, tags: []}"}
    whole = ", ".join([start, *(value for name, value in others.items() if name != key)])
    assert f"state-misfit: {told}, which never fits the state\n" in findings(flow(start=whole))


@pytest.mark.parametrize(
    "start",
    [
        "n: {from: steps.first.output.size}",
        "n: {from: steps.first.output.note | default(0)}",
        "log: {from: steps.first.output.words}",
        "log: [{from: steps.first.output.word}, b]",
        "deep: {at: {from: steps.first.output.size}, tags: {from: steps.first.output.words}}",
        "mood: {from: steps.first.output.word}",
    ],
)
def test_nothing_is_said_of_a_start_that_may_fit(findings: Findings, start: str) -> None:
    key = start.partition(":")[0]
    others = {"n": "n: 0", "log": "log: []", "mood": "mood: calm", "deep": "deep: {at: 0, tags: []}"}
    assert findings(flow(start=", ".join([start, *(value for name, value in others.items() if name != key)]))) == ""


def test_an_unknown_key_at_the_start(findings: Findings) -> None:
    told = findings(flow(start=f"{START}, mod: calm"))
    assert told.startswith("flow.yaml:8:69: unknown-field: the state of 'play' has no field 'mod'\n")


@pytest.mark.parametrize(
    "schema",
    [
        "schema: {anyOf: [{type: object, properties: {n: {type: integer}}, required: [n]}, {type: object, required: [log]}]}",
        "schema: {type: object, if: {properties: {mood: {const: calm}}}, then: {properties: {n: {type: string}}}}",
    ],
)
def test_where_fields_depend_on_one_another_nothing_is_said_of_one(findings: Findings, schema: str) -> None:
    assert findings(flow(schema=schema)) == ""


def test_a_state_is_a_mapping(findings: Findings) -> None:
    assert findings(flow(schema="schema: {type: array}")).startswith(
        "flow.yaml:7:17: state-misfit: the state of 'play' is a mapping, and its schema allows none\n"
    )


def test_a_schema_of_a_state_is_looked_into(findings: Findings) -> None:
    schema = "schema: {type: object, properties: {n: {type: integer, minimum: 5, maximum: 2}}, required: [n]}"
    assert "unsatisfiable: " in findings(flow(schema=schema, start="n: {from: steps.first.output.size}"))


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ("turn > 5", "never-holds: the until of step 'play' never holds, so the loop ends at max"),
        ("turn >= 1", "always-holds: the until of step 'play' always holds, so the loop ends after its first turn"),
        ("state.n > 9", "never-holds: the until of step 'play' never holds, so the loop ends at max"),
        ('state.mood in ["sad"]', "never-equal: 'mood' in the state of 'play' is never 'sad'"),
        (
            "state.log | length >= 0",
            "always-holds: the until of step 'play' always holds, so the loop ends after its first turn",
        ),
    ],
)
def test_an_until_that_decides_nothing(findings: Findings, until: str, told: str) -> None:
    column = 29 if until.startswith("state.mood") else 14
    assert findings(flow(until=until)).startswith(f"flow.yaml:13:{column}: warning: {told}\n")


@pytest.mark.parametrize("until", ["turn == 5", "state.n >= 9", 'state.mood == "angry"', "false"])
def test_nothing_is_said_of_an_until_that_may_hold(findings: Findings, until: str) -> None:
    assert findings(flow(until=until)) == ""


def test_a_condition_of_a_step_of_a_turn_is_looked_into_too(findings: Findings) -> None:
    told = findings(flow().replace("say: {model", "say: {when: turn > 5, model"))
    assert told.startswith(
        "flow.yaml:11:21: warning: never-holds: the when of step 'play.say' never holds, so the step is never asked\n"
    )
