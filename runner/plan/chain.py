"""A chain of questions: what an answer brings, and the repair or the tools that follow. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.canonical import Json
from runner.core.errors import FileError
from runner.core.frozen import replace
from runner.core.outcome import ANSWER_KINDS, Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Response
from runner.output.judge import Ask as AskAgain
from runner.output.judge import CannotEvaluate, Good, UseTools, judge, summary
from runner.plan.asks import Answered as Answered  # noqa: PLC0414  # known from here
from runner.plan.asks import Ask as Ask  # noqa: PLC0414  # known from here
from runner.plan.asks import Given, attempt_of
from runner.plan.asks import Verdict as Verdict  # noqa: PLC0414  # known from here
from runner.plan.asks import first_ask as first_ask  # noqa: PLC0414  # known from here
from runner.plan.program import StepProgram
from runner.plan.tool_turns import calls_told, run_calls, take_result, turns_failure
from runner.templates.problems import RenderFailed


def weigh(
    whole: StepProgram, values: Mapping[str, Json], ask: Ask, answered: Answered, given: Mapping[int, Given]
) -> Verdict:
    """What comes of an answer, or of there being none. `whole` is the step with all its parts.

    A tool's result is kept with those `given` to other calls of the same answer, until all are there.
    """
    if ask.running is not None:
        return take_result(whole, ask, ask.running, answered, given)
    step = whole.of(ask.part)
    answer = answered.answer
    if answer is None:
        assert answered.failure is not None
        attempt = attempt_of(step, ask, answered, failure=answered.failure.kind) if answered.requests else None
        return _given_up(whole, step, values, ask, Verdict(attempt=attempt, failure=answered.failure))
    try:
        response = answered.response or step.dialect.decode(answer.payload)
    except CallFailed as error:
        return _end(whole, step, values, ask, answered, error.failure, None)
    verdict = judge(ask.call, response, step.rules(values), repairs_left=step.linked.step.repair - ask.repair)
    if isinstance(verdict, Good):
        attempt = attempt_of(step, ask, answered, response)
        try:
            above = whole.parts[step.above] if step.above and step.goes_on(values, verdict.output) else None
        except CannotEvaluate as problem:
            unclear = Failure(FailureKind.RENDER, problem.message)
            return Verdict(attempt=replace(attempt, failure=unclear.kind), failure=unclear)
        if above is not None:
            return _handed_on(above, values, ask, Verdict(attempt=attempt))
        return Verdict(attempt=attempt, output=verdict.output, tool_calls=calls_told(ask.call))
    if isinstance(verdict, UseTools):
        too_many = turns_failure(step, ask, response)
        if too_many is not None:
            return _end(whole, step, values, ask, answered, too_many, response)
        return run_calls(whole, step, ask, answered, response)
    if isinstance(verdict, AskAgain):
        attempt = attempt_of(step, ask, answered, response, violations=verdict.violations)
        return Verdict(asks=(_repair(step, ask, verdict, answered),), attempt=attempt)
    return _end(whole, step, values, ask, answered, verdict.failure, response)


# Failures of the way to a model that another model may not meet.
_TRANSPORT = frozenset({FailureKind.TRANSIENT, FailureKind.UNKNOWN_DELIVERY, FailureKind.BAD_ANSWER, FailureKind.QUOTA})


def _is_escalated(step: StepProgram, failure: Failure) -> bool:
    """Whether the next model is asked for this failure."""
    escalate = step.linked.step.escalate
    if escalate is None or not step.above:
        return False
    return ("transport" if failure.kind in _TRANSPORT else failure.kind) in escalate.on


def _given_up(whole: StepProgram, step: StepProgram, values: Mapping[str, Json], ask: Ask, verdict: Verdict) -> Verdict:
    """A failure, or the question to the next model in its place."""
    assert verdict.failure is not None
    if not _is_escalated(step, verdict.failure):
        return verdict
    return _handed_on(whole.parts[step.above], values, ask, verdict)


def _handed_on(above: StepProgram, values: Mapping[str, Json], ask: Ask, verdict: Verdict) -> Verdict:
    """The same question to another model. What it is rendered from was rendered before; a file may not be for it."""
    try:
        call = above.call(values, ask.sample)
    except (RenderFailed, FileError) as error:
        return replace(verdict, failure=Failure(FailureKind.RENDER, str(error)))
    too_long = above.too_long(call)
    if too_long:
        return replace(verdict, failure=Failure(FailureKind.RENDER, too_long))
    return replace(verdict, asks=(first_ask(above, ask.item, call, values),), failure=None)


def _end(
    whole: StepProgram,
    step: StepProgram,
    values: Mapping[str, Json],
    ask: Ask,
    answered: Answered,
    failure: Failure,
    response: Response | None,
) -> Verdict:
    """A failure ends the questions to this model, unless it was stored before and may be asked again.

    One for which the next model is asked is settled by that.
    """
    answer = answered.answer
    assert answer is not None
    is_settled = step.is_settled or _is_escalated(step, failure)
    if not answered.is_todays and not is_settled and _asks_again(failure):
        reason = "failed-before" if answer.failure is not None else "now-invalid"
        return Verdict(asks=(replace(ask, must_ask=True, reason=reason),))
    attempt = attempt_of(step, ask, answered, response, failure=failure.kind, violations=failure.violations)
    is_marked = answer.failure == failure.kind or failure.kind not in ANSWER_KINDS or ask.use == "off"
    mark = None if is_marked or not answered.is_todays else replace(answer, failure=failure.kind)
    return _given_up(whole, step, values, ask, Verdict(attempt=attempt, failure=failure, mark=mark))


def _asks_again(failure: Failure) -> bool:
    return failure.kind in ANSWER_KINDS or failure.kind is FailureKind.BAD_ANSWER


def _repair(step: StepProgram, ask: Ask, wanted: AskAgain, answered: Answered) -> Ask:
    """The question that follows an answer which does not fit: asked for what that one was asked for, else for it."""
    answer = answered.answer
    stored = "failed-before" if answer is not None and answer.failure is not None else "now-invalid"
    request = step.encode(wanted.call)
    return replace(
        ask,
        call=wanted.call,
        request=request,
        key=request.key,
        repair=ask.repair + 1,
        ingredients={**ask.ingredients, "repair": ask.repair + 1},
        must_ask=ask.use != "auto",
        reason=ask.reason if ask.use != "auto" else "",
        because=answered.reason if answered.is_todays else stored,
        misfit=summary(wanted.violations),
    )
