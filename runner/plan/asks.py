"""Questions that are ready, and what comes of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import field

from runner.core.answer import StoredAnswer
from runner.core.call import Call, ToolCall, ToolResult
from runner.core.canonical import Json, ensure_json
from runner.core.frozen import dataclass
from runner.core.long_text import chunks_of_text
from runner.core.outcome import Attempt, Failure, FailureKind, Source, Violation, in_call_order, in_turn
from runner.core.request import Request
from runner.core.response import Response, Usage
from runner.core.tool import TOOL_DIALECT
from runner.core.workflow import CacheUse
from runner.plan.program import StepProgram


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that is ready. `must_ask` forbids a stored answer, for `reason`; `use` is the step's cache policy.

    `because` is why it may have to be asked, where nothing that differs from an earlier question says so; of a repair,
    `misfit` is what is wrong with the answer before it.
    `part` is the part of the step that asks, "" for the step itself; `turn` counts those of a loop from 1, `answers` those that
    called tools before this question. With `running` it is a tool that is asked, for the call of that `number`.
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
    misfit: str = ""
    part: str = ""
    turn: int = 0
    answers: int = 0
    running: Running | None = None
    number: int = 0

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Where among all questions of the workflow it is asked: by whom, of which item (and turn), sample and repair."""
        item = in_turn(self.item, self.turn, self.answers, self.number)
        return (self.part or self.step, item, self.sample, self.repair)

    @property
    def sample(self) -> int:
        return self.call.sample


@dataclass(frozen=True, slots=True)
class Running:
    """The calls of an answer, which are run side by side; `asked` is the question that it answers."""

    asked: Ask
    text: str
    said: Json
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What became of one of these calls; `because` is why the tool was run, where it was run today."""

    result: ToolResult | None
    failure: Failure | None = None
    because: str = ""


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
    for text in (call.system, *[message.text for message in call.messages]):
        for chunk in chunks_of_text(text) if text else ():
            ensure_json(chunk)
    if call.arguments is not None:
        ensure_json(call.arguments)
    return ready(step, item, call, step.ingredients(call, values))


def ready(step: StepProgram, item: str, call: Call, ingredients: Mapping[str, Json]) -> Ask:
    """An ask of a step, or of a part of it."""
    request = step.encode(call)
    reason = _ASKED_FOR[step.use]
    return Ask(
        step=step.owner,
        part=step.part,
        item=item,
        call=call,
        request=request,
        key=request.key,
        ingredients=ingredients,
        use=step.use,
        must_ask=bool(reason),
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer brings: more asks, an output or a failure; a `mark` is to be stored; `tool_calls` led to an output.

    `given` is what is there of the results of an answer's calls, by their number; while it waits for others nothing else is.
    """

    asks: tuple[Ask, ...] = ()
    given: Mapping[int, Given] = field(default_factory=dict)
    attempt: Attempt | None = None
    output: Json = None
    failure: Failure | None = None
    mark: StoredAnswer | None = None
    tool_calls: tuple[Json, ...] = ()


def attempt_of(
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
        answers=ask.answers,
        number=ask.number,
        cost_usd=step.cost(usage),
        first_token_s=answered.first_token_s,
    )


def call_order(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """As they were made, but for tools that ran side by side: those stand in the order of their calls."""
    if len(attempts) == 1:
        return tuple(attempts)

    def place(one: Attempt) -> tuple[Hashable, int]:
        return (one.sample, one.turn, one.answers, one.part.rpartition(f".{TOOL_DIALECT}.")[0]), one.number

    return tuple(in_call_order(attempts, place))
