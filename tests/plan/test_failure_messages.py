from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from runner.core.canonical import Json
from runner.core.outcome import Failure, FailureKind, Outcome, Status, Violation
from runner.core.problem import render_all
from runner.plan.advance import Answered, Ask
from runner.plan.failures import failure_problems, list_problems, shortage_problems
from runner.plan.items import Item

if TYPE_CHECKING:
    from tests.plan.conftest import Flow, Talk

MakeFlow = Callable[..., "Flow"]
Talks = type["Talk"]

TEXT = "steps:\n  a: {prompt: x}\n"
NUMBER = "steps:\n  a: {prompt: x, fields: {n: integer, m: integer}, repair: 1}\n"


@pytest.fixture(scope="session")
def told(make_flow: MakeFlow) -> Callable[..., str]:
    """What is told of a workflow's only lane or step when these are its answers, in turn."""

    def tell(text: str, *answers: Answered, run: str = "", files: dict[str, str] | None = None) -> str:
        flow = make_flow(text, files=files)
        walked = flow.enter()
        for answer in answers:
            walked.answer(answer)
        return render_all(failure_problems(flow.state(), walked.outcomes.values(), run), {})

    return tell


def outcomes(step: str, items: Sequence[str], kind: FailureKind, message: str) -> list[Outcome]:
    return [Outcome(step, item, Status.FAILED, failure=Failure(kind, message)) for item in items]


# Answers that are no good


def test_an_answer_that_does_not_fit_is_told_with_what_was_expected(told: Callable[..., str], talk: Talks) -> None:
    bad = talk.said({"n": "two", "m": 1})
    assert told(NUMBER, bad, bad, run="r41") == (
        "flow.yaml:2:3: invalid-output: a: the answer does not fit its schema\n"
        "  expected: an integer\n"
        '  at:       /n is "two"\n'
        "  tried:    2 answers (1 after a repair) from scripted/m\n"
        "  see:      runner show r41 a\n"
        "  fix:      say in the prompt what is expected, or loosen the schema; repair: 2 asks once more"
    )


def test_several_misfits_stand_beside_their_places(told: Callable[..., str], talk: Talks) -> None:
    text = NUMBER.replace("fields: {n: integer, m: integer}", "schema: s.json").replace(", repair: 1", "")
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n", "m"]}'
    assert told(text, talk.said({"n": "two"}), files={"s.json": schema}) == (
        "flow.yaml:2:3: invalid-output: a: the answer does not fit s.json\n"
        "  at:       the whole answer is an object with 'n', expected a property 'm'\n"
        '  at:       /n is "two", expected an integer\n'
        "  tried:    1 answer from scripted/m\n"
        "  fix:      say in the prompt what is expected, or loosen the schema; repair: 1 asks once more"
    )


def test_very_many_misfits_are_counted(make_flow: MakeFlow) -> None:
    flow = make_flow(NUMBER)
    violations = tuple(Violation(f"/{number}", "type", "an integer") for number in range(12))
    outcome = Outcome("a", "", Status.FAILED, failure=Failure(FailureKind.INVALID, "", violations))
    (problem,) = failure_problems(flow.state(), [outcome])
    assert problem.notes[0] == ("at", "/0, expected an integer")
    assert problem.notes[9:] == (("at", "/9, expected an integer"), ("at", "and 2 more places"))


def test_text_that_is_no_json_is_told_as_such(told: Callable[..., str], talk: Talks) -> None:
    found = told(NUMBER.replace(", repair: 1", ""), talk.said("Sorry."))
    assert found == (
        "flow.yaml:2:3: invalid-output: a: the answer is no JSON value: not JSON\n"
        "  expected: one JSON value and nothing else\n"
        "  at:       the whole answer is not JSON\n"
        "  tried:    1 answer from scripted/m\n"
        "  fix:      say in the prompt what is expected, or loosen the schema; repair: 1 asks once more"
    )


ENSURE = "steps:\n  a: {prompt: x, ensure: [text != 'a', text != 'no', text | length > 2]%s}\n"


def test_one_broken_ensure_line_is_told_at_its_place(told: Callable[..., str], talk: Talks) -> None:
    assert told(ENSURE % ", repair: 9", *[talk.said("a.")] * 10) == (
        "flow.yaml:2:54: invalid-output: a: the answer does not hold: text | length > 2\n"
        "  tried:    10 answers (9 after a repair) from scripted/m\n"
        "  fix:      say in the prompt what is expected, or loosen the ensure lines; repair: 10 asks once more"
    )


def test_several_broken_ensure_lines_are_told_at_the_first(told: Callable[..., str], talk: Talks) -> None:
    assert told(ENSURE % "", talk.said("no")) == (
        "flow.yaml:2:40: invalid-output: a: the answer does not hold: text != 'no' (and 1 more)\n"
        "  at:       this does not hold: text != 'no'\n"
        "  at:       this does not hold: text | length > 2\n"
        "  tried:    1 answer from scripted/m\n"
        "  fix:      say in the prompt what is expected, or loosen the ensure lines; repair: 1 asks once more"
    )


