"""A chunk of items through the steps of a stage → receipt: replayed from the store, or asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runner.core.answer import StoredAnswer
from runner.core.events import AttemptMade, Settled
from runner.core.outcome import Failure, FailureKind, Outcome
from runner.core.ports import EventSink
from runner.execute.perform import Performer
from runner.plan.advance import Answered, Ask, ItemState, Move, Scope, advance, begin
from runner.plan.program import Program
from runner.plan.stages import Chunk, ItemPlan, Receipt

Lookup = Callable[[Sequence[str]], Mapping[str, StoredAnswer]]


@dataclass(frozen=True, slots=True)
class Walk:
    """What all items of a stage share."""

    program: Program
    steps: tuple[str, ...]
    scope: Scope


@dataclass(frozen=True, slots=True)
class NeedsCalls:
    """A chunk that cannot be replayed: the first asks that are not stored."""

    asks: tuple[Ask, ...]


def tell(move: Move, ask: Ask | None, emit: EventSink) -> None:
    """The events of one move."""
    if ask is not None and move.attempt is not None:
        emit(AttemptMade(ask.step, ask.item, move.attempt, ask.ingredients))
    for outcome in move.reached:
        emit(Settled(outcome))


def replay_chunk(
    chunk: Chunk, walk: Walk, lookup: Lookup, emit: EventSink, refuse: Callable[[Ask], Failure] | None = None
) -> Receipt | NeedsCalls:
    """Walk a chunk with stored answers only, looked up in waves.

    Without `refuse`, the first wave with a miss ends it and nothing is told; with it (offline), a miss is a failure
    of its item and the chunk goes on.
    """
    told: list[tuple[Move, Ask | None]] = []
    states: list[ItemState] = []
    wave: list[tuple[int, Ask]] = []
    for index, plan in enumerate(chunk.items):
        move = begin(walk.program, walk.steps, plan.item, walk.scope, plan.earlier)
        told.append((move, None))
        states.append(move.state)
        wave += [(index, ask) for ask in move.asks]
    while wave:
        stored = lookup([ask.key for _, ask in wave if not ask.must_ask])
        missed = tuple(ask for _, ask in wave if ask.must_ask or ask.key not in stored)
        if missed and refuse is None:
            return NeedsCalls(missed)
        later: list[tuple[int, Ask]] = []
        for index, ask in wave:
            answer = None if ask.must_ask else stored.get(ask.key)
            answered = Answered(answer) if answer is not None or refuse is None else Answered(failure=refuse(ask))
            move = advance(walk.program, walk.steps, states[index], walk.scope, ask, answered)
            told.append((move, ask))
            states[index] = move.state
            later += [(index, again) for again in move.asks]
        wave = later
    for move, asked in told:
        tell(move, asked, emit)
    return Receipt(chunk.stage, chunk.number, tuple(state.outcomes for state in states))


async def run_chunk(chunk: Chunk, walk: Walk, performer: Performer, emit: EventSink) -> Receipt:
    """Walk a chunk, asking what is not stored; its items do not wait for one another."""
    if len(chunk.items) == 1:
        return Receipt(chunk.stage, chunk.number, (await _run_item(chunk.items[0], walk, performer, emit),))
    async with asyncio.TaskGroup() as group:
        items = [group.create_task(_run_item(plan, walk, performer, emit)) for plan in chunk.items]
    return Receipt(chunk.stage, chunk.number, tuple(item.result() for item in items))


async def _run_item(plan: ItemPlan, walk: Walk, performer: Performer, emit: EventSink) -> Mapping[str, Outcome]:
    move = begin(walk.program, walk.steps, plan.item, walk.scope, plan.earlier)
    tell(move, None, emit)
    state = move.state
    waiting: dict[asyncio.Task[Answered], Ask] = {}
    ready = list(move.asks)
    while ready or waiting:
        if len(ready) == 1 and not waiting:
            ask = ready.pop()
            state, asks = await _take(state, ask, await performer.answer(ask), walk, performer, emit)
            ready += asks
            continue
        waiting |= {asyncio.create_task(performer.answer(ask)): ask for ask in ready}
        ready = []
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for task in waiting:
                task.cancel()
            raise
        for task in done:
            ask = waiting.pop(task)
            state, asks = await _take(state, ask, task.result(), walk, performer, emit)
            ready += asks
    return state.outcomes


async def _take(
    state: ItemState, ask: Ask, answered: Answered, walk: Walk, performer: Performer, emit: EventSink
) -> tuple[ItemState, tuple[Ask, ...]]:
    move = advance(walk.program, walk.steps, state, walk.scope, ask, answered)
    if move.mark is not None:
        await performer.keep(move.mark)
    tell(move, ask, emit)
    return move.state, move.asks


def interrupted(message: str) -> Failure:
    return Failure(FailureKind.INTERRUPTED, message)
