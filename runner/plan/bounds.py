"""How much a question can be that cannot be rendered yet. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runner.core.canonical import ordered
from runner.output.extent import most_bytes
from runner.plan.estimate import History, TokensOut, chain_usd, plus, times, tokens_of, tokens_out
from runner.plan.items import Item
from runner.plan.program import Program, StepProgram

_LOOP = re.compile(r"{%[-+]?\s*for\b")
TOKENS_PER_BYTE = 2  # no token is shorter than a byte, and as much again for white space


def out_of(step: StepProgram, history: History | None = None) -> TokensOut:
    """What one answer of a step takes. The schema bounds it where the provider holds the answer to it, and where the
    model does not think, since what it thinks is paid too.
    """
    facts = step.route.facts
    size = None
    if step.sent_schema is not None and facts.structured != "none" and step.thinking in (None, "none"):
        size = most_bytes(step.sent_schema, frozenset(step.dialect.lower(step.sent_schema).enforced))
    of_schema = None if size is None else TOKENS_PER_BYTE * size
    return tokens_out(step.linked.step.max_output_tokens, facts, history or History(), of_schema)


def most_calls(step: StepProgram) -> int:
    """How often one question may be put to one model."""
    return 1 + step.linked.step.repair


def most_of(step: StepProgram) -> int:
    """How many calls one item of a step may come to, of one sample: in a loop, all its turns."""
    turns = step.linked.loop.loop.max if step.linked.loop else 1
    return turns * sum(map(most_calls, step.all_parts))


def longest_out(step: StepProgram) -> int | None:
    """What an answer takes at most, whichever model gives it. The state of a loop has no bound."""
    if step.turn:
        return None
    most = [out_of(part).most for part in step.all_parts]
    return None if None in most else max(number or 0 for number in most)


def bound_in(
    program: Program, name: str, counts: Mapping[str, int | None], lanes: Mapping[str, Sequence[Item]]
) -> int | None:
    """The most tokens of a step's question: its template (once more for each answer that it may loop over), what it
    reads of inputs and rows, and the answers that it waits for at their caps. None where one of these has no bound.

    `counts` says how many items each step has, `lanes` what is known of their items.
    """
    step = program.steps[name]
    linked = step.linked
    if linked.files:
        return step.route.facts.context_tokens  # nothing less is sure of files that were not looked at
    size = sum(len(text.encode()) for text in step.texts) * (1 + _looped_over(program, step, counts))
    size += len(ordered(step.sent_schema)) if step.sent_schema is not None else 0
    size += sum(len(ordered(program.inputs.get(read))) for read in linked.inputs)
    total = tokens_of(size)
    if linked.item_fields:
        if linked.lane not in lanes:
            return None
        total += tokens_of(max((len(ordered(item.value)) for item in lanes[linked.lane]), default=0))
    for need in linked.needs:
        other = program.steps[need]
        items = counts[need] if need in linked.barriers else 1
        most = longest_out(other)
        if most is None or items is None:
            return None
        total += most * items * (other.linked.step.samples or 1)
    return total


def _looped_over(program: Program, step: StepProgram, counts: Mapping[str, int | None]) -> int:
    """Of how many answers a text may speak one by one; those of a list that is not known have no bound anyway."""
    if not any(_LOOP.search(text) for text in step.texts) and not any(entry.inner for entry in step.linked.messages):
        return 0
    read = step.linked.barriers & step.linked.answers
    return sum((counts[need] or 0) * (program.steps[need].linked.step.samples or 1) for need in read)


def ceiling_usd(program: Program, data: Mapping[str, Sequence[Item]], steps: frozenset[str]) -> float | None:
    """What these steps cost at most if nothing is stored and nothing is skipped; None where that has no bound."""
    linked = program.linked
    lanes = {name: data[lane.data] for name, lane in linked.lanes.items() if lane.data}
    counts = {
        name: 1 if not step.linked.lane else len(lanes[step.linked.lane]) if step.linked.lane in lanes else None
        for name, step in program.steps.items()
    }
    return plus(*(_step_usd(program, name, counts, lanes) for name in steps))


def _step_usd(
    program: Program, name: str, counts: Mapping[str, int | None], lanes: Mapping[str, Sequence[Item]]
) -> float | None:
    step = program.steps[name]
    settings = step.linked.step
    if all(part.is_free for part in step.all_parts):
        return 0.0
    items = counts[name]
    if items is None or step.turn:
        return None
    given = bound_in(program, name, counts, lanes)
    one = plus(
        *(
            chain_usd(given, out_of(part).most, part.route.facts.price, repairs=settings.repair)
            for part in step.all_parts
        )
    )
    return times(one, items * (settings.samples or 1))