@pytest.mark.parametrize(
    ("more", "finish", "shown"),
    [
        (
            "",
            "length",
            (
                "cut: a: the answer was cut off (length)\n"
                "  tried:    1 answer from scripted/m\n"
                "  fix:      set max_output_tokens to a higher number, or ask for less"
            ),
        ),
        (
            ", max_output_tokens: 20",
            "length",
            (
                "cut: a: the answer was cut off (length)\n"
                "  tried:    1 answer from scripted/m\n"
                "  fix:      raise max_output_tokens (now 20), or ask for less"
            ),
        ),
        (
            "",
            "refused",
            (
                "refused: a: the model declined to answer (refused)\n"
                "  tried:    1 answer from scripted/m\n"
                "  fix:      change the prompt or the model, or set on_error: skip to go on without this answer"
            ),
        ),
        (
            "",
            "lost",
            (
                "invalid-output: a: the answer ended for a reason that is not known (lost)\n"
                "  tried:    1 answer from scripted/m"
            ),
        ),
    ],
)
def test_unfinished_answers_are_told(told: Callable[..., str], talk: Talks, more: str, finish: str, shown: str) -> None:
    found = told(TEXT.replace("prompt: x", f"prompt: x{more}"), talk.said("x", finish=finish))
    assert found == f"flow.yaml:2:3: {shown}"


def test_an_ensure_line_without_truth_is_told_at_the_place_that_fails(told: Callable[..., str], talk: Talks) -> None:
    assert told("steps:\n  a: {prompt: x, ensure: [text < 3]}\n", talk.said("two"), run="r1") == (
        "flow.yaml:2:27: cannot-evaluate: a: '<' cannot compare a text with a number\n"
        "  tried:    1 answer from scripted/m\n"
        "  see:      runner show r1 a"
    )


# No answers


def test_requests_without_an_answer_are_counted(told: Callable[..., str], talk: Talks) -> None:
    assert told(TEXT, talk.failed(FailureKind.TRANSIENT, "the server is overloaded", 5), run="r1") == (
        "flow.yaml:2:3: transient: a: the server is overloaded\n  tried:    5 requests to scripted/m"
    )


def test_a_call_that_was_not_allowed_names_the_way_out(told: Callable[..., str], talk: Talks) -> None:
    assert told(TEXT, talk.failed(FailureKind.NEEDS_CALL, "not stored", 0)) == (
        "flow.yaml:2:3: needs-call: a: not stored\n  fix:      run it once without --offline; the answer is stored then"
    )


def test_a_prompt_that_cannot_be_rendered_is_told_at_its_place_with_the_length_of_the_name(
    make_flow: MakeFlow,
) -> None:
    text = "inputs: {n: {}}\nsteps:\n  a: {prompt: 'of {{ inputs.n.size }}'}\n"
    flow = make_flow(text, inputs={"n": {}})
    found = render_all(failure_problems(flow.state(), flow.enter().outcomes.values()), {"flow.yaml": text})
    assert found == (
        "flow.yaml:3:22: cannot-evaluate: a: 'inputs.n.size' is undefined\n"
        "    3 |   a: {prompt: 'of {{ inputs.n.size }}'}\n"
        "      |                      ^^^^^^^^^^^^^"
    )


# Items

LANE = """\
data: {rows: {file: r.jsonl}}
steps:
  tag: {for_each: data.rows, prompt: "{{ item }}"%s}
"""


@pytest.mark.parametrize(
    ("items", "where"),
    [(["r1"], "tag[r1]"), (["r1", "r2"], "tag[r1] (and 1 more item)"), (list("abc"), "tag[a] (and 2 more items)")],
)
def test_items_that_fail_alike_are_told_once(make_flow: MakeFlow, items: list[str], where: str) -> None:
    flow = make_flow(LANE % "")
    state = flow.state({"rows": []})
    (problem,) = failure_problems(state, outcomes("tag", items, FailureKind.CUT, "cut off"))
    assert problem.message == f"{where}: cut off"


