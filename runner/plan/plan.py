"""The plan: the run with the network taken away.

It feeds stored answers into the very functions that run, and stops at a miss: such a call is certain. What lies behind
it is known only after it, and may be called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from runner.core.answer import StoredAnswer
from runner.core.frozen import dataclass, replace
from runner.core.outcome import Outcome, Status
from runner.link.stages import Stage
from runner.plan.advance import ItemState, Scope, advance, begin
from runner.plan.bounds import bound_in, most_calls, most_of, out_of
from runner.plan.chain import Answered, Ask
from runner.plan.estimate import (
    LEAST_TOKENS_OUT,
    History,
    TokensOut,
    chain_usd,
    media_tokens,
    plus,
    price_of,
    times,
    tokens_in,
)
from runner.plan.estimate import Counter as TokenCounter
from runner.plan.program import StepProgram
from runner.plan.selection import refusal
from runner.plan.stages import Chunk, ItemPlan, Receipt, RunState
from runner.plan.states import OpenLoop, OpenStep
from runner.plan.turns import most_turns_left

Lookup = Callable[[Sequence[str]], Mapping[str, StoredAnswer]]
Known = Callable[[Sequence[Ask]], Sequence[Answered | None]]
KEPT_CALLS = 1000


class Fate(StrEnum):
    """What will become of a step, all its items together."""

    CACHED = "cached"
    CALL = "call"
    MAY_CALL = "may call"
    SKIPPED = "skipped"
    CANNOT_RUN = "cannot run"
    NOT_SELECTED = "not selected"
    NOTHING = "no items"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that is certain, and why."""

    ask: Ask
    reason: str


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What will become of a step.

    `items` is None while the list is not known. `cached` counts answers that are stored, `calls` the certain calls
    and `may_calls` those that may come on top, repairs included (None: not bounded, the list is not known).
    `shared` counts questions that are the same as a certain call: one answer serves all, and their own repairs may come.
    `failure` is why the first of those that cannot run
    cannot. `after` names the steps that must run before more is known. Costs are in US dollars, None when not known:
    `least_usd` is what the certain calls cost with the shortest answers (what has no price counts as nothing),
    `cost_usd` what they cost if the answers are like earlier ones (without any: the shortest), `worst_usd` what all
    calls cost that may be made, at their longest. `least_tokens` are those of the certain calls.
    """

    step: str
    model: str
    thinking: str
    items: int | None
    cached: int = 0
    calls: int = 0
    may_calls: int | None = 0
    skipped: int = 0
    failed: int = 0
    failure: str = ""
    after: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    is_measured: bool = False
    cost_usd: float | None = 0.0
    worst_usd: float | None = 0.0
    is_selected: bool = True
    least_usd: float = 0.0
    least_tokens: int = 0
    is_unpriced: bool = False
    counted_by: str = ""
    shared: int = 0

    @property
    def may_be_asked(self) -> bool:
        return self.may_calls is None or bool(self.calls or self.may_calls)

    @property
    def fate(self) -> Fate:
        if self.calls:
            return Fate.CALL
        if self.may_calls is None or self.may_calls or self.shared:
            return Fate.MAY_CALL
        if self.items == 0:
            return Fate.NOTHING
        if self.cached:
            return Fate.CACHED
        if not self.is_selected and not self.skipped:
            return Fate.NOT_SELECTED
        return Fate.CANNOT_RUN if self.failed else Fate.SKIPPED


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in order of execution. `asked` are the certain calls (the first 1000)."""

    steps: tuple[StepPlan, ...]
    asked: tuple[PlannedCall, ...] = ()

    @property
    def calls(self) -> int:
        return sum(step.calls for step in self.steps)

    @property
    def worst_calls(self) -> int | None:
        """All that may be called; None when a list is not known yet."""
        most = [step.may_calls for step in self.steps]
        return None if None in most else self.calls + sum(number or 0 for number in most)

    @property
    def cached(self) -> int:
        return sum(step.cached for step in self.steps)

    @property
    def cost_usd(self) -> float | None:
        return plus(*(step.cost_usd for step in self.steps))

    @property
    def worst_usd(self) -> float | None:
        return plus(*(step.worst_usd for step in self.steps))

    @property
    def least_usd(self) -> float:
        """What the certain calls cost for sure; what has no price counts as nothing."""
        return sum(step.least_usd for step in self.steps)

    @property
    def least_tokens(self) -> int:
        return sum(step.least_tokens for step in self.steps)


