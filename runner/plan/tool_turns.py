"""A conversation with tools: what a model called is run, one call after another, and it is asked again. Pure."""

from __future__ import annotations

from collections.abc import Mapping

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
from runner.plan.asks import Answered, Ask, Running, Verdict, attempt_of, ready
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
    """The first call of an answer that is to be run, or the next question."""
    # A question that was asked anew goes on from its new answer, and from what is stored for that.
    ask = ask if ask.use != "auto" else replace(ask, must_ask=False, reason="")
    running = Running(ask, response.text, response.said, response.calls)
    because = answered.reason if answered.is_todays else ""
    again = _next(whole, step, running, because)
    return Verdict(again=again, attempt=attempt_of(step, ask, answered, response))


def take_result(whole: StepProgram, ask: Ask, answered: Answered) -> Verdict:
    """A tool was run, or could not be."""
    assert ask.running is not None
    tool = whole.of(ask.part)
    attempt = attempt_of(tool, ask, answered, failure=answered.failure.kind if answered.failure else None)
    step = whole.of(ask.running.asked.part)
    answer = answered.answer
    if answer is None:
        return Verdict(attempt=attempt if answered.requests else None, failure=answered.failure)
    try:
        response = tool.dialect.decode(answer.payload)
    except CallFailed as error:
        return Verdict(attempt=attempt, failure=error.failure)
    running = ask.running
    call = running.calls[len(running.results)]
    result = _fitting(step.linked.tools[call.name], ToolResult(call, response.text, response.detail == "error"))
    running = replace(running, results=(*running.results, _bounded(running, result)))
    return Verdict(
        again=_next(whole, step, running, answered.reason if answered.is_todays else ask.because), attempt=attempt
    )


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


def _next(whole: StepProgram, step: StepProgram, running: Running, because: str) -> Ask:
    """The next call to run, past those that cannot be; with all results, the next question to the model."""
    while len(running.results) < len(running.calls):
        call = running.calls[len(running.results)]
        wrong = _refusal(step, call)
        if not wrong:
            return _run(whole, step, running, call, because)
        running = replace(running, results=(*running.results, ToolResult(call, wrong, is_error=True)))
    return _ask_again(step, running, because)


def _refusal(step: StepProgram, call: ToolCall) -> str:
    """Why a call is not run, in words for the model."""
    known = {name: tool for name, tool in step.linked.tools.items() if tool.tool.python}
    if call.name not in known:
        return f"there is no tool '{call.name}'; there is: {', '.join(known) or 'none'}"
    if call.problem:
        return call.problem
    misfit = misfit_of(known[call.name], call.arguments)
    return f"the arguments do not fit the parameters of '{call.name}': {in_words(misfit)}" if misfit else ""


def _run(whole: StepProgram, step: StepProgram, running: Running, called: ToolCall, because: str) -> Ask:
    asked = running.asked
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
    )


def _ask_again(step: StepProgram, running: Running, because: str) -> Ask:
    asked = running.asked
    said = Message("assistant", running.text, said=running.said)
    told = Message("user", "", results=running.results)
    # What was asked for is done: a model that had to call a tool again and again would never answer.
    choice = asked.call.tool_choice if asked.call.tool_choice == "none" else ""
    call = replace(asked.call, messages=(*asked.call.messages, said, told), tool_choice=choice)
    request = step.encode(call)
    upstream: Mapping[str, Json] = asked.ingredients.get("upstream") or {}
    results = {result.call.name: brief(result.text) for result in running.results}
    return replace(
        asked,
        call=call,
        request=request,
        key=request.key,
        ingredients={**asked.ingredients, "upstream": {**upstream, **results}},
        because=because,
        answers=asked.answers + 1,
    )


def _fitting(tool: LinkedTool, result: ToolResult) -> ToolResult:
    """A result as the tool says that its results are, or what is wrong with it."""
    if result.is_error or tool.returns is None:
        return result
    validator, value = Validator(tool.returns.bundled), orjson.loads(result.text)
    if validator.fits(value):
        return result
    misfit = validator.violations(value)[0]
    return ToolResult(result.call, f"the result does not fit what the tool returns: {in_words(misfit)}", is_error=True)


def _bounded(running: Running, result: ToolResult) -> ToolResult:
    size, room = len(result.text.encode()), MOST_RESULT_BYTES - sum(len(one.text.encode()) for one in running.results)
    if size <= max(room, 0):
        return result
    text = f"the result has {size:,} bytes, and of the {MOST_RESULT_BYTES:,} for one answer {max(room, 0):,} are left"
    return ToolResult(result.call, text, is_error=True)
