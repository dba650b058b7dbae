from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.core.call import Call, Message
from runner.core.canonical import Json
from runner.core.outcome import Failure, FailureKind, Violation
from runner.core.response import Finish, Response
from runner.output.judge import (
    REPAIR_VERSION,
    Ask,
    CannotEvaluate,
    EnsureLine,
    Failed,
    Good,
    Rules,
    judge,
    repair_wording,
)
from runner.output.validate import Validator

SCHEMA: Json = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "bug"]}, "confidence": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["queue", "confidence"],
    "additionalProperties": False,
}
CALL = Call("m", (Message("user", "Which queue?"),), schema=SCHEMA)
TEXT_CALL = Call("m", (Message("user", "Write."),))
JSON = Rules(Validator(SCHEMA))
TEXT = Rules(None)
GOOD = '{"queue": "bug", "confidence": 0.5}'


def answer(text: str, finish: Finish = Finish.COMPLETE, detail: str = "") -> Response:
    return Response(text, finish, detail=detail)


def test_an_answer_that_fits_is_good() -> None:
    assert judge(CALL, answer(GOOD), JSON, repairs_left=0) == Good({"queue": "bug", "confidence": 0.5})


def test_a_text_step_takes_the_text_as_it_is() -> None:
    assert judge(TEXT_CALL, answer(" Hello\n"), TEXT, repairs_left=0) == Good(" Hello\n")


def test_a_cut_answer_is_never_repaired() -> None:
    verdict = judge(CALL, answer(GOOD, Finish.CUT, "MAX_TOKENS"), JSON, repairs_left=3)
    assert verdict == Failed(Failure(FailureKind.CUT, "the answer was cut off (MAX_TOKENS)"))


def test_a_refusal_is_never_repaired() -> None:
    verdict = judge(CALL, answer("", Finish.REFUSED), JSON, repairs_left=3)
    assert verdict == Failed(Failure(FailureKind.REFUSED, "the model declined to answer"))


def test_an_unknown_end_is_no_success_and_never_repaired() -> None:
    verdict = judge(CALL, answer(GOOD, Finish.UNKNOWN, "ODD"), JSON, repairs_left=3)
    assert verdict == Failed(Failure(FailureKind.INVALID, "the answer ended for a reason that is not known (ODD)"))


def test_an_answer_that_is_no_json_is_asked_again() -> None:
    verdict = judge(CALL, answer("bug, I think"), JSON, repairs_left=1)
    assert isinstance(verdict, Ask)
    assert verdict.violations == (Violation("", "json", "one JSON value and nothing else", "not JSON"),)
    assert verdict.call == Call(
        "m",
        (
            Message("user", "Which queue?"),
            Message("assistant", "bug, I think"),
            Message(
                "user",
                "That answer cannot be used. What was expected:\n"
                "- one JSON value and nothing else (it was: not JSON)\n"
                "Answer again with the whole corrected JSON value only, without any explanation.",
            ),
        ),
        schema=SCHEMA,
    )


def test_without_repairs_left_a_misfit_is_invalid() -> None:
    verdict = judge(CALL, answer('{"queue": "bugs", "confidence": 2}'), JSON, repairs_left=0)
    assert isinstance(verdict, Failed)
    assert verdict.failure == Failure(
        FailureKind.INVALID,
        "the answer does not fit its schema: at /confidence expected a number from 0 to 1, found 2 (and 1 more)",
        (
            Violation("/confidence", "maximum", "a number from 0 to 1", "2"),
            Violation("/queue", "enum", "one of billing, bug (did it mean 'bug'?)", '"bugs"'),
        ),
    )


def message_of(text: str, rules: Rules) -> str:
    verdict = judge(CALL, answer(text), rules, repairs_left=0)
    assert isinstance(verdict, Failed)
    return verdict.failure.message


def test_each_kind_of_misfit_has_its_message() -> None:
    assert message_of("no", JSON) == "the answer is no JSON value: not JSON"
    assert (
        message_of("[]", JSON)
        == "the answer does not fit its schema: expected an object with 'queue', 'confidence', found an empty list"
    )
    assert message_of(" \n", TEXT) == "the answer is no text: an empty answer"
    assert message_of("\ud800", TEXT) == "the answer is no text: half a character (a lone surrogate)"
    assert message_of("x", Rules(None, (EnsureLine("text == 'y'", lambda _: False),))) == (
        "the answer does not hold: text == 'y'"
    )


