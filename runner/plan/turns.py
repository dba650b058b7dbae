"""Loops: a turn is a walk through steps of their own, with a state that is carried on. Pure.

The walk is the one of any item, so its functions are handed in: a question of a turn goes in and out under the name
of the loop, with its part and its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from runner.core.canonical import Json
from runner.core.frozen import replace
from runner.core.outcome import UNASKED_KINDS, Attempt, Failure, FailureKind, Outcome, Status
from runner.core.workflow import Step
from runner.link.linked import LinkedLoop
from runner.plan.asks import call_order
from runner.plan.chain import Answered, Ask
from runner.plan.items import Item
from runner.plan.program import Program, StepProgram
from runner.plan.rendering import listed
from runner.plan.states import ItemState, Move, OpenLoop, Scope
from runner.templates.problems import RenderFailed

Begin = Callable[[Program, tuple[str, ...], Item, Scope], Move]


class Advance(Protocol):
    def __call__(
        self, program: Program, steps: tuple[str, ...], state: ItemState, scope: Scope, ask: Ask, answered: Answered, /
    ) -> Move: ...


def begin_loop(
    program: Program, step: StepProgram, item: Item, values: Mapping[str, Json], begin: Begin
) -> Outcome | tuple[OpenLoop, tuple[Ask, ...]]:
    """The first turn, or the end of a loop that asks nothing. Raises RenderFailed."""
    loop = _loop(step)
    state = {name: value(values) for name, value in loop.start.items()}
    wrong = _misfit(step, state)
    if wrong:
        return _failed(step, item, Failure(FailureKind.RENDER, f"the state before the first turn {wrong}"), ())
    limit, elements = loop.loop.max, ()
    if loop.over is not None:
        elements = tuple(listed(loop.over, values))
        limit = min(limit, len(elements))
    opened = OpenLoop(values, state, ItemState(item, {}, {}), limit, elements)
    if not limit:
        return _ended(step, opened, is_finished=True)
    return _walk(program, step, _enter(program, step, opened, begin), begin)


def answer_in_turn(
    program: Program, step: StepProgram, opened: OpenLoop, ask: Ask, answered: Answered, begin: Begin, advance: Advance
) -> tuple[OpenLoop | Outcome, Move]:
    """What a question of the turn leads to; of the move the asks, the attempt and the mark are the loop's."""
    inside = _program(program, step, opened)
    move = advance(inside, tuple(step.turn), opened.inner, _scope(opened), _inward(ask), answered)
    attempt = replace(move.attempt, part=ask.part, turn=opened.turn) if move.attempt else None
    attempts = (*opened.attempts, attempt) if attempt else opened.attempts
    opened = replace(opened, inner=move.state, attempts=attempts)
    asks = tuple(_outward(step, opened.turn, one) for one in move.asks)
    if asks or move.state.open:
        return opened, Move(move.state, asks, (), attempt, move.mark)
    try:
        found = _walk(program, step, (opened, ()), begin)
    except RenderFailed as error:
        found = _failed(step, opened.inner.item, Failure(FailureKind.RENDER, _told(error, opened)), opened.attempts)
    if isinstance(found, Outcome):
        return found, Move(move.state, (), (), attempt, move.mark)
    return found[0], Move(move.state, found[1], (), attempt, move.mark)


def view_of_loop(outcome: Outcome) -> dict[str, Json]:
    """What readers see of a loop. Before the first turn there is no last one."""
    turns = outcome.output["turns"]
    last = {"last": turns[-1]} if turns else {}
    return {**outcome.output, **last, "skipped": False, "failed": None}


def most_turns_left(opened: OpenLoop, step: StepProgram) -> tuple[int, tuple[str, ...]]:
    """How many whole turns may follow this one, and the steps of this one that are not known yet."""
    known = opened.inner.outcomes.keys() | opened.inner.open.keys()
    return opened.limit - opened.turn, tuple(name for name in step.turn if name not in known)


# Turns


def _walk(
    program: Program, step: StepProgram, entered: tuple[OpenLoop, tuple[Ask, ...]], begin: Begin
) -> Outcome | tuple[OpenLoop, tuple[Ask, ...]]:
    """On to the next question, through turns that ask nothing. Raises RenderFailed."""
    opened, asks = entered
    while not asks:
        found = _close(program, step, opened)
        if isinstance(found, Outcome):
            return found
        opened, asks = _enter(program, step, found, begin)
    return opened, asks


def _enter(program: Program, step: StepProgram, opened: OpenLoop, begin: Begin) -> tuple[OpenLoop, tuple[Ask, ...]]:
    move = begin(_program(program, step, opened), tuple(step.turn), opened.inner.item, _scope(opened))
    asks = tuple(_outward(step, opened.turn, ask) for ask in move.asks)
    return replace(opened, inner=move.state), asks


