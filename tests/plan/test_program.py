from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runner.core.call import Message
from runner.core.canonical import Json, digest
from runner.core.ports import LoweredSchema
from runner.output.judge import CannotEvaluate
from runner.plan.compiling import compile_step
from runner.plan.ingredients import brief
from runner.plan.program import Policy, StepProgram
from runner.plan.rendering import listed
from runner.templates.problems import RenderFailed

if TYPE_CHECKING:
    from tests.plan.conftest import Flow

MakeFlow = Callable[..., "Flow"]


def only(flow: Flow) -> StepProgram:
    (step,) = flow.program.steps.values()
    return step


def values(inputs: dict[str, Json] | None = None, **others: Json) -> dict[str, Json]:
    return {"inputs": inputs or {}, "steps": {}, **others}


# The call


def test_a_call_has_everything_that_the_author_set(make_flow: MakeFlow) -> None:
    step = only(
        make_flow(
            """\
            inputs: {who: {type: string}}
            steps:
              greet:
                system: Be kind.
                prompt: Greet {{ inputs.who }}.
                fields: {line: string}
                temperature: 0.5
                top_p: 0.9
                max_output_tokens: 50
                seed: 7
                stop: [END]
                cache: {salt: once more}
            """
        )
    )
    call = step.call(values({"who": "Ann"}), 2)
    assert call.model == "m"
    assert call.system == "Be kind."
    assert call.messages == (Message("user", "Greet Ann."),)
    assert call.schema is not None
    assert call.schema["properties"] == {"line": {"type": "string"}}
    assert (call.sample, call.salt) == (2, "once more")
    assert (call.temperature, call.top_p, call.max_output_tokens, call.seed, call.stop) == (0.5, 0.9, 50, 7, ("END",))


def test_messages_are_repeated_for_each_element_of_a_list(make_flow: MakeFlow) -> None:
    step = only(
        make_flow(
            """\
            inputs: {turns: {type: array}}
            steps:
              reply:
                messages:
                  - for_each: inputs.turns
                    as: entry
                    messages:
                      - {role: user, text: "{{ entry.q }}"}
                      - {role: assistant, text: "{{ entry.a }}"}
                  - {role: user, text: And now?}
            """
        )
    )
    call = step.call(values({"turns": [{"q": "1", "a": "2"}, {"q": "3", "a": "4"}]}), 0)
    assert [(message.role, message.text) for message in call.messages] == [
        ("user", "1"),
        ("assistant", "2"),
        ("user", "3"),
        ("assistant", "4"),
        ("user", "And now?"),
    ]
    assert step.texts == ("{{ entry.q }}", "{{ entry.a }}", "And now?")


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (True, "a boolean"), (3, "a number"), (0.5, "a number"), ("ab", "text"), ({"a": 1}, "a mapping")],
)
def test_what_is_no_list_cannot_be_walked(make_flow: MakeFlow, value: Json, kind: str) -> None:
    flow = make_flow("inputs: {rows: true}\nsteps:\n  a: {for_each: inputs.rows, prompt: x}\n".replace("true", "{}"))
    (lane,) = flow.program.linked.lanes.values()
    with pytest.raises(RenderFailed) as error:
        listed(lane.items, {"inputs": {"rows": value}})
    assert str(error.value) == f"flow.yaml:3:17: 'inputs.rows' gives {kind}, and a list is needed"
    assert error.value.problem.code == "not-a-list"


def test_a_list_is_walked(make_flow: MakeFlow) -> None:
    flow = make_flow("inputs: {rows: {}}\nsteps:\n  a: {for_each: inputs.rows | reverse, prompt: x}\n")
    (lane,) = flow.program.linked.lanes.values()
    assert listed(lane.items, {"inputs": {"rows": [1, 2]}}) == [2, 1]


def test_a_schema_that_is_checked_here_only_is_not_sent(make_flow: MakeFlow) -> None:
    step = only(make_flow("steps:\n  a: {prompt: x, fields: {n: integer}, enforce: local}\n"))
    assert step.call(values(), 0).schema is None
    assert step.validator is not None
    assert step.undo is None
    assert step.fixed_ingredients["enforce"] == "local"


