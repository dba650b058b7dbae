"""A chunk of items through the steps of a stage, with stored answers only: no loop, no transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runner.core.answer import StoredAnswer
from runner.core.events import AttemptMade, Settled
from runner.core.frozen import dataclass
from runner.core.outcome import Failure
from runner.core.ports import EventSink
from runner.plan.advance import Answered, Ask, ItemState, Move, Scope, advance, begin
from runner.plan.program import Program
from runner.plan.selection import refusal
from runner.plan.stages import Chunk, Receipt

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

    A step that is not selected is not asked. Without `refuse`, the first wave with a miss ends it and nothing is told; with it (offline), a miss is a failure
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
        answers = [_answered(walk.program, ask, stored, refuse) for _, ask in wave]
        missed = tuple(ask for (_, ask), answered in zip(wave, answers, strict=True) if answered is None)
        if missed:
            return NeedsCalls(missed)
        later: list[tuple[int, Ask]] = []
        for (index, ask), answered in zip(wave, answers, strict=True):
            assert answered is not None
            move = advance(walk.program, walk.steps, states[index], walk.scope, ask, answered)
            told.append((move, ask))
            states[index] = move.state
            later += [(index, again) for again in move.asks]
        wave = later
    for move, asked in told:
        tell(move, asked, emit)
    return Receipt(chunk.stage, chunk.number, tuple(state.outcomes for state in states))


def _answered(
    program: Program, ask: Ask, stored: Mapping[str, StoredAnswer], refuse: Callable[[Ask], Failure] | None
) -> Answered | None:
    """The stored answer, or why there will be none; None for what must be asked."""
    answer = None if ask.must_ask else stored.get(ask.key)
    if answer is not None:
        return Answered(answer)
    failure = refusal(program.steps[ask.step], ask.item) or (refuse(ask) if refuse else None)
    return Answered(failure=failure) if failure is not None else None
