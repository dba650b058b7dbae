"""When a request may go out: the project's limits, what the provider says of its own, and what its refusals teach.

All callers of one model with one key wait in one line, and only the first of them watches the clock.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final

from runner.core.frozen import dataclass
from runner.core.limits import Beside, RateLimit, Room
from runner.core.model import Route
from runner.core.outcome import Failure
from runner.core.ports import Clock
from runner.core.response import Usage
from runner.core.traffic import Traffic
from runner.execute.learning import Learnt, Sent, is_overload
from runner.execute.pacing import Pace
from runner.execute.room import Rooms, Total
from runner.execute.slowing import Slowing

SILENT_S: Final = 600.0
UNREACHED: Final = 5
"""So many requests in a row that reach nobody, before the first answer of a run, are enough."""


class InFlight:
    """`async with in_flight:` holds one of `limit` places; `highest` is the most that were ever held."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("at least one request must be allowed at once")
        self._line: deque[asyncio.Future[None]] = deque()
        self.limit = limit
        self.now = 0
        self.highest = 0

    async def __aenter__(self) -> None:
        # Not asyncio's semaphore, which looks at all who wait whenever a place becomes free.
        if self.now < self.limit:
            self.now += 1
            self.highest = max(self.highest, self.now)
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was free already, and is the next one's
                self._hand_on()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        """Give a place to the first who waits, without letting it go in between."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.now -= 1


@dataclass(frozen=True, slots=True)
class Size:
    """The tokens of a request: of its question, and those that its answer will most likely have."""

    input: float = 0.0
    output: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A request that may go out, with what was taken from the limits for it."""

    sent: Sent
    size: Size
    total: Total = Total()
    """All that was let through until then, with this request."""


TokensOf = Callable[[], int]
"""Counts the tokens of a question, where a limit asks for them."""


class _Rule:
    """One entry of `limits`, as one model has used it up."""

    def __init__(self, given: RateLimit) -> None:
        self.given = given
        per_s = given.per_s
        self.requests = Pace(given.requests, per_s) if given.requests else None
        kinds = ((given.tokens, (1, 1)), (given.input_tokens, (1, 0)), (given.output_tokens, (0, 1)))
        self._tokens = [(Pace(most, per_s), weights) for most, weights in kinds if most]

    @property
    def per_s(self) -> float | None:
        """Requests a second, where they are bounded."""
        return None if self.given.requests is None else self.given.requests / self.given.per_s

    @property
    def counts_tokens(self) -> bool:
        return bool(self._tokens)

    def wait_s(self, now: float, in_flight: int) -> float:
        if self.given.in_flight is not None and in_flight >= self.given.in_flight:
            return math.inf
        waits = [pace.wait_s(now) for pace, _ in self._tokens]
        return max(self.requests.wait_s(now) if self.requests else 0.0, *waits, 0.0)

    def take(self, now: float, size: Size) -> None:
        if self.requests is not None:
            self.requests.take(now)
        for pace, weights in self._tokens:
            pace.take(now, _weigh(size, weights))

    def correct(self, held: Size, used: Size) -> None:
        for pace, weights in self._tokens:
            pace.correct(_weigh(used, weights) - _weigh(held, weights))