def test_an_empty_answer_is_quoted_as_such() -> None:
    verdict = judge(TEXT_CALL, answer("  "), TEXT, repairs_left=1)
    assert isinstance(verdict, Ask)
    assert verdict.call.messages[1:] == (
        Message("assistant", "(empty)"),
        Message(
            "user",
            "That answer cannot be used. What was expected:\n"
            "- a text (it was: an empty answer)\n"
            "Answer again with the whole corrected text only, without any explanation.",
        ),
    )


def test_a_lowered_answer_is_brought_back_before_it_is_judged() -> None:
    rules = Rules(Validator({"required": ["a"]}), undo=lambda value: {"a": value["lowered"]})
    assert judge(CALL, answer('{"lowered": 1}'), rules, repairs_left=0) == Good({"a": 1})


def test_ensure_lines_are_asked_of_an_output_that_fits() -> None:
    seen: list[Json] = []

    def sure(output: Json) -> bool:
        seen.append(output)
        return bool(output["confidence"] > 0)

    rules = Rules(Validator(SCHEMA), (EnsureLine("output.confidence > 0", sure), EnsureLine("output", lambda _: False)))
    judge(CALL, answer("{}"), rules, repairs_left=0)
    assert seen == []
    verdict = judge(CALL, answer('{"queue": "bug", "confidence": 0}'), rules, repairs_left=2)
    assert isinstance(verdict, Ask)
    assert verdict.violations == (
        Violation("", "ensure", "output"),
        Violation("", "ensure", "output.confidence > 0"),
    )


def test_a_line_that_cannot_be_evaluated_fails_and_is_never_repaired() -> None:
    def cannot(_output: Json) -> bool:
        raise CannotEvaluate("'nope' is undefined")

    verdict = judge(TEXT_CALL, answer("x"), Rules(None, (EnsureLine("nope > 1", cannot),)), repairs_left=5)
    assert verdict == Failed(Failure(FailureKind.RENDER, "'nope' is undefined"))


# The wording enters the key of every repair: changing this test is a major version.
GOLDEN = """That answer cannot be used. What was expected:
- (the whole answer): no property 'extra'
- (the whole answer): a property 'confidence': a number from 0 to 1
- /queue: one of billing, bug (did it mean 'bug'?)
Answer again with the whole corrected JSON value only, without any explanation."""

GOLDEN_LOCAL = """That answer cannot be used. What was expected:
- /n: an integer
- this must hold: output.n > 0
The answer must fit this JSON Schema:
{"properties":{"n":{"type":"integer"}}}
Answer again with the whole corrected JSON value only, without any explanation."""


def test_the_wording_of_a_repair_is_golden() -> None:
    assert REPAIR_VERSION == 1
    verdict = judge(CALL, answer('{"queue": "bugs", "extra": 1}'), JSON, repairs_left=1)
    assert isinstance(verdict, Ask)
    assert verdict.call.messages[-1] == Message("user", GOLDEN)


def test_a_schema_that_was_not_sent_is_spelt_out() -> None:
    violations = [Violation("/n", "type", "an integer", "x"), Violation("", "ensure", "output.n > 0")]
    validator = Validator({"properties": {"n": {"type": "integer"}}})
    assert repair_wording(TEXT_CALL, violations, validator) == GOLDEN_LOCAL
    assert repair_wording(TEXT_CALL, violations, Validator({"title": "x" * 30_000})).count("\n") == 3


def test_at_most_ten_lines_are_told() -> None:
    violations = [Violation(f"/{number}", "type", "text") for number in range(13)]
    lines = repair_wording(CALL, violations, JSON.validator).split("\n")
    assert lines[10] == "- /9: text"
    assert lines[11] == "- and 3 more of this kind"
    assert len(lines) == 13


def test_long_pointers_are_cut() -> None:
    wording = repair_wording(CALL, [Violation("/" + "k" * 100_000, "type", "text")], JSON.validator)
    assert len(wording) < 500


ENDS = st.sampled_from(list(Finish))


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from([GOOD, "{}", "[1"]),
    ENDS,
    st.integers(0, 2),
    st.booleans(),
)
def test_a_verdict_is_the_same_every_time_and_asks_only_while_repairs_are_left(
    text: str, end: Finish, left: int, is_text: bool
) -> None:
    call, rules = (TEXT_CALL, TEXT) if is_text else (CALL, JSON)
    verdict = judge(call, answer(text, end), rules, repairs_left=left)
    assert judge(call, answer(text, end), rules, repairs_left=left) == verdict
    if isinstance(verdict, Ask):
        assert left > 0
        assert end is Finish.COMPLETE
        assert [message.role for message in verdict.call.messages] == ["user", "assistant", "user"]
    if isinstance(verdict, Good):
        assert end is Finish.COMPLETE
        assert rules.validator is None or rules.validator.fits(verdict.output)
