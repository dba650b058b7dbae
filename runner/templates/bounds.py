"""What one rendering may use. A template can be a stranger's, so none may hang the program or eat its memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.long_list import LongList

# How much work passes between two looks at the clock.
_LOOK_EVERY = 1_000_000
# What handling one element costs, in characters of text: lists of short things are not free.
ELEMENT = 8
_ITERATION = 64
_CALL = 4
_CONTAINERS = (dict, list, tuple, LongList)
_HEAVY = (str, *_CONTAINERS)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one rendering; `iterations` are rounds of loops, and `work` counts characters of
    all text made on the way, also if thrown away.
    """

    iterations: int = 1_000_000
    range_size: int = 100_000
    output_characters: int = 64_000_000
    work: int = 256_000_000
    nodes: int = 4_000_000
    width: int = 10_000
    depth: int = 40
    seconds: float = 10.0


class LimitReached(Exception):
    """A rendering would use more than it may; the message names the limit."""


class Meter(threading.local):
    """Counts what the rendering of this thread has used.

    Texts are charged by their length and lists by their elements, before they are made. The clock is only a
    backstop, so its reading never decides about a text that stays within the other limits.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """Forget what earlier renderings used."""
        self._iterations = self.limits.iterations
        self._work = self.limits.work
        self._look_below = self._work - _LOOK_EVERY
        self._deadline = self._clock() + self.limits.seconds
        self._depth = 0

    def charge(self, amount: int) -> None:
        self._work -= amount
        if self._work < self._look_below:
            self._look_closer()

    def charge_text(self, length: int) -> None:
        """Charge a text that is about to be made; one text alone may not be larger than the whole output."""
        if length > self.limits.output_characters:
            raise LimitReached(f"a text of more than {self.limits.output_characters:,} characters would be made")
        self.charge(length)

    def look(self) -> None:
        """Refuse to go on when the time is over."""
        if self._clock() > self._deadline:
            raise LimitReached(f"the template takes longer than {self.limits.seconds:g} s to render")

    def enter(self) -> None:
        self._depth += 1
        self.iterate(_CALL)
        if self._depth > self.limits.depth:
            raise LimitReached(f"macros and recursive loops call each other more than {self.limits.depth} levels deep")

    def leave(self) -> None:
        self._depth -= 1

    def iterate(self, times: int) -> None:
        self._iterations -= times
        if self._iterations < 0:
            raise LimitReached(
                f"the template's loops and macros run more than {self.limits.iterations:,} rounds in all"
            )
        self.charge(times * _ITERATION)

    def ensure_width(self, width: int, what: str) -> None:
        if abs(width) > self.limits.width:
            raise LimitReached(
                f"{what} of {width:,} is more than the {self.limits.width:,} that a template may ask for"
            )

    def ensure_range(self, size: int) -> None:
        if size > self.limits.range_size:
            raise LimitReached(f"a range of {size:,} numbers is more than the {self.limits.range_size:,} allowed")

    def weigh(self, value: Json) -> None:
        """Charge a value with all that is inside, as often as it is inside: `[x, x]` in a loop doubles quickly."""
        self._weigh(value, 0)

    def _weigh(self, value: Json, nodes: int) -> int:
        """How many elements are inside, beside those that were counted before."""
        stack = [value]
        while stack:
            current = stack.pop()
            if isinstance(current, str):
                self.charge(len(current))
                continue
            if not isinstance(current, _CONTAINERS):
                continue
            nodes += len(current)
            if nodes > self.limits.nodes:
                raise LimitReached(f"a value has more than {self.limits.nodes:,} elements inside")
            self.charge(ELEMENT * len(current))
            if isinstance(current, LongList):
                for element in current:
                    nodes = self._weigh(element, nodes)
            else:
                inner = current.values() if isinstance(current, dict) else current
                stack += [element for element in inner if isinstance(element, _HEAVY)]
        return nodes

    def _look_closer(self) -> None:
        if self._work < 0:
            raise LimitReached(f"the template makes more than {self.limits.work:,} characters on its way")
        self._look_below = self._work - _LOOK_EVERY
        self.look()


class Counted:
    """A list that a loop walks over: its length is charged at once, the clock is looked at on the way."""

    __slots__ = ("_items", "_meter")

    def __init__(self, items: Any, meter: Meter) -> None:
        self._items = items
        self._meter = meter
        meter.iterate(len(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        look = self._meter.look
        for index, item in enumerate(self._items):
            if index & 63 == 63:
                look()
            yield item