@dataclass(slots=True)
class _Count:
    """What has been found of one step so far."""

    items: int | None = 0
    cached: int = 0
    calls: int = 0
    unknown: int = 0
    behind: int = 0
    shared: int = 0
    skipped: int = 0
    failed: int = 0
    failure: str = ""
    input_tokens: int = 0
    least_usd: float = 0.0
    least_tokens: int = 0
    likely_usd: float | None = 0.0
    worst_usd: float | None = 0.0
    after: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)


def make_plan(
    state: RunState,
    lookup: Lookup,
    explain: Callable[[Ask], str],
    history: Mapping[str, History] | None = None,
    on_call: Callable[[PlannedCall], None] | None = None,
    counters: Mapping[str, TokenCounter] | None = None,
    known: Known | None = None,
) -> Plan:
    """Walk a fresh RunState as far as stored answers lead. `on_call` is told every call that is certain; `counters`
    count the questions of some steps, those of others are estimated. `known` tells what was asked in this run already.
    """
    past = history or {}
    planner = _Planner(state, lookup, explain, past)
    planner.on_call = on_call
    planner.counters = counters or {}
    planner.known = known
    for number in range(len(state.stages)):
        planner.walk(number)
    order = [name for stage in state.stages for name in stage.steps]
    return Plan(tuple(planner.summed(name, past.get(name, History())) for name in order), tuple(planner.asked))