def test_an_item_is_quoted_for_the_shell(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow(LANE % "")
    walked = flow.enter(Item("rev-1", "x"), state=flow.state({"rows": []}))
    walked.answer(talk.said("", finish="refused"))
    (problem,) = failure_problems(flow.state({"rows": []}), walked.outcomes.values(), "r1")
    assert ("see", "runner show r1 'tag[rev-1]'") in problem.notes


def test_kinds_are_told_apart(make_flow: MakeFlow) -> None:
    state = make_flow(LANE % "").state({"rows": []})
    found = failure_problems(
        state,
        [
            *outcomes("tag", ["a"], FailureKind.CUT, "cut off"),
            *outcomes("tag", ["b"], FailureKind.AUTH, "bad key"),
            *outcomes("tag", ["c"], FailureKind.CUT, "cut off"),
        ],
    )
    assert [problem.message for problem in found] == ["tag[a] (and 1 more item): cut off", "tag[b]: bad key"]


def test_the_first_bad_rows_are_told_one_by_one(make_flow: MakeFlow) -> None:
    state = make_flow(LANE % "").state({"rows": []})
    rows = [
        Outcome("tag", f"line-{number}", Status.FAILED, failure=Failure(FailureKind.ROW, f"row {number} is bad"))
        for number in range(1, 8)
    ]
    found = failure_problems(state, rows)
    assert [problem.message for problem in found] == [
        "tag[line-1]: row 1 is bad",
        "tag[line-2]: row 2 is bad",
        "tag[line-3]: row 3 is bad",
        "tag[line-4]: row 4 is bad",
        "tag[line-5] (and 2 more items): row 5 is bad",
    ]
    assert {problem.code for problem in found} == {"bad-row"}


def test_those_that_were_only_counted_are_told_with_the_last_of_their_kind(make_flow: MakeFlow) -> None:
    state = make_flow(LANE % "").state({"rows": []})
    known = [
        *outcomes("tag", ["a", "b"], FailureKind.CUT, "cut off"),
        *outcomes("tag", ["c", "d"], FailureKind.ROW, "bad"),
        *outcomes("tag", ["e"], FailureKind.AUTH, "bad key"),
    ]
    counts = {("tag", FailureKind.CUT): 4_002, ("tag", FailureKind.ROW): 3, ("tag", FailureKind.AUTH): 1}
    assert [problem.message for problem in failure_problems(state, known, counts=counts)] == [
        "tag[a] (and 4,001 more items): cut off",
        "tag[c]: bad",
        "tag[d] (and 1 more item): bad",
        "tag[e]: bad key",
    ]


def test_what_did_not_end_the_run_badly_is_not_told(make_flow: MakeFlow) -> None:
    state = make_flow(LANE % ", on_error: skip").state({"rows": []})
    absorbed = outcomes("tag", ["a"], FailureKind.CUT, "cut off")
    blocked = Outcome("tag", "b", Status.BLOCKED, failure=Failure(FailureKind.UPSTREAM, ""), because="step 'x' failed")
    assert failure_problems(state, [*absorbed, blocked, Outcome("tag", "c", Status.GOOD)]) == ()


# Lists, and too few items


def test_a_list_that_cannot_be_made_is_told_at_its_place(make_flow: MakeFlow, talk: Talks) -> None:
    text = "inputs: {n: {}}\nsteps:\n  a: {for_each: inputs.n, prompt: x}\n  b: {prompt: '{{ steps.a.texts }}'}\n"
    state, _ = make_flow(text, inputs={"n": 3}).run(lambda _: talk.said("x"))
    assert render_all(list_problems(state), {"flow.yaml": text}) == (
        "flow.yaml:3:17: bad-list: 'inputs.n' gives a number, and a list is needed\n"
        "    3 |   a: {for_each: inputs.n, prompt: x}\n"
        "      |                 ^^^^^^^^"
    )


def test_a_list_of_a_failed_step_is_not_told_again(make_flow: MakeFlow, talk: Talks) -> None:
    flow = make_flow("steps:\n  a: {prompt: x}\n  b: {for_each: steps.a.text | list, prompt: x}\n")
    state, _ = flow.run(lambda _: talk.said("", finish="length"))
    assert len(state.lane_failures) == 1
    assert list_problems(state) == ()


@pytest.mark.parametrize(
    ("more", "rows", "shown"),
    [
        ("", [1, 2], ""),
        (
            "",
            [9],
            (
                "flow.yaml:3:3: too-few-good-items: 0 of 1 items of step 'tag' are good\n"
                "  expected: at least one\n"
                "  first:    tag[19581e27de]  cut: the answer was cut off (length)"
            ),
        ),
        (
            ", min_success: 0.5",
            [1, 9, 9],
            (
                "flow.yaml:3:81: too-few-good-items: 1 of 3 items of step 'tag' is good\n"
                "  expected: min_success: 0.5\n"
                "  first:    tag[19581e27de]  cut: the answer was cut off (length)\n"
                "  fix:      mend what the other items failed of, or lower min_success"
            ),
        ),
        (", min_success: 0.5", [1, 9], ""),
    ],
)
def test_too_few_good_items_are_told(make_flow: MakeFlow, talk: Talks, more: str, rows: list[Json], shown: str) -> None:
    def answer(ask: Ask) -> Answered:
        return talk.said("x", finish="length" if ask.call.messages[0].text == "9" else "stop")

    state, _ = make_flow(LANE % (", on_error: skip" + more)).run(answer, {"rows": rows})
    assert render_all(tuple(shortage_problems(state)), {}) == shown