class Limiter:
    """The line before one model with one key."""

    def __init__(self, name: str, clock: Clock, chance: Callable[[], float], rules: Sequence[RateLimit] = ()) -> None:
        self.name = name
        self.learnt = Learnt()
        self.slowing = Slowing()
        self.rules = [_Rule(rule) for rule in rules]
        self.in_flight = 0
        self.waiting = 0
        self.unreached = 0
        """Requests in a row that reached nobody."""
        self._clock = clock
        self._chance = chance
        self._counts_tokens = any(rule.counts_tokens for rule in self.rules)
        self._answers = 0
        self._mean_output = 0.0
        self._line = asyncio.Lock()
        self._changed = asyncio.Event()
        self._rooms = Rooms()
        self._total = Total()

    def try_enter(self, tokens_of: TokensOf) -> Turn | None:
        """A turn, if nobody waits and nothing is in the way."""
        if self._line.locked():
            return None
        now = self._clock.monotonic()
        return None if self._wait_s(now) > 0 else self._take(now, tokens_of)

    async def enter(self, tokens_of: TokensOf) -> Turn:
        """A turn, as soon as it is this caller's."""
        self.waiting += 1
        try:
            async with self._line:
                while (wait_s := self._wait_s(self._clock.monotonic())) > 0:
                    await self._pause(wait_s)
                return self._take(self._clock.monotonic(), tokens_of)
        finally:
            self.waiting -= 1

    async def _pause(self, wait_s: float) -> None:
        """Until some time has passed, or a request has ended and with it the state has changed."""
        self._changed.clear()
        changing = asyncio.ensure_future(self._changed.wait())
        waits = [changing] if math.isinf(wait_s) else [changing, asyncio.ensure_future(self._clock.sleep(wait_s))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in waits:
                waiting.cancel()

    def _wait_s(self, now: float) -> float:
        if self.slowing.most is not None and self.in_flight >= max(1, int(self.slowing.most)):
            return math.inf
        wait_s = self.learnt.wait_s(now, self.in_flight)
        for rule in self.rules:
            wait_s = max(wait_s, rule.wait_s(now, self.in_flight))
        return max(wait_s, self._rooms.wait_s(now, self._total))

    def _take(self, now: float, tokens_of: TokensOf) -> Turn:
        size = Size(tokens_of(), self._mean_output) if self._counts_tokens else Size()
        for rule in self.rules:
            rule.take(now, size)
        self.in_flight += 1
        before = self._total
        self._total = Total(
            before.requests + 1,
            before.counted + self._counts_tokens,
            before.input + size.input,
            before.output + size.output,
        )
        return Turn(self.learnt.take(now), size, self._total)

    # After a request

    def leave(self, turn: Turn) -> None:
        """A request was not sent after all."""
        self._end(turn, Size())

    def heard(self, turn: Turn, beside: Beside) -> None:
        """What came beside the answer to a request."""
        self._rooms.note(beside.rooms, turn.sent.at, turn.total)
        self._counts_tokens = self._counts_tokens or self._rooms.count_tokens
        if beside.wait_s:
            self.learnt.hold(self._clock.monotonic() + beside.wait_s)

    def ended(self, turn: Turn, end: Usage | Failure) -> None:
        """A request brought an answer that took so much, or a failure."""
        now = self._clock.monotonic()
        if isinstance(end, Failure):
            if is_overload(end):
                self.unreached += end.is_unsent
                self.learnt.refused(turn.sent, now, end, self._chance())
            elif end.status is not None:
                self.unreached = 0
                self.learnt.answered(turn.sent, now)
            self._end(turn, turn.size)
            return
        self.unreached = 0
        self.slowing.answered(now - turn.sent.at, self.in_flight)
        self.learnt.answered(turn.sent, now)
        used = _used(turn.size, end)
        self._answers += 1
        self._mean_output += (used.output - self._mean_output) / self._answers
        self._end(turn, used)

    def _end(self, turn: Turn, used: Size) -> None:
        if self._counts_tokens:
            for rule in self.rules:
                rule.correct(turn.size, used)
        self.in_flight -= 1
        self._changed.set()

    def traffic(self) -> Traffic:
        """What is under way, and the narrowest of what holds it back."""
        now, learnt = self._clock.monotonic(), self.learnt
        given_rate = min((rule.per_s for rule in self.rules if rule.per_s is not None), default=None)
        given_most = min(
            (rule.given.in_flight for rule in self.rules if rule.given.in_flight is not None), default=None
        )
        rate, most, why = given_rate, given_most, "limits in runner.yaml" if self.rules else ""
        if self.slowing.most is not None and (most is None or self.slowing.most < most):
            most, why = max(1, int(self.slowing.most)), "answers became slow"
        if learnt.rate is not None and (rate is None or learnt.rate < rate):
            rate, why = learnt.rate, f"learnt from {_refusals(learnt.refusals)}"
        used_up = self._rooms.waited_for(now, self._total)
        if used_up is not None:
            rate = used_up[1] if used_up[0].of == "requests" else rate
            why = f"{_told(used_up[0])} by what the provider says"
        if learnt.is_probing:
            most, why = 1, f"no answer since {learnt.strikes} refusals: one request at a time"
        elif learnt.resume_at > now:
            why = f"{learnt.resume_at - now:.0f} s until it may be asked again"
        return Traffic(self.name, self.in_flight, self.waiting, rate, most, why)

    @property
    def is_out_of_reach(self) -> bool:
        """Whether nobody is there: for ten minutes, or from the start on."""
        since = self.learnt.silent_since
        if not self.learnt.answers and self.unreached >= UNREACHED:
            return True
        return since is not None and self._clock.monotonic() - since > SILENT_S

    @property
    def why_out_of_reach(self) -> str:
        """The reason in words, which complete a failure's message."""
        if not self.learnt.answers and self.unreached >= UNREACHED:
            return "no request of this run has reached it"
        return f"nothing has been answered for {SILENT_S / 60:.0f} minutes"


def _told(room: Room) -> str:
    """A limit that is used up, in words."""
    what = room.of if room.of in ("requests", "tokens") else f"{room.of} tokens"
    return f"{room.most:,} {what} are used up"


def _refusals(amount: int) -> str:
    return "1 refusal" if amount == 1 else f"{amount:,} refusals"


def _weigh(size: Size, weights: tuple[int, int]) -> float:
    """The tokens that a limit counts: of questions, of answers, or both."""
    return weights[0] * size.input + weights[1] * size.output


def _used(held: Size, usage: Usage) -> Size:
    """What an answer took; what the provider does not count is left at what it was held for."""
    given = held.input if usage.input_tokens is None else usage.input_tokens
    made = held.output if usage.output_tokens is None else usage.output_tokens
    return Size(given, made)


class Limits:
    """The limiters of a run, made when a model is first asked."""

    def __init__(self, clock: Clock, chance: Callable[[], float], rules: Sequence[RateLimit] = ()) -> None:
        self._clock = clock
        self._chance = chance
        self._rules = tuple(rules)
        self._by_route: dict[str, Limiter] = {}
        self._by_key: dict[tuple[str, str, str], Limiter] = {}

    def of(self, route: Route) -> Limiter:
        """The limiter of a model; two names of the same model at the same address with the same key share it."""
        found = self._by_route.get(route.name)
        if found is None:
            provider = route.provider
            key = (provider.base_url or provider.name, provider.key_env, route.model)
            found = self._by_key.get(key)
            if found is None:
                rules = [rule for rule in self._rules if rule.fits(route.name)]
                found = self._by_key[key] = Limiter(route.name, self._clock, self._chance, rules)
            self._by_route[route.name] = found
        return found

    def all(self) -> tuple[Limiter, ...]:
        return tuple(self._by_key.values())

    def traffic(self) -> tuple[Traffic, ...]:
        return tuple(limiter.traffic() for limiter in self.all())
