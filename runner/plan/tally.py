"""What the plan has found of one step so far, and its line of the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field

from runner.core.frozen import dataclass
from runner.core.outcome import Outcome, Status
from runner.plan.bounds import longest_chain_usd
from runner.plan.context_plan import KeptPart, context_plan
from runner.plan.estimate import History, TokensOut, plus, times
from runner.plan.planned import ContextPlan, StepPlan
from runner.plan.program import StepProgram


@dataclass(slots=True)
class Tally:
    """What has been found of one step so far."""

    items: int | None = 0
    cached: int = 0
    calls: int = 0
    unknown: int = 0
    behind: int = 0
    held_up: int = 0
    shared: int = 0
    skipped: int = 0
    failed: int = 0
    failure: str = ""
    input_tokens: int = 0
    least_usd: float = 0.0
    least_tokens: int = 0
    likely_usd: float | None = 0.0
    worst_usd: float | None = 0.0
    kept: KeptPart | None = None
    after: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)


def is_free(step: StepProgram) -> bool:
    """Whether all that it asks is known to cost nothing."""
    return all(part.is_free for part in step.all_parts)


def count_outcome(count: Tally, outcome: Outcome) -> None:
    """Note what became of one item without a question."""
    if outcome.status is Status.SKIPPED:
        count.skipped += 1
    elif outcome.status is not Status.GOOD:
        count.failed += 1
        count.failure = count.failure or (outcome.failure.message if outcome.failure else outcome.because)


def most_usd(step: StepProgram, given: int | None, outs: Mapping[str, TokensOut]) -> float | None:
    """What a question costs at most at one model, repairs included."""
    most = outs[step.full_name].most
    return longest_chain_usd(step, given, most)


@dataclass(frozen=True, slots=True)
class Most:
    """What one item of a step may come to: calls of one sample, dollars, and the tokens of one question."""

    calls: int
    usd: float | None
    tokens_in: int | None


def summed(
    step: StepProgram,
    count: Tally,
    outs: Mapping[str, TokensOut],
    history: History,
    most: Most,
    *,
    has_contexts: bool = False,
) -> StepPlan:
    """Counts to a line of the plan, with money; with `has_contexts` what questions share is kept where that pays."""
    out = outs.get(step.name, TokensOut(None, None))
    settings = step.linked.step
    samples = settings.samples or 1
    may_calls = None if count.items is None else count.unknown * samples * most.calls + count.behind
    if not step.may_ask:
        may_calls = 0
    likely_in = -(-history.input_tokens // history.calls) if history.calls else most.tokens_in
    mean_in = -(-count.input_tokens // count.calls) if count.calls else likely_in
    context = _context(step, count, samples, most) if has_contexts and step.may_ask else None
    store, worst_store, saved, least_store = _storing(context)
    worst = (0.0 if is_free(step) else None) if count.items is None else times(most.usd, count.unknown * samples)
    return StepPlan(
        step=step.name,
        model=step.models,
        thinking=step.thinking or "",
        items=count.items,
        cached=count.cached,
        shared=count.shared,
        calls=count.calls,
        may_calls=may_calls,
        skipped=count.skipped,
        failed=count.failed,
        failure=count.failure,
        after=tuple(sorted(count.after)),
        reasons=dict(count.reasons),
        input_tokens=count.input_tokens if count.calls else (mean_in if may_calls != 0 else 0),
        output_tokens=_times(out.likely, count.calls) if count.calls else (out.likely if may_calls != 0 else 0),
        is_measured=out.is_measured,
        cost_usd=plus(count.likely_usd, store if count.calls else 0.0, -saved),
        worst_usd=plus(count.worst_usd, worst, worst_store) if step.may_ask else 0.0,
        is_selected=step.may_ask,
        least_usd=max(0.0, count.least_usd + least_store * bool(count.calls) - saved),
        least_tokens=count.least_tokens,
        is_unpriced=any(part.route.facts.price is None for part in step.all_parts),
        context=context,
    )


def _storing(context: ContextPlan | None) -> tuple[float | None, float | None, float, float]:
    """What keeping costs, what it may cost, what it saves, and what it costs at least."""
    if context is None:
        return 0.0, 0.0, 0.0, 0.0
    return context.store_usd, context.worst_store_usd, context.saved_usd, context.least_store_usd


def _context(step: StepProgram, count: Tally, samples: int, most: Most) -> ContextPlan | None:
    calls = None if count.items is None else count.calls + count.unknown * samples
    return context_plan(step, count.kept, calls, count.calls, most.tokens_in)


def _times(number: int | None, factor: int) -> int | None:
    return None if number is None else number * factor
