"""Patterns that a backtracking engine may try for ever: ambiguous loops that end in a failure.

A loop is exponentially ambiguous when one text leads from a position back to it in two ways; then every further round
doubles the tries. A chain of loops that share letters costs a power of the length: harmless for a few, not for many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import lru_cache

from runner.checks.automaton import Automaton, NotRead, read_pattern
from runner.core.frozen import dataclass

# Fewer loops in a row, each of which can take the letters of the next, are found in many good patterns.
_LONGEST_CHAIN = 6
_MOST_STEPS = 50_000


@dataclass(frozen=True, slots=True)
class Slow:
    """What a pattern stumbles over: `letters` repeated. `power` is 0 where the time doubles with each further one."""

    letters: str
    power: int
    is_linear_here: bool


@lru_cache(maxsize=256)
def slow_text(pattern: str) -> Slow | None:
    """A text that a backtracking engine would choke on, None where there is none or it cannot be known."""
    try:
        automaton = read_pattern(pattern)
    except NotRead:
        return None
    for part in (automaton, *_beside(automaton)):
        found = _doubled(part)
        if found:
            return Slow(found, 0, automaton.is_linear)
    for part in (automaton, *_beside(automaton)):
        chain = _longest_chain(part)
        if len(chain) >= _LONGEST_CHAIN:
            return Slow(part.letter(part.reads[chain[-1]]), len(chain), automaton.is_linear)
    return None


def _beside(automaton: Automaton) -> Iterator[Automaton]:
    for inner in automaton.aside:
        yield inner
        yield from _beside(inner)


# --- loops that can be walked in two ways


def _doubled(automaton: Automaton) -> str:
    """The text of a round that can be walked in two ways, "" where there is none that may fail in the end."""
    nexts = _nexts(automaton)
    for loop in _loops(nexts):
        if loop & automaton.last or _takes_all(loop, nexts, automaton):
            continue  # whatever comes, a match has been found by now
        for place in sorted(loop):
            twice = next((to for to in nexts[place] if to in loop and automaton.follows[place, to] > 1), None)
            if twice is not None and automaton.reads[twice]:
                return _round(twice, place, nexts, automaton)
        found = _two_ways(loop, nexts, automaton)
        if found:
            return found
    return ""


def _nexts(automaton: Automaton) -> list[list[int]]:
    nexts: list[list[int]] = [[] for _ in automaton.reads]
    for place, to in automaton.follows:
        if automaton.reads[place] and automaton.reads[to]:
            nexts[place].append(to)
    return nexts


def _loops(nexts: list[list[int]]) -> list[frozenset[int]]:
    """The sets of positions that lead to each other."""
    reach = [_reached(place, nexts) for place in range(len(nexts))]
    found = {frozenset(to for to in reach[place] if place in reach[to]) for place in range(len(nexts))}
    return sorted((loop for loop in found if loop), key=min)


def _reached(start: int, nexts: list[list[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(nexts[start])
    while waiting:
        place = waiting.pop()
        if place not in found:
            found.add(place)
            waiting += nexts[place]
    return found


def _takes_all(loop: frozenset[int], nexts: list[list[int]], automaton: Automaton) -> bool:
    """Whether anything at all may follow the loop, up to the end."""
    everything = (1 << len(automaton.letters)) - 1
    exits = {to for place in loop for to in nexts[place]}
    return any(automaton.reads[to] == everything and to in nexts[to] for to in exits)


def _round(start: int, end: int, nexts: list[list[int]], automaton: Automaton) -> str:
    """The letters of the shortest way from a position to another, both read."""
    way: dict[int, int | None] = {start: None}
    waiting = deque([start])
    while end not in way:
        place = waiting.popleft()
        for to in nexts[place]:
            if to not in way:
                way[to] = place
                waiting.append(to)
    letters = ""
    back: int | None = end
    while back is not None:
        letters = automaton.letter(automaton.reads[back]) + letters
        back = way[back]
    return letters


Pair = tuple[int, int]


def _two_ways(loop: frozenset[int], nexts: list[list[int]], automaton: Automaton) -> str:
    """A text by which one position leads back to itself in two ways that differ on the way."""
    inside = {place: [to for to in nexts[place] if to in loop] for place in loop}
    parted = [
        (place, (one, other))
        for place in sorted(loop)
        for one in inside[place]
        for other in inside[place]
        if one < other and automaton.reads[one] & automaton.reads[other]
    ]
    steps = 0
    for place, pair in parted:
        way, taken = _back_together(pair, place, inside, automaton)
        steps += taken
        if way or steps > _MOST_STEPS:
            return way
    return ""


def _back_together(start: Pair, place: int, inside: dict[int, list[int]], automaton: Automaton) -> tuple[str, int]:
    """The letters by which two different positions come together at one place, and how many pairs were looked at."""
    reads = automaton.reads
    letters = {start: automaton.letter(reads[start[0]] & reads[start[1]])}
    waiting = deque([start])
    while waiting:
        pair = waiting.popleft()
        if pair == (place, place):
            return letters[pair], len(letters)
        for one in inside[pair[0]]:
            for other in inside[pair[1]]:
                to, common = (min(one, other), max(one, other)), reads[one] & reads[other]
                if common and to not in letters:
                    letters[to] = letters[pair] + automaton.letter(common)
                    waiting.append(to)
    return "", len(letters)


# --- loops in a row


def _longest_chain(automaton: Automaton) -> list[int]:
    """Positions that repeat by themselves, each leading to the next by letters that both of them take."""
    nexts = _nexts(automaton)
    single = [place for place, to in enumerate(nexts) if place in to]
    chains: dict[int, list[int]] = {}
    for place in reversed(single):
        followers = [to for to in single if to > place and to in chains and _leads(place, to, nexts, automaton)]
        chains[place] = [place, *max((chains[to] for to in followers), key=len, default=[])]
    return [] if not chains else max((c for c in chains.values() if not set(c) & automaton.last), key=len, default=[])


def _leads(place: int, to: int, nexts: list[list[int]], automaton: Automaton) -> bool:
    both = automaton.reads[place] & automaton.reads[to]
    found: set[int] = set()
    waiting = [place]
    while waiting and both:
        for following in nexts[waiting.pop()]:
            if following == to:
                return True
            if following not in found and following != place and automaton.reads[following] & both:
                found.add(following)
                waiting.append(following)
    return False