def _close(program: Program, step: StepProgram, opened: OpenLoop) -> Outcome | OpenLoop:
    """All steps of the turn have ended: the end of the loop, or the state of the next turn. Raises RenderFailed."""
    loop = _loop(step)
    ends = opened.inner.outcomes
    broken = sorted((one for one in ends.values() if one.failure is not None), key=_is_because_of_another)
    if broken and broken[0].failure is not None:
        kind = broken[0].failure.kind
        told = f"turn {opened.turn}, step '{broken[0].step}': {broken[0].failure.message}"
        failure = broken[0].failure if kind in _OF_THE_RUN else replace(broken[0].failure, message=told)
        return _failed(step, opened.inner.item, failure, opened.attempts)
    inside = _program(program, step, opened)
    views = {name: inside_view(ends[name], inside.steps[name]) for name in step.turn}
    seen = {**opened.values, **inside.names, "steps": {**opened.values["steps"], **views}}
    state = {**opened.state, **{name: text.evaluate(seen) for name, text in loop.next.items()}}
    said = {name: ends[name].output for name in step.turn}
    opened = replace(opened, state=state, turns=(*opened.turns, said))
    wrong = _misfit(step, state)
    if wrong:
        message = f"the state after turn {opened.turn} {wrong}"
        return _failed(step, opened.inner.item, Failure(FailureKind.RENDER, message), opened.attempts)
    if loop.until is not None and loop.until.holds({**seen, "state": state}):
        return _ended(step, opened, is_finished=True)
    if opened.turn == opened.limit:
        return _ended(step, opened, is_finished=bool(opened.elements) and opened.limit == len(opened.elements))
    return replace(opened, turn=opened.turn + 1, inner=ItemState(opened.inner.item, {}, {}))


def _is_because_of_another(outcome: Outcome) -> bool:
    return outcome.failure is not None and outcome.failure.kind is FailureKind.UPSTREAM


_OF_THE_RUN = frozenset({FailureKind.NEEDS_CALL, FailureKind.NOT_SELECTED, *UNASKED_KINDS})


def tools_of(outcome: Outcome, step: Step) -> dict[str, Json]:
    """The tool calls of an answer, where its model may make any."""
    return {"tool_calls": list(outcome.tool_calls)} if step.tools else {}


def inside_view(outcome: Outcome, step: StepProgram) -> dict[str, Json]:
    """What the next state sees of a step of the turn, which is good or was skipped."""
    if outcome.status is not Status.GOOD:
        return {"skipped": True, "failed": None}
    name = "output" if step.linked.step.schema else "text"
    view = {name: outcome.output, "skipped": False, "failed": None, "model": outcome.model}
    return {**view, "sources": outcome.cited, **tools_of(outcome, step.linked.step)}


def _ended(step: StepProgram, opened: OpenLoop, *, is_finished: bool) -> Outcome:
    output = {"state": opened.state, "turns": [dict(turn) for turn in opened.turns], "finished": is_finished}
    attempts = call_order(opened.attempts)
    return Outcome(step.name, opened.inner.item.id, Status.GOOD, output=output, attempts=attempts)


def _failed(step: StepProgram, item: Item, failure: Failure, attempts: tuple[Attempt, ...]) -> Outcome:
    attempts = call_order(attempts)
    if failure.kind in {FailureKind.NOT_SELECTED, *UNASKED_KINDS}:
        return Outcome(step.name, item.id, Status.BLOCKED, failure=failure, because=failure.message, attempts=attempts)
    return Outcome(step.name, item.id, Status.FAILED, failure=failure, attempts=attempts)


def _misfit(step: StepProgram, state: Json) -> str:
    """Why a state is none, or ""."""
    if step.validator is None or step.validator.fits(state):
        return ""
    first = step.validator.violations(state)[0]
    found = f", found {first.found}" if first.found else ""
    return f"does not fit its schema: at {first.pointer or 'its root'} expected {first.expected}{found}"


# The inner walk


def _loop(step: StepProgram) -> LinkedLoop:
    assert step.linked.loop is not None
    return step.linked.loop


def _program(program: Program, step: StepProgram, opened: OpenLoop) -> Program:
    """The steps of the turn as a workflow, with what they see by name."""
    loop = _loop(step)
    names = {name: value for name, value in opened.values.items() if name not in ("inputs", "steps")}
    names |= {"state": opened.state, "turn": opened.turn}
    if loop.loop.over is not None:
        names[loop.loop.over.name] = opened.elements[opened.turn - 1]
    return replace(program, steps=step.turn, names=names)


def _scope(opened: OpenLoop) -> Scope:
    return Scope(opened.values["steps"])


def _outward(step: StepProgram, turn: int, ask: Ask) -> Ask:
    return replace(ask, step=step.name, part=f"{step.name}.{ask.part or ask.step}", turn=turn)


def _inward(ask: Ask) -> Ask:
    name = ask.part.removeprefix(f"{ask.step}.")
    step, dot, _ = name.partition(".")
    return replace(ask, step=step, part=name if dot else "", turn=0)


def _told(error: RenderFailed, opened: OpenLoop) -> str:
    problem = error.problem
    place = f"{problem.span}: " if problem.span else ""
    return f"{place}turn {opened.turn}: {problem.message}"
