"""Questions whose shared part is kept at the provider: kept before the first is sent, named in each, paid from the purse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from runner.core.context import ContextCache, ContextKeeper, Divided, Kept
from runner.core.events import ContextEnded, ContextKept, Noted
from runner.core.frozen import dataclass, replace
from runner.core.outcome import RETRIED_KINDS, Failure, FailureKind
from runner.core.ports import CallFailed, Clock, EventSink
from runner.core.request import Request
from runner.execute.spending import Amount, Purse
from runner.plan.advance import Ask
from runner.plan.estimate import plus
from runner.plan.program import StepProgram
from runner.plan.shared import keeping_usd, making_usd, shared_tokens

# What a provider may say to a question that names what it no longer has.
SUSPECT = frozenset({400, 403, 404})
# The Gemini API and Vertex AI say in words of their own that there is too little to keep.
TOO_SMALL = ("too small", "minimum token count to start caching")

Send = Callable[[Request], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class _Made:
    """What this run made: whose it is, and since when."""

    step: StepProgram
    divided: Divided
    kept: Kept
    tokens: int
    made_at: float


class ContextUse:
    """The contexts of one run. `is_worth` says of a step by its name whether a part of its questions is kept at all."""

    def __init__(
        self, keeper: ContextKeeper, clock: Clock, emit: EventSink, is_worth: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._keeper = keeper
        self._clock = clock
        self._emit = emit
        self._is_worth = is_worth
        self._idents: dict[str, str] = {}
        self._whole: set[str] = set()
        self._refused: dict[str, Failure] = {}
        self._told: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self._made: list[_Made] = []

    async def send(self, step: StepProgram, ask: Ask, purse: Purse, send: Send) -> bytes:
        """The payload of the answer. What has expired meanwhile is made anew, once. Raises CallFailed."""
        if step.context is None or not self._is_divided(step):
            return await send(ask.request)
        divided = step.divide(ask.call, ask.request)
        if self._idents.setdefault(step.full_name, divided.ident) != divided.ident:
            return await send(ask.request)  # there is one for a step: to keep many would cost more than it saves
        for is_last in (False, True):
            async with self._locks.setdefault(divided.ident, asyncio.Lock()):  # the first one decides for all
                kept = await self._kept(step, step.context, ask, divided, purse)
            if kept is None:
                break
            try:
                return await send(divided.naming(kept.name))
            except CallFailed as error:
                if is_last or error.failure.status not in SUSPECT:
                    raise
                if not await self._keeper.is_gone(step.route, divided, kept):
                    raise
        return await send(ask.request)

    async def end(self) -> None:
        """Delete what this run made for itself only; what cannot be deleted expires."""
        for one in self._made:
            if one.step.context is None or not one.step.context.is_deleted:
                continue
            try:
                await self._keeper.drop(one.step.route, one.divided, one.kept)
            except CallFailed as error:
                text = f"what {one.step.full_name} kept could not be deleted, and expires: {error.failure.message}"
                self._emit(Noted("context", text))
                continue
            seconds = max(0.0, self._clock.now() - one.made_at)
            usd = keeping_usd(one.tokens, seconds, one.step.route.facts.price)
            self._emit(ContextEnded(one.step.owner, one.kept.name, seconds, usd))
        self._made.clear()

    def _is_divided(self, step: StepProgram) -> bool:
        if step.full_name not in self._told and not self._is_worth(step.full_name):
            self._told.add(step.full_name)
            self._whole.add(step.full_name)
        return step.full_name not in self._whole

    async def _kept(
        self, step: StepProgram, context: ContextCache, ask: Ask, divided: Divided, purse: Purse
    ) -> Kept | None:
        """What the provider keeps; None where it keeps nothing so small. Raises CallFailed."""
        if step.full_name in self._whole:
            return None
        if divided.ident in self._refused:
            raise CallFailed(self._refused[divided.ident], requests=0)
        likely = _amount(step, shared_tokens(ask.call), context.ttl_s)
        paid: list[Amount] = []

        def allow() -> Failure | None:
            refused = purse.pay(likely)
            paid.extend([likely] if refused is None else [])
            return refused

        def tell(made: Kept) -> None:
            tokens = _tokens(made, ask)
            purse.add(_amount(step, tokens, context.ttl_s))
            self._made.append(_Made(step, divided, made, tokens, self._clock.now()))
            self._tell(step, ask, made, is_new=True)

        try:
            kept = await self._keeper.keep(step.route, divided, context.ttl_s, allow, tell)
        except CallFailed as error:
            self._ensure_small(step, divided, error.failure)
            return None
        finally:
            for one in paid:
                purse.give_back(one)
        self._tell(step, ask, kept, is_new=False)
        return kept

    def _ensure_small(self, step: StepProgram, divided: Divided, failure: Failure) -> None:
        """What is too small to be kept is sent; anything else is a failure of the question. Raises CallFailed."""
        if failure.status == 400 and any(words in failure.message.lower() for words in TOO_SMALL):
            self._whole.add(step.full_name)
            text = f"what the questions of {step.full_name} share is sent with each: {failure.message}"
            self._emit(Noted("context", text))
            return
        if failure.kind is FailureKind.BUDGET:
            raise CallFailed(failure, requests=0)
        # An answer that is lost costs nothing twice: what was made is found by its name.
        kind = FailureKind.TRANSIENT if failure.kind is FailureKind.UNKNOWN_DELIVERY else failure.kind
        text = f"what all questions of {step.full_name} share could not be kept: {failure.message}"
        failure = replace(failure, kind=kind, message=text)
        if kind not in RETRIED_KINDS:
            self._refused[divided.ident] = failure
        raise CallFailed(failure, requests=0)

    def _tell(self, step: StepProgram, ask: Ask, kept: Kept, *, is_new: bool) -> None:
        """Once of each."""
        if kept.name in self._told or step.context is None:
            return
        self._told.add(kept.name)
        tokens, price = _tokens(kept, ask), step.route.facts.price
        made_usd, kept_usd = making_usd(tokens, price), keeping_usd(tokens, step.context.ttl_s, price)
        left_s = step.context.ttl_s if is_new else max(0.0, kept.expires_at - self._clock.now())
        costs = (made_usd, kept_usd) if is_new else (0.0, 0.0)
        self._emit(ContextKept(step.owner, step.route.name, kept.name, tokens, left_s, *costs, is_new))


def _tokens(kept: Kept, ask: Ask) -> int:
    """As the provider counted them, else as they are estimated."""
    return shared_tokens(ask.call) if kept.tokens is None else kept.tokens


def _amount(step: StepProgram, tokens: int, ttl_s: float) -> Amount:
    price = step.route.facts.price
    return Amount(plus(making_usd(tokens, price), keeping_usd(tokens, ttl_s, price)) or 0.0, tokens)