class _Planner:
    def __init__(
        self, state: RunState, lookup: Lookup, explain: Callable[[Ask], str], past: Mapping[str, History]
    ) -> None:
        self.state = state
        self.lookup = lookup
        self.explain = explain
        self.counts = {name: _Count() for name in state.program.steps}
        self.outs = {name: out_of(step, past.get(name)) for name, step in state.program.asked.items()}
        self.asked: list[PlannedCall] = []
        self.on_call: Callable[[PlannedCall], None] | None = None
        self.counters: Mapping[str, TokenCounter] = {}
        self.known: Known | None = None
        self._owners: dict[str, str] = {}

    def summed(self, name: str, history: History) -> StepPlan:
        counts = {name: count.items for name, count in self.counts.items()}
        most_in = bound_in(self.state.program, name, counts, self.state.lanes)
        found = _summed(self.state.program.steps[name], self.counts[name], self.outs, history, most_in)
        counter = self.counters.get(name)
        return replace(found, counted_by=counter.name) if counter is not None and found.calls else found

    def walk(self, number: int) -> None:
        stage = self.state.stages[number]
        hidden = self._hidden_list(stage)
        if hidden:
            for name in stage.steps:
                count = self.counts[name]
                count.items = None
                count.after |= hidden
            return
        scope = self.state.scope()
        for chunk in self.state.chunks(number, 1):
            self.state.fold(self._chunk(chunk, stage, scope))

    def _hidden_list(self, stage: Stage) -> set[str]:
        """The steps that the stage's list waits for."""
        if not stage.lane or stage.lane in self.state.lanes:
            return set()
        return self._waits(self.state.program.linked.lanes[stage.lane].needs)

    def _waits(self, needs: frozenset[str]) -> set[str]:
        """Of the steps that are read, those that are not known: the calls that they come to, in the end."""
        return {first for need in needs if self._is_open(need) for first in (self.counts[need].after or {need})}

    def _is_open(self, name: str) -> bool:
        count = self.counts[name]
        return count.items is None or bool(count.calls or count.unknown or count.shared)

    def _chunk(self, chunk: Chunk, stage: Stage, scope: Scope) -> Receipt:
        states: list[ItemState] = []
        wave: list[tuple[int, Ask]] = []
        for index, plan in enumerate(chunk.items):
            steps = self._known_steps(stage, plan)
            move = begin(self.state.program, steps, plan.item, scope, plan.earlier)
            states.append(move.state)
            wave += [(index, ask) for ask in move.asks]
        while wave:
            stored = self.lookup([ask.key for _, ask in wave if not ask.must_ask])
            later: list[tuple[int, Ask]] = []
            early = self.known([ask for _, ask in wave]) if self.known else [None] * len(wave)
            for (index, ask), answered in zip(wave, early, strict=True):
                answered = answered or self._stored(ask, stored)
                if answered is None:
                    self._miss(ask)
                    continue
                self.counts[ask.step].cached += answered.answer is not None
                steps = self._known_steps(stage, chunk.items[index])
                move = advance(self.state.program, steps, states[index], scope, ask, answered)
                states[index] = move.state
                later += [(index, again) for again in move.asks]
            wave = later
        for item in states:
            self._note(stage, item)
        return Receipt(chunk.stage, chunk.number, tuple(item.outcomes for item in states))

    def _stored(self, ask: Ask, stored: Mapping[str, StoredAnswer]) -> Answered | None:
        """The stored answer, or why there will be none; None for what must be asked."""
        answer = None if ask.must_ask else stored.get(ask.key)
        failure = refusal(self.state.program.steps[ask.step]) if answer is None else None
        return None if answer is None and failure is None else Answered(answer, failure)

    def _known_steps(self, stage: Stage, plan: ItemPlan) -> tuple[str, ...]:
        """The steps of the stage whose ground is known for this item."""
        known: list[str] = []
        for name in stage.steps:
            linked = self.state.program.steps[name].linked
            if all(self._is_ground(need, name, plan, stage, known) for need in linked.needs):
                known.append(name)
        return tuple(known)

    def _is_ground(self, need: str, name: str, plan: ItemPlan, stage: Stage, known: list[str]) -> bool:
        linked = self.state.program.steps[name].linked
        if need in linked.barriers:
            return not self._is_open(need)
        if need in stage.steps:
            return need in known
        if self.state.program.steps[need].linked.lane == stage.lane and stage.lane:
            return need in plan.earlier
        return not self._is_open(need)

    def _miss(self, ask: Ask) -> None:
        """A certain call; an equal question of another item or step is the same call."""
        count = self.counts[ask.step]
        whole = self.state.program.steps[ask.step]
        repairs_left = max(0, whole.of(ask.part).linked.step.repair - ask.repair)
        behind = repairs_left + sum(map(most_calls, whole.after(whole.of(ask.part))))
        if ask.key in self._owners and ask.use != "off":
            self._share(count, ask, behind)
            return
        self._owners[ask.key] = ask.step
        reason = ask.reason or self.explain(ask)
        count.calls += 1
        count.behind += behind
        self._price(count, ask, repairs_left)
        count.reasons[reason.partition(":")[0] if len(count.reasons) >= KEPT_CALLS else reason] += 1
        call = PlannedCall(ask, reason)
        if len(self.asked) < KEPT_CALLS:
            self.asked.append(call)
        if self.on_call is not None:
            self.on_call(call)

    def _share(self, count: _Count, ask: Ask, behind: int) -> None:
        """Another step may judge the same answer otherwise, and ask again then."""
        count.shared += 1
        owner = self._owners[ask.key]
        if owner == ask.step:
            return
        count.after.add(owner)
        count.behind += behind
        if behind:
            alone = _Count()
            part = self.state.program.steps[ask.step].of(ask.part)
            self._price(alone, ask, max(0, part.linked.step.repair - ask.repair))
            count.worst_usd = plus(count.worst_usd, alone.worst_usd)

    def _price(self, count: _Count, ask: Ask, repairs_left: int) -> None:
        whole, name = self.state.program.steps[ask.step], ask.part or ask.step
        given, out = tokens_in(ask.call, self.counters.get(name)), self.outs[name]
        price = whole.of(ask.part).route.facts.price
        likely = out.likely if out.is_measured else LEAST_TOKENS_OUT
        count.least_usd += price_of(given, LEAST_TOKENS_OUT, price) or 0.0
        count.least_tokens += given + LEAST_TOKENS_OUT
        given += media_tokens(ask.call)  # a guess, which may be too high: the least that is sure is without it
        count.input_tokens += given
        count.likely_usd = plus(count.likely_usd, price_of(given, likely, price))
        further = (_most_usd(part, given, self.outs) for part in whole.after(whole.of(ask.part)))
        count.worst_usd = plus(count.worst_usd, chain_usd(given, out.most, price, repairs=repairs_left), *further)

    def _note_loop(self, count: _Count, name: str, opened: OpenStep | OpenLoop) -> None:
        """What a loop may ask behind the question at which the plan stops."""
        if not isinstance(opened, OpenLoop):
            return
        step = self.state.program.steps[name]
        turns, rest = most_turns_left(opened, step)
        each = sum(map(most_calls, step.all_parts))
        behind = turns * each + sum(most_calls(part) for inner in rest for part in step.turn[inner].all_parts)
        count.behind += behind
        if behind:
            count.after.add(name)
            count.worst_usd = plus(count.worst_usd, 0.0 if _is_free(step) else None)

    def _note(self, stage: Stage, item: ItemState) -> None:
        """What became of one item's steps."""
        for name in stage.steps:
            count = self.counts[name]
            assert count.items is not None
            count.items += 1
            outcome = item.outcomes.get(name)
            if outcome is not None:
                _count_outcome(count, outcome)
            elif name in item.open:
                self._note_loop(count, name, item.open[name])
            else:
                count.unknown += 1
                linked = self.state.program.steps[name].linked
                inside = {need for need in linked.needs if need in item.open}
                count.after |= inside or self._waits(linked.needs) or {name}


