"""A chunk of items through the steps of a stage → receipt, asking what is not stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from runner.core.outcome import Outcome
from runner.core.ports import EventSink
from runner.execute.perform import Performer
from runner.execute.replay import Walk, tell
from runner.plan.advance import Answered, Ask, ItemState, advance, begin
from runner.plan.stages import Chunk, ItemPlan, Receipt


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
    try:
        while ready or waiting:
            if len(ready) == 1 and not waiting:
                ask = ready.pop()
                state, asks = await _take(state, ask, await performer.answer(ask), walk, performer, emit)
                ready += asks
                continue
            waiting |= {asyncio.create_task(performer.answer(ask)): ask for ask in ready}
            ready = []
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                state, asks = await _take(state, waiting[task], task.result(), walk, performer, emit)
                del waiting[task]
                ready += asks
    finally:
        # By an error or a cancellation: nothing may run on behind the back of those who close the store.
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return state.outcomes


async def _take(
    state: ItemState, ask: Ask, answered: Answered, walk: Walk, performer: Performer, emit: EventSink
) -> tuple[ItemState, tuple[Ask, ...]]:
    move = advance(walk.program, walk.steps, state, walk.scope, ask, answered)
    if move.mark is not None:
        await performer.keep(move.mark)
    tell(move, ask, emit)
    return move.state, move.asks
