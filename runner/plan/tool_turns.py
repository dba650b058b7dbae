"""A conversation with tools: what a model called is run side by side, and it is asked again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from runner.core.call import Call, Message, ToolCall, ToolResult
from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.core.response import Response
from runner.core.tool import TOOL_DIALECT
from runner.link.parts import LinkedTool
from runner.output.validate import Validator
from runner.plan.arguments import in_words, misfit_of
from runner.plan.asks import Answered, Ask, Given, Running, Verdict, attempt_of, ready
from runner.plan.ingredients import brief
from runner.plan.program import StepProgram

# What the results of one answer may come to: it bounds the next question, and what it costs.
MOST_RESULT_BYTES = 65_536


def turns_failure(step: StepProgram, ask: Ask, response: Response) -> Failure | None:
    """Why the tools of an answer are not run any more: the model may not be asked again."""
    most = step.linked.step.max_turns
    if ask.answers + 1 < most:
        return None
    names = ", ".join(dict.fromkeys(call.name for call in response.calls))
    return Failure(FailureKind.TURNS, f"the model still calls tools ({names}) in turn {most}, the last that it has")


def run_calls(whole: StepProgram, step: StepProgram, ask: Ask, answered: Answered, response: Response) -> Verdict:
    """The calls of an answer that are to be run, or the next question where none can be."""
    # A question that was asked anew goes on from its new answer, and from what is stored for that.
    ask = ask if ask.use != "auto" else replace(ask, must_ask=False, reason="")
    running = Running(ask, response.text, response.said, response.calls)
    because = answered.reason if answered.is_todays else ""
    asks = tuple(_run(whole, step, running, number, because) for number in _first(step, running))
    attempt = attempt_of(step, ask, answered, response)
    return Verdict(asks or (_ask_again(step, running, {}, because),), attempt=attempt)


def take_result(
    whole: StepProgram, ask: Ask, running: Running, answered: Answered, given: Mapping[int, Given]
) -> Verdict:
    """A tool was run, or could not be. The model is asked again when no call of its answer is open any more."""
    tool = whole.of(ask.part)
    attempt = attempt_of(tool, ask, answered, failure=answered.failure.kind if answered.failure else None)
    step = whole.of(running.asked.part)
    given = {**given, ask.number: _given(step, tool, running.calls[ask.number - 1], answered)}
    verdict = Verdict(attempt=attempt if answered.answer or answered.requests else None)
    still = [number for number in _runnable(step, running) if number not in given]
    if still:
        name = running.calls[ask.number - 1].name
        held = [number for number in still if running.calls[number - 1].name == name and not _is_parallel(step, name)]
        return replace(verdict, given=given, asks=tuple(_run(whole, step, running, n, ask.because) for n in held[:1]))
    failure = next((given[number].failure for number in sorted(given) if given[number].failure), None)
    if failure is not None:
        return replace(verdict, failure=failure)
    reasons = [given[number].because for number in sorted(given) if given[number].because]
    return replace(verdict, asks=(_ask_again(step, running, given, reasons[-1] if reasons else ask.because),))


def _given(step: StepProgram, tool: StepProgram, call: ToolCall, answered: Answered) -> Given:
    if answered.answer is None:
        return Given(None, answered.failure)
    try:
        response = tool.dialect.decode(answered.answer.payload)
    except CallFailed as error:
        return Given(None, error.failure)
    result = _fitting(step.linked.tools[call.name], ToolResult(call, response.text, response.detail == "error"))
    return Given(result, because=answered.reason if answered.is_todays else "")


def calls_told(call: Call) -> tuple[Json, ...]:
    """The calls of a conversation and what they gave, for those who read `.tool_calls`."""
    return tuple(
        {"tool": one.call.name, "arguments": one.call.arguments, **_outcome(one)}
        for message in call.messages
        for one in message.results
    )


def _outcome(result: ToolResult) -> dict[str, Json]:
    if result.is_error:
        return {"result": None, "error": result.text}
    return {"result": orjson.loads(result.text), "error": None}


def _runnable(step: StepProgram, running: Running) -> list[int]:
    """The calls that can be run, by their numbers; the model is told why of the others."""
    return [number for number, call in enumerate(running.calls, 1) if not _refusal(step, call)]


def _refusal(step: StepProgram, call: ToolCall) -> str:
    """Why a call is not run, in words for the model."""
    known = {name: tool for name, tool in step.linked.tools.items() if tool.tool.python}
    if call.name not in known:
        return f"there is no tool '{call.name}'; there is: {', '.join(known) or 'none'}"
    if call.problem:
        return call.problem
    misfit = misfit_of(known[call.name], call.arguments)
    return f"the arguments do not fit the parameters of '{call.name}': {in_words(misfit)}" if misfit else ""


def _first(step: StepProgram, running: Running) -> list[int]:
    """The calls to begin with: all but those of a tool that runs one after another, of which it is the first."""
    found: list[int] = []
    names: set[str] = set()
    for number in _runnable(step, running):
        name = running.calls[number - 1].name
        if name not in names or _is_parallel(step, name):
            found.append(number)
        names.add(name)
    return found


def _is_parallel(step: StepProgram, name: str) -> bool:
    return step.linked.tools[name].tool.is_parallel


def _run(whole: StepProgram, step: StepProgram, running: Running, number: int, because: str) -> Ask:
    asked, called = running.asked, running.calls[number - 1]
    tool = whole.tools[f"{step.full_name}.{TOOL_DIALECT}.{called.name}"]
    call = Call(
        called.name,
        (),
        arguments=called.arguments,
        asked_in=asked.key,
        sample=asked.sample,
        salt=asked.call.salt,
    )
    found = ready(tool, asked.item, call, {**tool.fixed_ingredients, "upstream": {"turn": asked.key[:12]}})
    is_forced = asked.must_ask and found.use != "off"
    return replace(
        found,
        step=asked.step,
        must_ask=found.must_ask or is_forced,
        reason=asked.reason if is_forced else found.reason,
        because=because,
        repair=asked.repair,
        answers=asked.answers + 1,
        turn=asked.turn,
        running=running,
        number=number,
    )


def _ask_again(step: StepProgram, running: Running, given: Mapping[int, Given], because: str) -> Ask:
    """The next question to the model, with all results in the order of its calls, in whatever order they came."""
    asked = running.asked
    results = _results(step, running, given)
    said = Message("assistant", running.text, said=running.said)
    told = Message("user", "", results=results)
    # What was asked for is done: a model that had to call a tool again and again would never answer.
    choice = asked.call.tool_choice if asked.call.tool_choice == "none" else ""
    call = replace(asked.call, messages=(*asked.call.messages, said, told), tool_choice=choice)
    request = step.encode(call)
    upstream: Mapping[str, Json] = asked.ingredients.get("upstream") or {}
    brought = {result.call.name: brief(result.text) for result in results}
    return replace(
        asked,
        call=call,
        request=request,
        key=request.key,
        ingredients={**asked.ingredients, "upstream": {**upstream, **brought}},
        because=because,
        answers=asked.answers + 1,
    )


def _results(step: StepProgram, running: Running, given: Mapping[int, Given]) -> tuple[ToolResult, ...]:
    found: list[ToolResult] = []
    for number, call in enumerate(running.calls, 1):
        result = given[number].result if number in given else None
        found.append(
            ToolResult(call, _refusal(step, call), is_error=True) if result is None else _bounded(found, result)
        )
    return tuple(found)


def _fitting(tool: LinkedTool, result: ToolResult) -> ToolResult:
    """A result as the tool says that its results are, or what is wrong with it."""
    if result.is_error or tool.returns is None:
        return result
    validator, value = Validator(tool.returns.bundled), orjson.loads(result.text)
    if validator.fits(value):
        return result
    misfit = validator.violations(value)[0]
    return ToolResult(result.call, f"the result does not fit what the tool returns: {in_words(misfit)}", is_error=True)


def _bounded(before: Sequence[ToolResult], result: ToolResult) -> ToolResult:
    size, room = len(result.text.encode()), MOST_RESULT_BYTES - sum(len(one.text.encode()) for one in before)
    if size <= max(room, 0):
        return result
    text = f"the result has {size:,} bytes, and of the {MOST_RESULT_BYTES:,} for one answer {max(room, 0):,} are left"
    return ToolResult(result.call, text, is_error=True)
