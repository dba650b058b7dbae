"""Holds a run to what it may take: no request starts that would most likely pass the line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runner.core.budget import Allowance, Limit, in_words
from runner.core.frozen import dataclass, replace
from runner.core.outcome import Failure, FailureKind
from runner.core.response import Usage
from runner.plan.chain import Ask
from runner.plan.estimate import LEAST_TOKENS_OUT, media_tokens, price_of, tokens_in, tokens_of
from runner.plan.program import StepProgram


@dataclass(frozen=True, slots=True)
class Amount:
    """Money and tokens. A price that is not known counts as nothing, since nobody can hold a run to it."""

    usd: float = 0.0
    tokens: float = 0.0

    def plus(self, other: Amount, share: float = 1.0) -> Amount:
        return Amount(self.usd + share * other.usd, self.tokens + share * other.tokens)


@dataclass(frozen=True, slots=True)
class Held:
    """What a request under way is taken to cost until it has ended."""

    step: str
    likely: Amount
    is_counted: bool = True


class Purse:
    """What was spent, and what is held for the requests that are under way.

    A request is taken to cost what those of its step took so far on average; before the first has ended, its own
    question and the shortest answer. Near the line a request waits until others have ended and it is known whether
    there is room. With nothing under way it starts as long as the line is not reached, so that a run passes it by no
    more than was under way. The number of requests is known when they start, and is never passed.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._held = Amount()
        self._under_way = 0
        self._means: dict[str, tuple[int, Amount]] = {}
        self._ended = asyncio.Event()
        self.spent = Amount()
        self.calls = 0
        self.unclear_usd = 0.0
        """The part of what was spent that stands for requests without an answer, which may be paid."""
        self.refused_by: tuple[str, Limit] | None = None
        """The line at which a request was refused: its kind and who drew it."""

    async def hold(self, step: StepProgram, ask: Ask) -> Held | Failure:
        """Start a request, as soon as there is room for it; a Failure when the line is reached."""
        while True:
            held = self.take(step, ask)
            if held is not None:
                return held
            await self._ended.wait()

    def take(self, step: StepProgram, ask: Ask) -> Held | Failure | None:
        """Start a request now if there is room for it; None when there may be some later."""
        if not self._allowance.is_bounded or ask.running is not None:  # a tool is no request to a model
            return Held(step.full_name, Amount(), is_counted=False)
        likely = self._likely(step, ask)
        reached = self._reached(step)
        if reached is not None:
            return self._refuse(reached)
        if self._under_way and not self._has_room(likely):
            return None
        return self._start(step, likely)

    def _refuse(self, reached: tuple[str, Limit]) -> Failure:
        self.refused_by = self.refused_by or reached
        return Failure(FailureKind.BUDGET, f"not asked: the budget of {in_words(reached[1], reached[0])} is spent")

    def _start(self, step: StepProgram, likely: Amount) -> Held:
        self._held = self._held.plus(likely)
        self._under_way += 1
        self.calls += 1
        return Held(step.full_name, likely)

    def settle(self, held: Held, paid: Amount | None, *, requests: int = 1, is_unclear: bool = False) -> None:
        """A request has ended: `paid` is what it took, None when it brought no answer (`is_unclear`: maybe paid)."""
        if not held.is_counted:
            return
        self._under_way -= 1
        self._held = self._held.plus(held.likely, -1.0) if self._under_way else Amount()
        self.calls += requests - 1
        if paid is not None:
            number, mean = self._means.get(held.step, (0, Amount()))
            self._means[held.step] = (number + 1, mean.plus(paid.plus(mean, -1.0), 1 / (number + 1)))
            self.spent = self.spent.plus(paid)
        elif is_unclear:
            self.spent = self.spent.plus(held.likely)
            self.unclear_usd += held.likely.usd
        self._ended.set()
        self._ended = asyncio.Event()

    def pay(self, amount: Amount) -> Failure | None:
        """Spend on what is no request to a model, or why not: nobody waits for room here, so that it is there or not."""
        bounds = self._allowance
        after = self.spent.plus(self._held).plus(amount)
        lines = (("usd", bounds.usd, after.usd), ("tokens", bounds.tokens, after.tokens))
        for kind, limit, needed in lines:
            if limit is not None and needed > limit.amount and (kind == "tokens" or amount.usd):
                return self._refuse((kind, limit))
        self.add(amount)
        return None

    def add(self, amount: Amount) -> None:
        self.spent = self.spent.plus(amount)

    def give_back(self, amount: Amount) -> None:
        self.spent = self.spent.plus(amount, -1.0)

    def _likely(self, step: StepProgram, ask: Ask) -> Amount:
        if step.full_name in self._means:
            return self._means[step.full_name][1]
        given = tokens_in(ask.call)
        return Amount(price_of(given, LEAST_TOKENS_OUT, step.route.facts.price) or 0.0, given + LEAST_TOKENS_OUT)

    def _reached(self, step: StepProgram) -> tuple[str, Limit] | None:
        """The line that is reached. A free request never stops at that of money."""
        bounds = self._allowance
        price = step.route.facts.price
        if bounds.calls is not None and self.calls >= bounds.calls.amount:
            return "calls", bounds.calls
        if bounds.tokens is not None and self.spent.tokens >= bounds.tokens.amount:
            return "tokens", bounds.tokens
        if bounds.usd is not None and self.spent.usd >= bounds.usd.amount and not (price is not None and price.is_free):
            return "usd", bounds.usd
        return None

    def _has_room(self, likely: Amount) -> bool:
        bounds = self._allowance
        after = self.spent.plus(self._held).plus(likely)
        has_money = bounds.usd is None or not likely.usd or after.usd <= bounds.usd.amount
        return has_money and (bounds.tokens is None or after.tokens <= bounds.tokens.amount)


def amount_of(usage: Usage, cost: Callable[[Usage], float | None], ask: Ask, payload: bytes) -> Amount:
    """What an answer took. Tokens that the provider did not count are estimated."""
    given = usage.input_tokens
    if given is None:
        given = tokens_in(ask.call) + media_tokens(ask.call)
    made = tokens_of(len(payload)) if usage.output_tokens is None else usage.output_tokens
    whole = replace(usage, input_tokens=given, output_tokens=made)
    return Amount(cost(whole) or 0.0, given + made)
