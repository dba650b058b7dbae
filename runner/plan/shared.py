"""How much of a rendered question is the same for all items of its step, and what that comes to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.call import Call, Message, SharedPart
from runner.core.context import ContextCache
from runner.core.frozen import replace
from runner.core.model import Price, Route
from runner.core.workflow import Step
from runner.dialects.contexts import keeps_contexts
from runner.link.parts import LinkedStep
from runner.plan.estimate import MILLION, Counter, media_tokens, tokens_in

HOUR_S = 3600.0


def context_of(linked: LinkedStep, route: Route, *, is_batch: bool) -> ContextCache | None:
    """How a step keeps what its questions share; None where it does not, or cannot."""
    found = linked.shared
    if found is None or why_not_kept(linked.step, route) or is_batch or not found.is_system:
        return None
    has_any = linked.system is not None or found.messages or found.files or linked.step.tools
    return linked.step.context_cache if has_any else None


def why_not_kept(step: Step, route: Route) -> str:
    """Why nothing of the questions of a step is kept whatever they share, or ""."""
    if not keeps_contexts(route.provider):
        return f"'{route.provider.name}' keeps no parts of questions that it can be told of"
    if step.for_each is None:
        return "only a step with for_each has questions that share a part"
    if step.tool_choice not in ("", "auto"):
        return "its first question says otherwise than those after it which tools are called"
    return ""


def shared_part(
    linked: LinkedStep, texts: Sequence[int], files: Sequence[int], messages: Sequence[Message]
) -> SharedPart:
    """`texts` and `files` are how many messages and files each entry came to. At least the last turn is left to ask."""
    found = linked.shared
    assert found is not None, "a step that keeps nothing has no shared part"
    count = min(sum(texts[: found.messages]), len(messages) - 1)
    shown = next((number for number, one in enumerate(messages) if one.files), len(messages))
    same = sum(files[: found.files])
    if shown < count and same < sum(files):
        count = shown  # the message itself is the same for all, and what it shows is not
    return SharedPart(count, same if shown == count else 0)


def shared_call(call: Call) -> Call:
    """What of a question is kept, as a question: for counting it."""
    shared = call.shared or SharedPart()
    first, rest = call.messages[: shared.messages], call.messages[shared.messages :]
    if shared.files:
        first = (*first, replace(rest[0], text="", files=rest[0].files[: shared.files]))
    return Call(call.model, first, system=call.system, tools=call.tools)


def shared_tokens(call: Call, counter: Counter | None = None) -> int:
    """The tokens of what is kept, counted or estimated as those of the question are."""
    kept = shared_call(call)
    return tokens_in(kept, counter) + media_tokens(kept)


def making_usd(tokens: int | None, price: Price | None) -> float | None:
    """What it costs to hand over what is kept: it is read as any input."""
    if price is None or tokens is None:
        return None if price is None or not price.is_free else 0.0
    tier = price if price.long is None or tokens <= price.long.over else price.long
    return tokens * tier.input / MILLION


def keeping_usd(tokens: int | None, ttl_s: float, price: Price | None) -> float | None:
    """What it costs to keep it for so long."""
    if price is not None and price.is_free:
        return 0.0
    if price is None or price.storage is None or tokens is None:
        return None
    return tokens * price.storage * (ttl_s / HOUR_S) / MILLION


def calls_worth_it(ttl_s: float, price: Price | None) -> int | None:
    """From how many calls on it costs less to keep a part than to send it each time; None where that is not known,
    0 where it never does.
    """
    if price is None or price.storage is None or price.cached_input is None:
        return None
    saved = price.input - price.cached_input
    if saved <= 0:
        return 0
    return int((price.input + price.storage * ttl_s / HOUR_S) / saved) + 1


def saved_usd(tokens: int, whole: int, price: Price | None) -> float:
    """What one question of so many tokens costs less when so many of them are kept."""
    if price is None:
        return 0.0
    tier = price if price.long is None or whole <= price.long.over else price.long
    return 0.0 if tier.cached_input is None else tokens * (tier.input - tier.cached_input) / MILLION
