"""What keeping the shared part of a step's questions costs and saves, and whether it is done. Pure."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.call import Call
from runner.core.context import Divided
from runner.core.frozen import dataclass
from runner.core.long_text import size_of
from runner.plan.estimate import Counter, media_tokens, plus
from runner.plan.planned import ContextPlan
from runner.plan.program import StepProgram
from runner.plan.shared import calls_worth_it, keeping_usd, making_usd, saved_usd, shared_call, shared_tokens

KeptFor = Callable[[StepProgram, Divided], "float | None"]
"""For how many seconds more a provider keeps a part by what is remembered; None where it has to be handed over."""


@dataclass(slots=True)
class KeptPart:
    """What has been found of the part that the certain questions of a step share."""

    tokens: int
    most_tokens: int | None
    left_s: float | None
    saved_usd: float = 0.0

    def count(self, step: StepProgram, given: int) -> None:
        """One more question, of so many tokens."""
        self.saved_usd += saved_usd(self.tokens, given, step.route.facts.price)


def kept_part(step: StepProgram, call: Call, divided: Divided, kept_for: KeptFor, counter: Counter | None) -> KeptPart:
    """No token is shorter than a byte, so that the bytes of texts bound their tokens; of files nothing does."""
    one = shared_call(call)
    has_more = bool(media_tokens(one) or one.tools)
    texts = [one.system or "", *(message.text for message in one.messages)]
    most = None if has_more else sum(map(size_of, texts))
    return KeptPart(shared_tokens(call, counter), most, kept_for(step, divided))


def context_plan(
    step: StepProgram, part: KeptPart | None, calls: int | None, certain: int, bound: int | None
) -> ContextPlan | None:
    """`calls` are all questions that may come, None where that is not known; one of them has at most `bound` tokens."""
    context = step.context
    if context is None or not (certain or calls != 0):
        return None
    price, least = step.route.facts.price, step.route.facts.least_kept_tokens
    worth_from = calls_worth_it(context.ttl_s, price)
    tokens = part.tokens if part is not None else None
    left_s = part.left_s if part is not None else None
    is_too_small = bool(least and part and part.most_tokens is not None and part.most_tokens < least)
    is_enough = worth_from is None or (worth_from > 0 and (calls is None or calls >= worth_from))
    is_kept = not is_too_small and (left_s is not None or is_enough)
    most = tokens if tokens is not None else bound
    making = making_usd(most, price)
    store = plus(making, keeping_usd(most, context.ttl_s, price)) if is_kept else 0.0
    least_store = (making if context.is_deleted else store) if is_kept and left_s is None else 0.0
    return ContextPlan(
        tokens=tokens,
        ttl_s=context.ttl_s,
        store_usd=0.0 if left_s is not None else store,
        worst_store_usd=store,
        saved_usd=part.saved_usd if part is not None and is_kept else 0.0,
        worth_from=worth_from,
        is_kept=is_kept,
        left_s=left_s,
        least_store_usd=least_store or 0.0,
        least_tokens=least if is_too_small or (least and tokens is not None and tokens < least) else None,
    )
