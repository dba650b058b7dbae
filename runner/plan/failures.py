"""What ended a run badly, as problems: each at its place, with what was tried and what may help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from runner.core.model import Provider
from runner.core.outcome import ANSWER_KINDS, Attempt, Failure, FailureKind, Outcome, Status, in_turn
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import Step
from runner.plan.advance import is_absorbed
from runner.plan.program import StepProgram
from runner.plan.stages import RunState

MOST_VIOLATIONS = 10
MOST_ROWS = 5
MOST_REPAIRS = 10
MOST_TURNS = 100
NO_COUNTS: Mapping[tuple[str, FailureKind], int] = MappingProxyType({})
# A failure carries text only; where its text begins with a place, the problem is shown there.
_PLACE = re.compile(r"(?P<file>[^\n:]+):(?P<line>[0-9]+):(?P<column>[0-9]+): (?P<rest>.*)", re.DOTALL)
_QUOTED_FIRST = re.compile(r"'([^'\n]+)' (is undefined|gives )")
_ANSWERED = frozenset({None, FailureKind.RENDER, *ANSWER_KINDS})
_TOLD_ELSEWHERE = frozenset(
    {FailureKind.UPSTREAM, FailureKind.NEEDS_CALL, FailureKind.NOT_SELECTED, FailureKind.INTERRUPTED}
)
_CODES: dict[str, str] = {
    FailureKind.INVALID: "invalid-output",
    FailureKind.RENDER: "cannot-evaluate",
    FailureKind.ROW: "bad-row",
    FailureKind.TOOL: "tool-failed",
    FailureKind.TURNS: "too-many-turns",
}


def failure_problems(
    state: RunState,
    outcomes: Iterable[Outcome],
    run: str = "",
    counts: Mapping[tuple[str, FailureKind], int] = NO_COUNTS,
) -> tuple[Problem, ...]:
    """One problem for each step and kind of failure that ends the run badly, naming the first item.

    `run` is the id under which what was sent and answered can be looked at. `counts` are how many there are of a step
    and kind, where `outcomes` are only the first of them.
    """
    groups: dict[tuple[str, FailureKind], list[list[Outcome]]] = {}
    for outcome in outcomes:
        step = state.program.steps[outcome.step].linked.step
        if outcome.failure is None or outcome.status is not Status.FAILED or is_absorbed(outcome, step):
            continue
        kind = outcome.failure.kind
        of_kind = groups.setdefault((outcome.step, kind), [])
        if len(of_kind) < (MOST_ROWS if kind is FailureKind.ROW else 1):
            of_kind.append([])
        of_kind[-1].append(outcome)
    problems = []
    for key, of_kind in groups.items():
        missing = max(0, counts.get(key, 0) - sum(map(len, of_kind)))
        for group in of_kind:
            others = len(group) - 1 + (missing if group is of_kind[-1] else 0)
            problems.append(_group_problem(state, group[0], others, run))
    return tuple(problems)


def list_problems(state: RunState) -> tuple[Problem, ...]:
    """Lists that could not be evaluated, so that their steps did not run."""
    failures = [failure for failure in state.lane_failures.values() if failure.kind not in _TOLD_ELSEWHERE]
    return tuple(_placed("bad-list", failure.message, None) for failure in failures)


def reason_line(outcome: Outcome) -> str:
    """`tag[rev-7]  bad-row: row 7 is bad: …`, for an item that failed or was not run."""
    where = f"{outcome.step}[{outcome.item}]" if outcome.item else outcome.step
    failure = outcome.failure
    return f"{where}  {reason(failure.kind, failure.message) if failure else outcome.because}"


def reason(kind: str, message: str) -> str:
    """A failure in one line, with the code that its problem has."""
    return f"{_code(kind)}: {message}"


def shortage_problems(state: RunState) -> Iterator[Problem]:
    """Steps with `on_error: skip` of which too few items are good."""
    for name, tally in state.tallies.items():
        if not tally.absorbed or state.is_enough(name):
            continue
        step = state.program.steps[name].linked.step
        whole = tally.good + tally.absorbed
        wanted = "at least one" if step.min_success is None else f"min_success: {step.min_success:g}"
        yield Problem(
            "too-few-good-items",
            f"{tally.good} of {whole} items of step '{name}' {'is' if tally.good == 1 else 'are'} good",
            step.at("min_success"),
            expected=wanted,
            notes=(("first", first),) if (first := _first_left_out(state, name)) else (),
            fix="mend what the other items failed of, or lower min_success" if step.min_success is not None else "",
        )


def _first_left_out(state: RunState, name: str) -> str:
    """Why the first of the items that are not good is not."""
    return reason_line(state.left_out[name][1]).replace("\n", "\\n") if name in state.left_out else ""


def _group_problem(state: RunState, first: Outcome, others: int, run: str) -> Problem:
    failure = first.failure
    assert failure is not None
    last = next((one for one in reversed(first.attempts) if not one.number), None)
    step = state.program.steps[first.step].of(last.part if last else "")
    where = f"{first.step}[{first.item}]" if first.item else first.step
    place = in_turn(first.item, last.turn if last else 0)
    told = f"{last.part if last and last.turn else first.step}[{place}]" if place else first.step
    more = f" (and {others:,} more item{'s' if others > 1 else ''})" if others else ""
    placed = _placed(_code(failure.kind), failure.message, _place(failure, step.linked.step))
    expected, found = _misfit(failure)
    answered = [attempt for attempt in first.attempts if attempt.failure in _ANSWERED and not attempt.number]
    notes = [*found, *_tried(first.attempts, answered, step)]
    if run and answered:
        notes.append(("see", f"runner show {run} " + (f"'{where}'" if first.item else where)))
    return Problem(
        placed.code,
        f"{told}{more}: {_said(failure, step.linked.step, placed.message)}",
        placed.span,
        expected=expected,
        notes=tuple(notes),
        fix=_fix(failure, step.linked.step) or _key_fix(failure, step.route.provider),
    )


def _code(kind: str) -> str:
    return _CODES.get(kind, str(kind))


def _place(failure: Failure, step: Step) -> Span:
    """The line that does not hold, or the bound that is reached; else the step."""
    if failure.kind is FailureKind.TURNS:
        return step.at("max_turns") if "max_turns" in step.spans else step.at("tools")
    broken = {one.expected for one in failure.violations if one.keyword == "ensure"}
    numbers = (number for number, line in enumerate(step.ensure) if line.text in broken or line.text.strip() in broken)
    number = next(numbers, None)
    return step.span if number is None else step.at(f"ensure.{number}")


def _placed(code: str, message: str, span: Span | None) -> Problem:
    """A failure's text as a problem: at the place that it begins with, else at `span`."""
    match = _PLACE.fullmatch(message)
    if match is None:
        return Problem(code, message, span)
    quoted = _QUOTED_FIRST.match(match["rest"])
    length = len(quoted[1]) if quoted else 1
    return Problem(code, match["rest"], Span(match["file"], int(match["line"]), int(match["column"]), length))


