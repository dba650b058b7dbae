"""A chain of questions: the first ask, what its answer brings, and the repair that follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from runner.core.answer import StoredAnswer
from runner.core.call import Call
from runner.core.canonical import Json, ensure_json
from runner.core.errors import FileError
from runner.core.frozen import dataclass, replace
from runner.core.outcome import ANSWER_KINDS, Attempt, Failure, FailureKind, Source, Violation, in_turn
from runner.core.ports import CallFailed
from runner.core.request import Request
from runner.core.response import Response, Usage
from runner.core.workflow import CacheUse
from runner.output.judge import Ask as AskAgain
from runner.output.judge import CannotEvaluate, Good, judge
from runner.plan.program import StepProgram
from runner.templates.problems import RenderFailed


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that is ready. `must_ask` forbids a stored answer, for `reason`; `use` is the step's cache policy.

    `because` is why it may have to be asked, where nothing that differs from an earlier question says so.
    `part` is the part of the step that asks, "" for the step itself; `turn` counts those of a loop from 1.
    """

    step: str
    item: str
    call: Call
    request: Request
    key: str
    ingredients: Mapping[str, Json]
    repair: int = 0
    use: CacheUse = "auto"
    must_ask: bool = False
    reason: str = ""
    because: str = ""
    part: str = ""
    turn: int = 0

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Where among all questions of the workflow it is asked: by whom, of which item (and turn), sample and repair."""
        return (self.part or self.step, in_turn(self.item, self.turn), self.sample, self.repair)

    @property
    def sample(self) -> int:
        return self.call.sample


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an ask: an answer, or why there is none.

    `is_todays` holds for an answer that was received in this run, by this ask or by an equal one: it is judged as it
    is and not asked again. `requests`, `seconds` and `maybe_paid_twice` are what it took,
    `response` is the answer as it was decoded when it came, `first_token_s` when its text began (streamed ones only).
    """

    answer: StoredAnswer | None = None
    failure: Failure | None = None
    reason: str = ""
    is_todays: bool = False
    requests: int = 0
    seconds: float = 0.0
    maybe_paid_twice: int = 0
    response: Response | None = field(default=None, compare=False)
    first_token_s: float | None = None


# Why a stored answer is not looked for, by the step's use of the cache.
_ASKED_FOR: Mapping[CacheUse, str] = {"auto": "", "refresh": "forced", "off": "off"}


def first_ask(step: StepProgram, item: str, call: Call, values: Mapping[str, Json]) -> Ask:
    """The first ask of a chain. Raises NotJson for text that cannot be sent."""
    for text in (call.system or "", *(message.text for message in call.messages)):
        ensure_json(text)
    ensure_json(call.arguments)
    request = step.encode(call)
    reason = _ASKED_FOR[step.use]
    return Ask(
        step=step.owner,
        part=step.part,
        item=item,
        call=call,
        request=request,
        key=request.key,
        ingredients=step.ingredients(call, values),
        use=step.use,
        must_ask=bool(reason),
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer brings: another ask, an output or a failure; a `mark` is to be stored."""

    again: Ask | None = None
    attempt: Attempt | None = None
    output: Json = None
    failure: Failure | None = None
    mark: StoredAnswer | None = None


def weigh(whole: StepProgram, values: Mapping[str, Json], ask: Ask, answered: Answered) -> Verdict:
    """What comes of an answer, or of there being none. `whole` is the step with all its parts."""
    step = whole.of(ask.part)
    answer = answered.answer
    if answer is None:
        assert answered.failure is not None
        attempt = _attempt(step, ask, answered, failure=answered.failure.kind) if answered.requests else None
        return _given_up(whole, step, values, ask, Verdict(attempt=attempt, failure=answered.failure))
    try:
        response = answered.response or step.dialect.decode(answer.payload)
    except CallFailed as error:
        return _end(whole, step, values, ask, answered, error.failure, None)
    verdict = judge(ask.call, response, step.rules(values), repairs_left=step.linked.step.repair - ask.repair)
    if isinstance(verdict, Good):
        attempt = _attempt(step, ask, answered, response)
        try:
            above = whole.parts[step.above] if step.above and step.goes_on(values, verdict.output) else None
        except CannotEvaluate as problem:
            unclear = Failure(FailureKind.RENDER, problem.message)
            return Verdict(attempt=replace(attempt, failure=unclear.kind), failure=unclear)
        if above is not None:
            return _handed_on(above, values, ask, Verdict(attempt=attempt))
        return Verdict(attempt=attempt, output=verdict.output)
    if isinstance(verdict, AskAgain):
        attempt = _attempt(step, ask, answered, response, violations=verdict.violations)
        return Verdict(again=_repair(step, ask, verdict.call, answered), attempt=attempt)
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
    return replace(verdict, again=first_ask(above, ask.item, call, values), failure=None)


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
        return Verdict(again=replace(ask, must_ask=True, reason=reason))
    attempt = _attempt(step, ask, answered, response, failure=failure.kind, violations=failure.violations)
    is_marked = answer.failure == failure.kind or failure.kind not in ANSWER_KINDS or ask.use == "off"
    mark = None if is_marked or not answered.is_todays else replace(answer, failure=failure.kind)
    return _given_up(whole, step, values, ask, Verdict(attempt=attempt, failure=failure, mark=mark))


def _asks_again(failure: Failure) -> bool:
    return failure.kind in ANSWER_KINDS or failure.kind is FailureKind.BAD_ANSWER


def _repair(step: StepProgram, ask: Ask, call: Call, answered: Answered) -> Ask:
    """The question that follows an answer which does not fit: asked for what that one was asked for, else for it."""
    answer = answered.answer
    stored = "failed-before" if answer is not None and answer.failure is not None else "now-invalid"
    request = step.encode(call)
    return replace(
        ask,
        call=call,
        request=request,
        key=request.key,
        repair=ask.repair + 1,
        ingredients={**ask.ingredients, "repair": ask.repair + 1},
        must_ask=ask.use != "auto",
        reason=ask.reason if ask.use != "auto" else "",
        because=answered.reason if answered.is_todays else stored,
    )


def _attempt(
    step: StepProgram,
    ask: Ask,
    answered: Answered,
    response: Response | None = None,
    *,
    failure: FailureKind | None = None,
    violations: tuple[Violation, ...] = (),
) -> Attempt:
    usage = response.usage if response else Usage()
    answer = answered.answer
    return Attempt(
        key=ask.key,
        source=answer.source if answer else Source.FRESH,
        reason=answered.reason,
        repair=ask.repair,
        sample=ask.sample,
        usage=usage,
        seconds=answered.seconds,
        requests=answered.requests,
        model=response.model if response else "",
        sources=response.sources if response else (),
        violations=violations,
        failure=failure,
        maybe_paid_twice=answered.maybe_paid_twice,
        part=ask.part,
        cost_usd=step.cost(usage),
        first_token_s=answered.first_token_s,
    )
