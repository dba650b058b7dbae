"""Which calls are ready: (item state, answer) → (item state, asks), pure and incremental.

The sync replay of stored answers, the async run and the plan all drive these two functions, so that none can promise
what another does not do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runner.core.canonical import Json, NotJson
from runner.core.errors import FileError
from runner.core.frozen import replace
from runner.core.outcome import UNASKED_KINDS, Failure, FailureKind, Outcome, Status
from runner.core.problem import Problem
from runner.core.workflow import Step
from runner.plan.asks import call_order
from runner.plan.chain import Answered, Ask, Verdict, first_ask, weigh
from runner.plan.items import Item
from runner.plan.output_values import values_of_outputs
from runner.plan.program import Program, StepProgram
from runner.plan.states import ItemState, Move, OpenLoop, OpenStep, Scope
from runner.plan.turns import answer_in_turn, begin_loop, tools_of, view_of_loop
from runner.templates.problems import RenderFailed

__all__ = [
    "Answered",
    "Ask",
    "ItemState",
    "Move",
    "OpenStep",
    "Scope",
    "advance",
    "begin",
    "hole_in_words",
    "is_absorbed",
    "is_hole",
    "upstream_failure",
    "view_of",
]

# Failures that `on_error: skip` does not absorb: they say nothing about the item.
NEVER_ABSORBED = frozenset(
    {
        FailureKind.NEEDS_CALL,
        FailureKind.NOT_SELECTED,
        FailureKind.INTERRUPTED,
        FailureKind.BUDGET,
        FailureKind.NOT_ASKED,
        FailureKind.STORAGE,
        FailureKind.AUTH,
        FailureKind.QUOTA,
        FailureKind.NOT_FOUND,
    }
)


def view_of(outcome: Outcome, step: Step) -> dict[str, Json]:
    """What readers see of an outcome. What is not there is undefined for them; `failed` is a kind or null."""
    if outcome.status is Status.GOOD:
        if step.loop is not None:
            return view_of_loop(outcome)
        name = "samples" if step.samples is not None else "output" if step.schema else "text"
        view = {name: outcome.output, "skipped": False, "failed": None, "model": outcome.model}
        return {**view, "sources": outcome.cited, **tools_of(outcome, step)}
    if outcome.status is Status.SKIPPED:
        return {"skipped": True, "failed": None}
    kind = str(outcome.failure.kind) if outcome.failure else "upstream"
    return {"skipped": False, "failed": kind}


def begin(
    program: Program, steps: tuple[str, ...], item: Item, scope: Scope, earlier: Mapping[str, Outcome] | None = None
) -> Move:
    """An item enters a stage. `earlier` are its outcomes in earlier stages of the lane."""
    return _open_ready(program, steps, ItemState(item, dict(earlier or {}), {}), scope)


def advance(
    program: Program, steps: tuple[str, ...], state: ItemState, scope: Scope, ask: Ask, answered: Answered
) -> Move:
    """An ask of this item was answered."""
    step = program.steps[ask.step]
    opened = state.open[ask.step]
    if isinstance(opened, OpenLoop):
        return _advance_loop(program, steps, state, scope, ask, answered, opened)
    verdict = weigh(step, opened.values, ask, answered, opened.given.get(ask.sample, {}))
    if ask.running is not None:
        opened = replace(opened, given={**opened.given, ask.sample: verdict.given})
    if verdict.asks or verdict.given:
        attempts = (*opened.attempts, verdict.attempt) if verdict.attempt else opened.attempts
        opened = replace(opened, attempts=attempts)
        state = ItemState(state.item, state.outcomes, {**state.open, ask.step: opened})
        return Move(state, verdict.asks, attempt=verdict.attempt, mark=verdict.mark)
    opened = _settle_sample(opened, ask, verdict)
    if opened.waiting:
        state = ItemState(state.item, state.outcomes, {**state.open, ask.step: opened})
        return Move(state, attempt=verdict.attempt, mark=verdict.mark)
    outcome = _outcome(step, state.item, opened)
    rest = {name: other for name, other in state.open.items() if name != ask.step}
    state = ItemState(state.item, {**state.outcomes, ask.step: outcome}, rest)
    move = _open_ready(program, steps, state, scope)
    return Move(move.state, move.asks, (outcome, *move.reached), verdict.attempt, verdict.mark)


def _advance_loop(
    program: Program,
    steps: tuple[str, ...],
    state: ItemState,
    scope: Scope,
    ask: Ask,
    answered: Answered,
    opened: OpenLoop,
) -> Move:
    """A question inside a loop was answered: the turn goes on, the next one begins, or the loop has ended."""
    step = program.steps[ask.step]
    found, move = answer_in_turn(program, step, opened, ask, answered, begin, advance)
    if isinstance(found, OpenLoop):
        state = ItemState(state.item, state.outcomes, {**state.open, ask.step: found})
        return Move(state, move.asks, attempt=move.attempt, mark=move.mark)
    rest = {name: other for name, other in state.open.items() if name != ask.step}
    state = ItemState(state.item, {**state.outcomes, ask.step: found}, rest)
    opening = _open_ready(program, steps, state, scope)
    return Move(opening.state, opening.asks, (found, *opening.reached), move.attempt, move.mark)


# Opening steps


def _open_ready(program: Program, steps: tuple[str, ...], state: ItemState, scope: Scope) -> Move:
    asks: list[Ask] = []
    reached: list[Outcome] = []
    grew = True
    while grew:
        grew = False
        for name in steps:
            if name in state.outcomes or name in state.open:
                continue
            step = program.steps[name]
            if any(need in steps and need not in state.outcomes for need in step.awaited):
                continue
            opened = _open(program, step, state, scope)
            grew = True
            if isinstance(opened, Outcome):
                state = ItemState(state.item, {**state.outcomes, name: opened}, state.open)
                reached.append(opened)
            else:
                state = ItemState(state.item, state.outcomes, {**state.open, name: opened[0]})
                asks += opened[1]
    return Move(state, tuple(asks), tuple(reached))


def _open(
    program: Program, step: StepProgram, state: ItemState, scope: Scope
) -> Outcome | tuple[OpenStep | OpenLoop, Sequence[Ask]]:
    """A step of an item: settled without a call, or opened with its first asks."""
    item = state.item
    early = _early_end(program, step, state, scope)
    if early is not None:
        return early
    values = _values(program, step, state, scope)
    try:
        when = step.linked.when
        if when is not None and not when.holds(values):
            return Outcome(step.name, item.id, Status.SKIPPED, because="when does not hold")
        if step.turn:
            return begin_loop(program, step, item, values, begin)
        calls = [step.call(values, sample) for sample in _samples(step)]
        too_long = step.too_long(calls[0])
        if too_long:
            return _failed(step, item, Failure(FailureKind.RENDER, too_long))
        asks = [first_ask(step, item.id, call, values) for call in calls]
    except RenderFailed as error:
        return _failed(step, item, Failure(FailureKind.RENDER, _told(error.problem)))
    except FileError as error:
        return _failed(step, item, Failure(FailureKind.RENDER, _told(error.problems[0])))
    except NotJson as error:
        message = f"the prompt cannot be sent: {error}"
        return _failed(step, item, Failure(FailureKind.RENDER, message))
    return OpenStep(values, {}, {}, (), len(asks)), asks


def _samples(step: StepProgram) -> range:
    return range(step.first_sample, step.first_sample + (step.linked.step.samples or 1))


def _early_end(program: Program, step: StepProgram, state: ItemState, scope: Scope) -> Outcome | None:
    """An outcome that the step has before it is rendered: a bad row, or something it reads failed or was skipped."""
    item = state.item
    skipped = ""
    for need in sorted(step.linked.needs):
        for ended, is_hard in _ends(need, step, state, scope):
            if ended is None or ended.status is Status.GOOD:
                continue
            if not is_hole(ended, program.steps[need].linked.step):
                failure = upstream_failure(need, ended)
                return Outcome(step.name, item.id, Status.BLOCKED, because=failure.message, failure=failure)
            if is_hard and not skipped:
                skipped = hole_in_words(ended)
    if skipped:
        return Outcome(step.name, item.id, Status.SKIPPED, because=skipped)
    if item.problem:
        return _failed(step, item, Failure(FailureKind.ROW, f"row {item.index + 1} is bad: {item.problem}"))
    return None


def _ends(need: str, step: StepProgram, state: ItemState, scope: Scope) -> Iterator[tuple[Outcome | None, bool]]:
    """How a need ended, as it is read (all its items together, this item's own, or both), and whether unguarded."""
    linked = step.linked
    if need not in linked.barriers:
        yield state.outcomes.get(need) or scope.outcomes.get(need), need in linked.hard
        return
    ended = scope.barriers.get(need)
    if need in linked.below:
        ended = scope.own_end(need, linked.lane, state.item.index)
    yield ended, any(use.step == need and use.is_barrier and not use.is_soft for use in linked.uses)
    if need in state.outcomes:
        own = any(use.step == need and not use.is_barrier and not use.is_soft for use in linked.uses)
        yield state.outcomes[need], own


def is_hole(ended: Outcome, step: Step) -> bool:
    """Whether readers can go on without: the step was skipped, or failed and is left out."""
    return ended.status is Status.SKIPPED or is_absorbed(ended, step)


def hole_in_words(ended: Outcome) -> str:
    word = "was skipped" if ended.status is Status.SKIPPED else "failed and is left out"
    return f"step '{ended.step}' {word}"


def is_absorbed(outcome: Outcome, step: Step) -> bool:
    """Whether a failure is left out and counted (`on_error: skip`) and does not end the run."""
    if outcome.status is not Status.FAILED or outcome.failure is None:
        return False
    return step.on_error == "skip" and outcome.failure.kind not in NEVER_ABSORBED


def upstream_failure(need: str, ended: Outcome) -> Failure:
    """What the end of a step is for those that read it."""
    kind = FailureKind.UPSTREAM
    if ended.failure is not None and ended.failure.kind is FailureKind.NOT_SELECTED:
        return ended.failure
    if ended.failure is not None and ended.failure.kind in {FailureKind.NEEDS_CALL, *UNASKED_KINDS}:
        kind = ended.failure.kind
    return Failure(kind, f"step '{need}' failed")


def _values(program: Program, step: StepProgram, state: ItemState, scope: Scope) -> dict[str, Json]:
    own = {
        name: view_of(outcome, program.steps[name].linked.step)
        for name, outcome in state.outcomes.items()
        if name in step.linked.needs
    }
    views = {**scope.views, **_kept(own, step, scope)}
    if step.linked.below:
        views |= scope.own_views(step.linked.below, step.linked.lane, state.item.index)
    values: dict[str, Json] = {**program.names, "inputs": program.inputs, "steps": views}
    if step.name in program.linked.output_readers:
        values["outputs"] = values_of_outputs(program.linked.outputs, scope, program.inputs)
    fan_out = step.linked.step.for_each
    if fan_out is not None:
        values["item"] = state.item.value
        values[fan_out.name] = state.item.value
        if state.item.group is not None:
            values["group"] = state.item.group
    return values


def _kept(own: dict[str, dict[str, Json]], step: StepProgram, scope: Scope) -> dict[str, Json]:
    """The item's own views, each together with the list that a barrier offers under the same name."""
    return {
        name: {**scope.views[name], **view} if name in step.linked.barriers and name in scope.views else view
        for name, view in own.items()
    }


# The end of a step


def _settle_sample(opened: OpenStep, ask: Ask, verdict: Verdict) -> OpenStep:
    attempts = (*opened.attempts, verdict.attempt) if verdict.attempt else opened.attempts
    waiting = opened.waiting - 1
    if verdict.failure is not None:
        failures = {**opened.failures, ask.sample: verdict.failure}
        return replace(opened, failures=failures, attempts=attempts, waiting=waiting)
    results = {**opened.results, ask.sample: verdict.output}
    calls = {**opened.tool_calls, ask.sample: verdict.tool_calls} if verdict.tool_calls else opened.tool_calls
    return replace(opened, results=results, attempts=attempts, waiting=waiting, tool_calls=calls)


def _outcome(step: StepProgram, item: Item, opened: OpenStep) -> Outcome:
    """All samples are in, in whatever order. With `on_error: skip` failed ones are left out, as long as one is good."""
    attempts = call_order(sorted(opened.attempts, key=lambda attempt: attempt.sample))
    failures = [opened.failures[sample] for sample in sorted(opened.failures)]
    is_sampled = step.linked.step.samples is not None
    may_skip = is_sampled and step.linked.step.on_error == "skip" and bool(opened.results)
    fatal = next((failure for failure in failures if failure.kind in NEVER_ABSORBED), None)
    if failures and (fatal is not None or not may_skip):
        return replace(_failed(step, item, fatal or failures[0]), attempts=attempts)
    good = sorted(opened.results)
    output = [opened.results[sample] for sample in good] if is_sampled else opened.results[good[0]]
    last = {attempt.sample: attempt for attempt in attempts}[good[0]]
    return Outcome(
        step.name,
        item.id,
        Status.GOOD,
        output=output,
        attempts=attempts,
        model=last.model,
        sources=last.sources,
        tool_calls=opened.tool_calls.get(good[0], ()),
    )


def _failed(step: StepProgram, item: Item, failure: Failure) -> Outcome:
    """A failure; what was never asked because the run was stopped, or was not to be, did not run."""
    if failure.kind in {FailureKind.NOT_SELECTED, *UNASKED_KINDS}:
        return Outcome(step.name, item.id, Status.BLOCKED, failure=failure, because=failure.message)
    return Outcome(step.name, item.id, Status.FAILED, failure=failure)


def _told(problem: Problem) -> str:
    return f"{problem.span}: {problem.message}" if problem.span else problem.message