def test_a_lowered_schema_is_undone_on_the_way_back(make_flow: MakeFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = only(make_flow("steps:\n  a: {prompt: x, fields: {n: integer}}\n"))

    def lower(schema: Json) -> LoweredSchema:
        return LoweredSchema(schema, undo=lambda value: {"n": value["wrapped"]})

    strict = copy(plain.dialect)
    monkeypatch.setattr(type(strict), "lower", staticmethod(lower))
    step = compile_step(plain.linked, plain.route, strict, thinking="low", policy=Policy(), cost=lambda _: None)
    rules = step.rules(values())
    assert rules.undo is not None
    assert rules.undo({"wrapped": 3}) == {"n": 3}
    assert step.call(values(), 0).thinking == step.fixed_ingredients["thinking"] == "low"


# The rules


def test_ensure_lines_see_the_answer_and_what_the_prompt_saw(make_flow: MakeFlow) -> None:
    step = only(
        make_flow(
            "inputs: {top: {}}\nsteps:\n  a: {prompt: x, fields: {n: integer}, ensure: [output.n < inputs.top]}\n"
        )
    )
    (line,) = step.rules(values({"top": 3})).ensure
    assert line.text == "output.n < inputs.top"
    assert line.holds({"n": 2})
    assert not line.holds({"n": 3})


def test_an_ensure_line_without_truth_cannot_be_evaluated(make_flow: MakeFlow) -> None:
    step = only(make_flow("steps:\n  a: {prompt: x, ensure: [text < 3]}\n"))
    (line,) = step.rules(values()).ensure
    with pytest.raises(CannotEvaluate) as error:
        line.holds("two")
    assert error.value.message == "flow.yaml:2:27: '<' cannot compare a text with a number"


# Ingredients


def test_ingredients_name_what_a_question_is_made_of(make_flow: MakeFlow) -> None:
    flow = make_flow(
        """\
        inputs: {topic: {type: string}, text: {type: string}}
        data: {rows: {file: rows.jsonl}}
        steps:
          a: {prompt: x}
          b:
            for_each: data.rows
            system: Be kind.
            prompt: "{{ inputs.topic }} {{ inputs.text }} {{ item.stars }} {{ steps.a.text }}"
            fields: {n: integer}
            seed: 7
            stop: [END]
            samples: 2
            cache: {salt: once more}
        """
    )
    step = flow.program.steps["b"]
    view = {"text": "fine", "skipped": False, "failed": None, "model": "m-1"}
    seen = values({"topic": "tea", "text": "long " * 20}, item={"stars": 3}, steps={"a": view})
    found = step.ingredients(step.call(seen, 1), seen)
    assert found == {
        "dialect": "scripted/1",
        "model": "scripted/m",
        "template": {
            "flow.yaml:7": digest("Be kind."),
            "flow.yaml:8": digest("{{ inputs.topic }} {{ inputs.text }} {{ item.stars }} {{ steps.a.text }}"),
        },
        "options": {"seed": 7, "stop": ["END"]},
        "messages": [["system", digest("Be kind.")[:12]], ["user", digest(step.texts[1])[:12]]],
        "service": "scripted",
        "model-version": "000000000000",
        "schema": step.linked.schema.digest if step.linked.schema else "",
        "salt": "once more",
        "system": digest("Be kind."),
        "inputs": {"topic": "tea", "text": {"sha256": digest(json.dumps("long " * 20))}},
        "data": {"stars": 3},
        "upstream": {"a": brief({"text": "fine", "skipped": False, "failed": None})},
        "sample": 1,
    }


def test_the_model_that_answered_upstream_is_no_ingredient(make_flow: MakeFlow) -> None:
    step = make_flow("steps:\n  a: {prompt: x}\n  b: {prompt: '{{ steps.a.text }}'}\n").program.steps["b"]
    views = [{"a": {"text": "fine", "model": model}} for model in ("m-1", "m-2")]
    one, two = (step.ingredients(step.call(values(steps=view), 0), values(steps=view)) for view in views)
    assert one == two


def test_whole_inputs_and_whole_items_are_ingredients(make_flow: MakeFlow) -> None:
    flow = make_flow(
        """\
        inputs: {topic: {type: string}}
        data: {rows: {file: rows.jsonl}}
        steps:
          a: {for_each: data.rows, prompt: "{{ inputs }} {{ item }} {{ item.stars | default(0) }}"}
        """
    )
    step = only(flow)
    seen = values({"topic": "tea"}, item="plain")
    found = step.ingredients(step.call(seen, 0), seen)
    assert (found["inputs"], found["data"]) == ({"": {"topic": "tea"}}, {"": "plain", "stars": "plain"})


def test_large_values_are_named_by_their_digest() -> None:
    assert brief("x" * 62) == "x" * 62
    assert brief("x" * 63) == {"sha256": digest(json.dumps("x" * 63))}


# How stored answers are used


@pytest.mark.parametrize(
    ("text", "policy", "use", "is_settled"),
    [
        ("", Policy(), "auto", False),
        (", on_error: skip", Policy(), "auto", True),
        ("", Policy(is_final=True), "auto", True),
        (", cache: {use: refresh}", Policy(), "refresh", False),
        (", cache: {use: off}", Policy(), "off", False),
        ("", Policy(refresh=frozenset({"a"})), "refresh", False),
        ("", Policy(refresh=frozenset({"*"})), "refresh", False),
        ("", Policy(refresh=frozenset({"b"})), "auto", False),
        ("", Policy(refresh=frozenset({"a"}), use_cache=False), "off", False),
    ],
)
def test_the_policy_decides_how_stored_answers_are_used(
    make_flow: MakeFlow, text: str, policy: Policy, use: str, is_settled: bool
) -> None:
    step = only(make_flow(f"steps:\n  a: {{prompt: x{text}}}\n", policy=policy))
    assert (step.use, step.is_settled) == (use, is_settled)


def test_equal_calls_of_two_steps_have_one_key(make_flow: MakeFlow) -> None:
    flow = make_flow("steps:\n  a: {prompt: x, retries: 1}\n  b: {prompt: x, timeout: 5s, repair: 2, on_error: skip}\n")
    one, two = (step.encode(replace(step.call(values(), 0))).key for step in flow.program.steps.values())
    assert one == two