def _said(failure: Failure, step: Step, message: str) -> str:
    """The rows below say which values do not fit; the sentence says what they should have fitted."""
    if failure.kind is not FailureKind.INVALID or not failure.violations:
        return message
    if failure.violations[0].keyword in ("ensure", "json", "text"):
        return message
    schema = step.schema.file if step.schema and step.schema.file else "its schema"
    return f"the answer does not fit {schema}"


def _misfit(failure: Failure) -> tuple[str, list[tuple[str, str]]]:
    """What was expected where there is one violation; else all of it beside the places."""
    violations = failure.violations
    if len(violations) == 1:
        only = violations[0]
        if only.keyword == "ensure":
            return "", []  # the sentence says it all
        found = f"{only.pointer or 'the whole answer'} is {only.found}" if only.found else only.pointer
        return only.expected, [("at", found)] if found else []
    rows = []
    for one in violations[:MOST_VIOLATIONS]:
        if one.keyword == "ensure":
            rows.append(("at", f"this does not hold: {one.expected}"))
        else:
            found = f" is {one.found}" if one.found else ""
            rows.append(("at", f"{one.pointer or 'the whole answer'}{found}, expected {one.expected}"))
    more = len(violations) - MOST_VIOLATIONS
    return "", [*rows, ("at", f"and {more} more places")] if more > 0 else rows


def _tried(attempts: Sequence[Attempt], answered: Sequence[Attempt], step: StepProgram) -> list[tuple[str, str]]:
    """`3 answers (2 to repairs) from …` or `5 requests to …`."""
    if answered:
        repairs = sum(attempt.repair > 0 for attempt in answered)
        told = _counted(len(answered), "answer") + (f" ({repairs} after a repair)" if repairs else "")
        return [("tried", f"{told} from {step.route.name}")]
    requests = sum(attempt.requests for attempt in attempts)
    return [("tried", f"{_counted(requests, 'request')} to {step.route.name}")] if requests else []


def _fix(failure: Failure, step: Step) -> str:
    match failure.kind:
        case FailureKind.INVALID if failure.violations and step.call is not None:
            is_result = failure.violations[0].keyword != "ensure"
            return f"change what the tool gives, or loosen {'its returns' if is_result else 'the ensure lines'}"
        case FailureKind.INVALID if failure.violations:
            again = f"; repair: {step.repair + 1} asks once more" if step.repair < MOST_REPAIRS else ""
            what = "the schema" if step.schema else "the ensure lines"
            return f"say in the prompt what is expected, or loosen {what}{again}"
        case FailureKind.CUT if step.max_output_tokens is not None:
            return f"raise max_output_tokens (now {step.max_output_tokens}), or ask for less"
        case FailureKind.CUT:
            return "set max_output_tokens to a higher number, or ask for less"
        case FailureKind.TURNS if step.max_turns < MOST_TURNS:
            return f"raise max_turns (now {step.max_turns}), or say in the prompt when to stop"
        case FailureKind.REFUSED:
            return "change the prompt or the model, or set on_error: skip to go on without this answer"
        case FailureKind.NEEDS_CALL:
            return "run it once without --offline; the answer is stored then"
        case _:
            return ""


def _key_fix(failure: Failure, provider: Provider) -> str:
    """A provider of the project's own that asks for a key, and is not said to have one."""
    if failure.kind is not FailureKind.AUTH or provider.is_builtin or provider.key_env:
        return ""
    return f"runner.yaml: name the variable that holds its key in providers.{provider.name}.key_env"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
