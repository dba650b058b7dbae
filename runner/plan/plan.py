"""The plan: the run with the network taken away.

It feeds stored answers into the very functions that run, and stops at a miss: such a call is certain. What lies behind
it is known only after it, and may be called.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from runner.core.answer import StoredAnswer
from runner.core.frozen import replace
from runner.core.tool import TOOL_DIALECT
from runner.link.stages import Stage
from runner.plan.advance import ItemState, Scope, advance, begin
from runner.plan.bounds import bound_in, most_calls, out_of, turns_left, with_longest
from runner.plan.chain import Answered, Ask
from runner.plan.context_plan import KeptFor, kept_part
from runner.plan.estimate import (
    LEAST_TOKENS_OUT,
    History,
    chain_usd,
    media_tokens,
    plus,
    price_of,
    times,
    tokens_in,
)
from runner.plan.estimate import Counter as TokenCounter
from runner.plan.items import Items
from runner.plan.loop_bounds import most_turns, turn_usd
from runner.plan.made import Rest
from runner.plan.planned import Plan, PlannedCall, StepPlan
from runner.plan.program import StepProgram
from runner.plan.selection import refusal
from runner.plan.stages import Chunk, ItemPlan, Receipt, RunState
from runner.plan.states import OpenLoop, OpenStep
from runner.plan.tally import Most, Tally, count_outcome, is_free, most_usd, summed
from runner.plan.turns import most_turns_left

Lookup = Callable[[Sequence[str]], Mapping[str, StoredAnswer]]
Known = Callable[[Sequence[Ask]], Sequence[Answered | None]]
KEPT_CALLS = 1000


def make_plan(
    state: RunState,
    lookup: Lookup,
    explain: Callable[[Ask], str],
    history: Mapping[str, History] | None = None,
    on_call: Callable[[PlannedCall], None] | None = None,
    counters: Mapping[str, TokenCounter] | None = None,
    known: Known | None = None,
    kept_for: KeptFor | None = None,
) -> Plan:
    """Walk a fresh RunState as far as stored answers lead. `on_call` is told every call that is certain; `counters`
    count the questions of some steps, those of others are estimated. `known` tells what was asked in this run already. With `kept_for` steps keep what
    their questions share where that pays, and it knows what is kept already.
    """
    past = history or {}
    planner = _Planner(state, lookup, explain, past)
    planner.on_call = on_call
    planner.counters = counters or {}
    planner.known, planner.kept_for = known, kept_for
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
        self.counts = {name: Tally() for name in state.program.steps}
        self.outs = {name: out_of(step, past.get(name)) for name, step in state.program.asked.items()}
        self.asked: list[PlannedCall] = []
        self.on_call: Callable[[PlannedCall], None] | None = None
        self.counters: Mapping[str, TokenCounter] = {}
        self.known: Known | None = None
        self.kept_for: KeptFor | None = None
        self._owners = state.aside.table()
        state.is_open = self._is_open
        self._turns: dict[tuple[str, tuple[str, ...]], float | None] = {}

    def summed(self, name: str, history: History) -> StepPlan:
        counts = {name: count.items for name, count in self.counts.items()}
        step = self.state.program.steps[name]
        most = self._most(step, counts)
        found = summed(step, self.counts[name], self.outs, history, most, has_contexts=self.kept_for is not None)
        counter = self.counters.get(name)
        return replace(found, counted_by=counter.name) if counter is not None and found.calls else found

    def _most(self, step: StepProgram, counts: Mapping[str, int | None]) -> Most:
        """What one item may come to of which nothing is known yet."""
        program, lanes = self.state.program, self._lanes()
        calls = sum(map(most_calls, step.all_parts))
        if step.turn:
            turns = most_turns(program, step)
            usd = 0.0 if is_free(step) else turn_usd(program, step, counts, lanes, self.outs)
            return Most(turns * calls, times(usd, turns), None)
        given = bound_in(program, step.name, counts, lanes)
        return Most(calls, plus(*(most_usd(part, given, self.outs) for part in step.all_parts)), given)

    def _lanes(self) -> dict[str, Items]:
        """The items of each lane, as far as it is known how long one can be."""
        sources = self.state.program.linked.sources
        found: dict[str, Items | None] = dict(self.state.lanes)
        for lane, items in self.state.lanes.items():
            source = sources.get(self.state.program.linked.lanes[lane].data)
            if source is not None and self.state.rest(lane) is not None:
                found[lane] = with_longest(items, source)
        return {lane: items for lane, items in found.items() if items is not None}

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
        rest = self.state.rest(stage.lane) if stage.lane else None
        if rest is not None:
            self._note_rest(stage, rest)

    def _note_rest(self, stage: Stage, rest: Rest) -> None:
        """Items that are not known yet."""
        for name in stage.steps:
            count = self.counts[name]
            count.after |= self._waits(rest.waits)
            if rest.most is None or count.items is None:
                count.items = None
                continue
            count.items += rest.most
            count.unknown += rest.most

    def _hidden_list(self, stage: Stage) -> set[str]:
        """The steps that the stage's list waits for."""
        if not stage.lane or stage.lane in self.state.lanes or self.state.program.linked.lanes[stage.lane].data:
            return set()  # of rows that are made from others some may be known
        return self._waits(self.state.program.linked.lanes[stage.lane].needs)

    def _waits(self, needs: frozenset[str]) -> set[str]:
        """Of the steps that are read, those that are not known: the calls that they come to, in the end."""
        return {first for need in needs if self._is_open(need) for first in (self.counts[need].after or {need})}

    def _is_open(self, name: str) -> bool:
        count = self.counts[name]
        return count.items is None or bool(count.calls or count.unknown or count.shared or count.held_up)

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
            held: set[tuple[Hashable, ...]] = set()
            early = self.known([ask for _, ask in wave]) if self.known else [None] * len(wave)
            for (index, ask), answered in zip(wave, early, strict=True):
                answered = answered or self._stored(ask, stored)
                if answered is None:
                    self._miss(ask, held)
                    continue
                self.counts[ask.step].cached += answered.answer is not None and ask.running is None
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
        failure = refusal(self.state.program.steps[ask.step], ask.item) if answer is None else None
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

    def _miss(self, ask: Ask, held: set[tuple[Hashable, ...]]) -> None:
        """A certain call; an equal question of another item or step is the same call.

        `held` are the conversations of this wave that wait for a tool: one may wait for several.
        """
        count = self.counts[ask.step]
        whole = self.state.program.steps[ask.step]
        if ask.running is not None:
            conversation = (ask.item, ask.turn, ask.sample, ask.part.rpartition(f".{TOOL_DIALECT}.")[0])
            if conversation not in held:
                held.add(conversation)
                self._held_up(count, ask, whole)
            return
        part = whole.of(ask.part)
        repairs_left = max(0, part.linked.step.repair - ask.repair)
        behind = repairs_left + turns_left(part, ask.answers) + sum(map(most_calls, whole.after(part)))
        owner = self._owners.get(ask.key) if ask.use != "off" else None
        if owner is not None:
            self._share(count, ask, behind, owner)
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

    def _held_up(self, count: Tally, ask: Ask, whole: StepProgram) -> None:
        """A tool is to be run: it is no call, and what its model is asked then is known when it has."""
        assert ask.running is not None
        name = ask.part.rpartition(f".{TOOL_DIALECT}.")[0]
        asked = replace(ask.running.asked, step=ask.step, part="" if name == ask.step else name)
        part = whole.of(asked.part)
        repairs_left = max(0, part.linked.step.repair - asked.repair)
        count.held_up += 1
        count.after.add(ask.step)
        count.behind += repairs_left + turns_left(part, asked.answers) + sum(map(most_calls, whole.after(part)))
        alone = Tally()
        self._price(alone, asked, repairs_left)
        count.worst_usd = plus(count.worst_usd, alone.worst_usd)

    def _share(self, count: Tally, ask: Ask, behind: int, owner: str) -> None:
        """Another step may judge the same answer otherwise, and ask again then."""
        count.shared += 1
        if owner == ask.step:
            return
        count.after.add(owner)
        count.behind += behind
        if behind:
            alone = Tally()
            part = self.state.program.steps[ask.step].of(ask.part)
            self._price(alone, ask, max(0, part.linked.step.repair - ask.repair))
            count.worst_usd = plus(count.worst_usd, alone.worst_usd)

    def _price(self, count: Tally, ask: Ask, repairs_left: int) -> None:
        whole, name = self.state.program.steps[ask.step], ask.part or ask.step
        given, out = tokens_in(ask.call, self.counters.get(name)), self.outs[name]
        price = whole.of(ask.part).route.facts.price
        likely = out.likely if out.is_measured else LEAST_TOKENS_OUT
        count.least_usd += price_of(given, LEAST_TOKENS_OUT, price) or 0.0
        count.least_tokens += given + LEAST_TOKENS_OUT
        given += media_tokens(ask.call)  # a guess, which may be too high: the least that is sure is without it
        count.input_tokens += given
        if self.kept_for is not None and ask.call.shared is not None and not ask.part:
            if count.kept is None:
                divided = whole.divide(ask.call, ask.request)
                count.kept = kept_part(whole, ask.call, divided, self.kept_for, self.counters.get(name))
            count.kept.count(whole, given)
        count.likely_usd = plus(count.likely_usd, price_of(given, likely, price))
        turns = turns_left(whole.of(ask.part), ask.answers)
        further = (most_usd(part, given, self.outs) for part in whole.after(whole.of(ask.part)))
        own = chain_usd(given, out.most, price, repairs=repairs_left, turns=turns)
        count.worst_usd = plus(count.worst_usd, own, *further)

    def _note_loop(self, count: Tally, name: str, opened: OpenStep | OpenLoop) -> None:
        """What a loop may ask behind the question at which the plan stops."""
        if not isinstance(opened, OpenLoop):
            return
        step = self.state.program.steps[name]
        turns, rest = most_turns_left(opened, step)
        each = sum(map(most_calls, step.all_parts))
        behind = turns * each + sum(most_calls(part) for inner in rest for part in step.turn[inner].all_parts)
        count.behind += behind
        if not behind:
            return
        count.after.add(name)
        if not is_free(step):
            whole = self._turn_usd(step, tuple(step.turn))
            count.worst_usd = plus(count.worst_usd, times(whole, turns), self._turn_usd(step, rest))

    def _turn_usd(self, step: StepProgram, names: tuple[str, ...]) -> float | None:
        """What these steps of a turn cost at most. What the loop waits for is known by then: it is the same for all items."""
        if (step.name, names) not in self._turns:
            counts = {name: count.items for name, count in self.counts.items()}
            found = turn_usd(self.state.program, step, counts, self._lanes(), self.outs, names)
            self._turns[step.name, names] = found
        return self._turns[step.name, names]

    def _note(self, stage: Stage, item: ItemState) -> None:
        """What became of one item's steps."""
        for name in stage.steps:
            count = self.counts[name]
            assert count.items is not None
            count.items += 1
            outcome = item.outcomes.get(name)
            if outcome is not None:
                count_outcome(count, outcome)
            elif name in item.open:
                self._note_loop(count, name, item.open[name])
            else:
                count.unknown += 1
                linked = self.state.program.steps[name].linked
                inside = {need for need in linked.needs if need in item.open}
                count.after |= inside or self._waits(linked.needs) or {name}
