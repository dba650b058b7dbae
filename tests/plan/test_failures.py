"""How the failures of a run are told; whole messages are golden in tests/messages."""

from __future__ import annotations

import pytest

from runner.core.outcome import Failure, FailureKind, Violation
from runner.core.span import Origin, Span
from runner.core.tool import ToolUse
from runner.core.workflow import Expression, SchemaSource, Step
from runner.plan.failures import MOST_VIOLATIONS, _fix, _misfit, _place, _placed, _said

STEP = Step(span=Span("flow.yaml", 2, 3), name="read")


def test_a_text_that_begins_with_a_place_is_told_there() -> None:
    problem = _placed("cannot-evaluate", "prompts/a.md:3:7: 'inputs.a' is undefined", STEP.span)
    assert (problem.span, problem.message) == (Span("prompts/a.md", 3, 7, 8), "'inputs.a' is undefined")


def test_a_text_without_a_place_is_told_at_its_step() -> None:
    problem = _placed("cut", "the answer was cut off (length): 12", STEP.span)
    assert (problem.span, problem.message) == (STEP.span, "the answer was cut off (length): 12")


def test_an_ensure_line_that_does_not_hold_is_told_at_the_line() -> None:
    lines = tuple(Expression(text, Origin("flow.yaml")) for text in ("output.a > 1", "output.b > 1"))
    step = Step(span=STEP.span, spans={"ensure.1": Span("flow.yaml", 9, 9)}, name="read", ensure=lines)
    failure = Failure(FailureKind.INVALID, "…", (Violation("", "ensure", "output.b > 1"),))
    assert _place(failure, step) == Span("flow.yaml", 9, 9)


def test_many_violations_are_told_up_to_a_bound() -> None:
    violations = tuple(Violation(f"/{n}", "type", "an integer", "null") for n in range(MOST_VIOLATIONS + 2))
    expected, rows = _misfit(Failure(FailureKind.INVALID, "…", violations))
    assert expected == ""
    assert rows[0] == ("at", "/0 is null, expected an integer")
    assert rows[-1] == ("at", "and 2 more places")
    assert len(rows) == MOST_VIOLATIONS + 1


def test_ensure_lines_among_several_are_told_as_what_does_not_hold() -> None:
    violations = (Violation("", "ensure", "output.a > 1"), Violation("", "required", "a property 'b'"))
    _, rows = _misfit(Failure(FailureKind.INVALID, "…", violations))
    assert rows == [("at", "this does not hold: output.a > 1"), ("at", "the whole answer, expected a property 'b'")]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (SchemaSource({}, STEP.span, file="schemas/a.json"), "the answer does not fit schemas/a.json"),
        (SchemaSource({}, STEP.span), "the answer does not fit its schema"),
    ],
)
def test_a_misfit_names_the_schema(schema: SchemaSource, said: str) -> None:
    failure = Failure(FailureKind.INVALID, "long", (Violation("/a", "type", "text", "1"),))
    assert _said(failure, Step(span=STEP.span, name="read", schema=schema), "long") == said


@pytest.mark.parametrize(
    ("kind", "step", "fix"),
    [
        (FailureKind.CUT, STEP, "set max_output_tokens to a higher number, or ask for less"),
        (FailureKind.CUT, Step(span=STEP.span, name="read", max_output_tokens=5), "raise max_output_tokens (now 5), or ask for less"),
        (FailureKind.INVALID, STEP, "say in the prompt what is expected, or loosen the ensure lines; repair: 1 asks once more"),
        (FailureKind.INVALID, Step(span=STEP.span, name="read", repair=10),
         "say in the prompt what is expected, or loosen the ensure lines"),
        (FailureKind.TRANSIENT, STEP, ""),
    ],
)  # fmt: skip
def test_a_failure_says_what_may_help(kind: FailureKind, step: Step, fix: str) -> None:
    violations = (Violation("", "ensure", "output"),) if kind is FailureKind.INVALID else ()
    assert _fix(Failure(kind, "…", violations), step) == fix


@pytest.mark.parametrize(
    ("keyword", "fix"),
    [
        ("type", "change what the tool gives, or loosen its returns"),
        ("ensure", "change what the tool gives, or loosen the ensure lines"),
    ],
)
def test_a_result_of_a_tool_is_mended_in_the_tool_and_not_in_a_prompt(keyword: str, fix: str) -> None:
    step = Step(span=STEP.span, name="read", call=ToolUse("lookup", {}, STEP.span))
    assert _fix(Failure(FailureKind.INVALID, "…", (Violation("/v", keyword, "an integer"),)), step) == fix
