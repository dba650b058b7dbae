"""How much a loop may ask that is not known yet. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from runner.link.parts import LinkedLoop
from runner.output.extent import most_bytes
from runner.plan.bounds import (
    Counts,
    Lanes,
    bound_of_needs,
    bound_of_own,
    longest_chain_usd,
    longest_out,
    speaks_of_many,
)
from runner.plan.estimate import TokensOut, plus, tokens_of
from runner.plan.program import Program, StepProgram
from runner.templates.problems import RenderFailed

LONGEST_TURN = 5  # digits of the number of a turn


def most_turns(program: Program, step: StepProgram) -> int:
    """How many turns a loop takes at most: `max`, or as many as `over` has elements, where that is known by now."""
    loop = step.linked.loop
    if loop is None:
        return 1
    known = _most_elements(program, step.name, loop)
    return loop.loop.max if known is None else min(known, loop.loop.max)


def _most_elements(program: Program, name: str, loop: LinkedLoop) -> int | None:
    texts = program.linked.typing.texts
    read = next((text for text in texts if text.role == "loop.over" and text.place.owner == name), None)
    if loop.over is None or read is None or any(one.path[0] != "inputs" for one in read.readings.references):
        return None
    try:
        elements = loop.over.evaluate({"inputs": program.inputs})
    except RenderFailed:
        return None
    return len(elements) if isinstance(elements, list) else None


def turn_usd(
    program: Program,
    step: StepProgram,
    counts: Counts,
    lanes: Lanes,
    outs: Mapping[str, TokensOut],
    names: Iterable[str] | None = None,
) -> float | None:
    """What a turn costs at most, or these steps of it; None where that has no bound."""
    some = step.turn if names is None else names
    parts = [step.parts[f"{step.name}.{part.full_name}"] for name in some for part in step.turn[name].all_parts]
    return plus(
        *(
            longest_chain_usd(part, _bound_in(program, step, part, counts, lanes), outs[part.full_name].most)
            for part in parts
        )
    )


def _bound_in(program: Program, step: StepProgram, part: StepProgram, counts: Counts, lanes: Lanes) -> int | None:
    """The most tokens of a question in a turn: what it is made of, and in any case what its model can read."""
    window = part.route.facts.context_tokens
    total = plus(*_sizes(program, step, part, counts, lanes))
    bounds = [bound for bound in (total, window) if bound is not None]
    return int(min(bounds)) if bounds else None


def _sizes(
    program: Program, step: StepProgram, part: StepProgram, counts: Counts, lanes: Lanes
) -> Iterator[int | None]:
    linked = part.linked
    if linked.files or speaks_of_many(part):
        yield None
        return
    yield bound_of_own(program, part, lanes)
    yield tokens_of(LONGEST_TURN * sum(text.count("turn") for text in part.texts))
    for name in linked.carried:
        times = sum(text.count(name) for text in part.texts)
        state = (
            most_bytes(step.linked.loop.schema.bundled, _Everything())
            if name == "state" and step.linked.loop and step.linked.loop.schema
            else None
        )
        yield None if state is None else tokens_of(state * times)
    for name in linked.answers:
        times = sum(text.count(name) for text in part.texts)
        if name in step.turn:
            most = longest_out(step.turn[name])
            yield None if most is None else most * times
        else:
            yield bound_of_needs(program, step, [name], counts, times)


class _Everything(Collection[str]):
    """All keywords: what a state may be is checked here after each turn, whatever a provider enforces."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