def _is_free(step: StepProgram) -> bool:
    return all(part.is_free for part in step.all_parts)


def _count_outcome(count: _Count, outcome: Outcome) -> None:
    if outcome.status is Status.SKIPPED:
        count.skipped += 1
    elif outcome.status is not Status.GOOD:
        count.failed += 1
        count.failure = count.failure or (outcome.failure.message if outcome.failure else outcome.because)


def _most_usd(step: StepProgram, given: int | None, outs: Mapping[str, TokensOut]) -> float | None:
    """What a question costs at most at one model, repairs included."""
    most = outs[step.full_name].most
    return chain_usd(given, most, step.route.facts.price, repairs=step.linked.step.repair)


def _summed(
    step: StepProgram, count: _Count, outs: Mapping[str, TokensOut], history: History, bound_in: int | None
) -> StepPlan:
    """Counts to a line of the plan, with money."""
    out = outs.get(step.name, TokensOut(None, None))
    settings = step.linked.step
    samples = settings.samples or 1
    each = most_of(step)
    may_calls = None if count.items is None else count.unknown * samples * each + count.behind
    if not step.may_ask:
        may_calls = 0
    likely_in = -(-history.input_tokens // history.calls) if history.calls else bound_in
    mean_in = -(-count.input_tokens // count.calls) if count.calls else likely_in
    behind = (
        plus(*(_most_usd(part, bound_in, outs) for part in step.all_parts))
        if not step.turn
        else 0.0
        if _is_free(step)
        else None
    )
    is_free = _is_free(step)
    worst = (0.0 if is_free else None) if count.items is None else times(behind, count.unknown * samples)
    return StepPlan(
        step=step.name,
        model=step.models,
        thinking=step.thinking or "",
        items=count.items,
        cached=count.cached,
        shared=count.shared,
        calls=count.calls,
        may_calls=may_calls,
        skipped=count.skipped,
        failed=count.failed,
        failure=count.failure,
        after=tuple(sorted(count.after)),
        reasons=dict(count.reasons),
        input_tokens=count.input_tokens if count.calls else (mean_in if may_calls != 0 else 0),
        output_tokens=_times(out.likely, count.calls) if count.calls else (out.likely if may_calls != 0 else 0),
        is_measured=out.is_measured,
        cost_usd=count.likely_usd,
        worst_usd=plus(count.worst_usd, worst) if step.may_ask else 0.0,
        is_selected=step.may_ask,
        least_usd=count.least_usd,
        least_tokens=count.least_tokens,
        is_unpriced=any(part.route.facts.price is None for part in step.all_parts),
    )


def _times(number: int | None, factor: int) -> int | None:
    return None if number is None else number * factor
