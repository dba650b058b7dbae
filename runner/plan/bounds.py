"""How much a question can be that cannot be rendered yet. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from runner.core.canonical import ordered
from runner.link.parts import LinkedSource
from runner.output.extent import most_bytes
from runner.plan.estimate import History, TokensOut, chain_usd, plus, times, tokens_of, tokens_out
from runner.plan.items import AtMost, Items
from runner.plan.program import Program, StepProgram
from runner.plan.shared import keeping_usd, making_usd

Counts = Mapping[str, int | None]
Lanes = Mapping[str, Items]

_LOOP = re.compile(r"{%[-+]?\s*for\b")
TOKENS_PER_BYTE = 2  # no token is shorter than a byte, and as much again for white space


def out_of(step: StepProgram, history: History | None = None) -> TokensOut:
    """What one answer of a step takes. The schema bounds it where the provider holds the answer to it, and where the
    model does not think, since what it thinks is paid too.
    """
    if step.linked.step.is_embedding:
        return TokensOut(0, 0)  # a vector takes no tokens
    facts = step.route.facts
    size = None
    if step.sent_schema is not None and facts.structured != "none" and step.thinking in (None, "none"):
        size = most_bytes(step.sent_schema, frozenset(step.dialect.lower(step.sent_schema).enforced))
    of_schema = None if size is None else TOKENS_PER_BYTE * size
    return tokens_out(step.linked.step.max_output_tokens, facts, history or History(), of_schema)


def most_calls(step: StepProgram) -> int:
    """How often one question may be put to one model."""
    return 1 + step.linked.step.repair + turns_left(step)


def turns_left(step: StepProgram, answers: int = 0) -> int:
    """How often a model that may call tools is asked again at most, when it has called some so often."""
    is_run_here = any(tool.tool.python for tool in step.linked.tools.values())
    return max(0, step.linked.step.max_turns - 1 - answers) if step.linked.step.tools and is_run_here else 0


def longest_chain_usd(step: StepProgram, given: int | None, most: int | None) -> float | None:
    """What one question costs at one model at most, with all repairs and all turns with tools."""
    settings = step.linked.step
    return chain_usd(given, most, step.route.facts.price, repairs=settings.repair, turns=turns_left(step))


class _All(Collection[str]):
    """Every keyword: an answer and a row are good only if the whole schema holds."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def with_longest(items: Items, source: LinkedSource) -> Items | None:
    """Items of which further ones may be made, as long as the longest can be; None where nothing bounds that."""
    most = None if source.made.keeps_groups else most_bytes(source.schema, _All())
    return None if most is None else AtMost(max(most, items.longest))


def longest_out(step: StepProgram) -> int | None:
    """What an answer takes at most, whichever model gives it. The state of a loop and a vector, written out, have no bound."""
    if step.turn or step.linked.step.is_embedding:
        return None
    most = [out_of(part).most for part in step.all_parts]
    return None if None in most else max(number or 0 for number in most)


def bound_in(program: Program, name: str, counts: Counts, lanes: Lanes) -> int | None:
    """The most tokens of a step's question: its template (once more for each answer that it may loop over), what it
    reads of inputs and rows, and the answers that it waits for at their caps. None where one of these has no bound.

    `counts` says how many items each step has, `lanes` what is known of their items.
    """
    step = program.steps[name]
    linked = step.linked
    if linked.files:
        return step.route.facts.context_tokens  # nothing less is sure of files that were not looked at
    own = bound_of_own(program, step, lanes, 1 + _looped_over(program, step, counts))
    read = [bound_of_needs(program, step, [need], counts, _times_read(step, need)) for need in linked.needs]
    return None if own is None or None in read else own + sum(tokens or 0 for tokens in read)


def bound_of_own(program: Program, step: StepProgram, lanes: Lanes, repeated: int = 1) -> int | None:
    """The most tokens of what is known of a question already: its texts, its schema, inputs and rows."""
    linked = step.linked
    size = sum(len(text.encode()) for text in step.texts) * repeated
    size += len(ordered(step.sent_schema)) if step.sent_schema is not None else 0
    size += sum(len(ordered(tool.parameters.bundled)) for tool in linked.tools.values() if tool.parameters)
    size += sum(len(ordered(program.inputs.get(read))) for read in linked.inputs)
    if not linked.item_fields:
        return tokens_of(size)
    if linked.lane not in lanes:
        return None
    return tokens_of(size) + tokens_of(lanes[linked.lane].longest)


def bound_of_needs(program: Program, step: StepProgram, needs: Iterable[str], counts: Counts, times: int) -> int | None:
    """The most tokens of answers that are read, each so many times."""
    total = 0
    for need in needs:
        other = program.steps[need]
        items = counts[need] if need in step.linked.barriers else 1
        most = longest_out(other)
        if most is None or items is None:
            return None
        total += most * items * (other.linked.step.samples or 1) * times
    return total


def _times_read(step: StepProgram, need: str) -> int:
    """How often an answer may stand in the question."""
    times = sum(use.step == need for use in step.linked.uses)
    return max(1, times - speaks_of_many(step))  # what a list is named for is not said there


def speaks_of_many(step: StepProgram) -> bool:
    """Whether a text may be repeated for the elements of a list."""
    return any(_LOOP.search(text) for text in step.texts) or any(entry.inner for entry in step.linked.messages)


def _looped_over(program: Program, step: StepProgram, counts: Counts) -> int:
    """Of how many answers a text may speak one by one; those of a list that is not known have no bound anyway."""
    if not speaks_of_many(step):
        return 0
    read = step.linked.barriers & step.linked.answers
    return sum((counts[need] or 0) * (program.steps[need].linked.step.samples or 1) for need in read)


def ceiling_usd(program: Program, data: Mapping[str, Items], steps: frozenset[str]) -> float | None:
    """What these steps cost at most if nothing is stored and nothing is skipped; None where that has no bound."""
    linked = program.linked
    lanes = {name: data[lane.data] for name, lane in linked.lanes.items() if lane.data in data}
    counts = {
        name: 1 if not step.linked.lane else len(lanes[step.linked.lane]) if step.linked.lane in lanes else None
        for name, step in program.steps.items()
    }
    return plus(*(_step_usd(program, name, counts, lanes) for name in steps))


def _step_usd(program: Program, name: str, counts: Counts, lanes: Lanes) -> float | None:
    step = program.steps[name]
    settings = step.linked.step
    if all(part.is_free for part in step.all_parts):
        return 0.0
    items = counts[name]
    if items is None or step.turn:
        return None
    given = bound_in(program, name, counts, lanes)
    one = plus(*(longest_chain_usd(part, given, out_of(part).most) for part in step.all_parts))
    return plus(times(one, items * (settings.samples or 1)), store_bound_usd(step, given) if items else 0.0)


def store_bound_usd(step: StepProgram, given: int | None) -> float | None:
    """What a step may spend on keeping when a question has at most so many tokens."""
    if step.context is None:
        return 0.0
    price = step.route.facts.price
    return plus(making_usd(given, price), keeping_usd(given, step.context.ttl_s, price))
