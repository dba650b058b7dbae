"""Before the first call of a run: must it cost more than it may, and does somebody agree to what it may cost?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from runner.app.budget import limits_in_words, said_by
from runner.app.counting import counters_of
from runner.app.data import aside_of
from runner.app.kept_contexts import kept_for
from runner.app.looking import history
from runner.app.types import RunOptions
from runner.core.answer import StoredAnswer
from runner.core.budget import Allowance, Limit, dollars, in_words
from runner.core.errors import OverBudget, UsageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.plan.bounds import ceiling_usd
from runner.plan.items import Items
from runner.plan.plan import make_plan
from runner.plan.planned import Plan, StepPlan
from runner.plan.program import Program
from runner.plan.stages import RunState
from runner.report.format import count

CONSENT_USD = 1.0
WAYS = "--yes, or --max-cost USD, which also stops the run there; 'runner plan' shows what each step may cost"


@dataclass(frozen=True, slots=True)
class Money:
    """What is asked about: the steps that may be called in this run, and its bounds."""

    workflow: str
    program: Program
    data: Mapping[str, Items]
    steps: frozenset[str]
    allowance: Allowance

    @property
    def paid_steps(self) -> list[str]:
        """The steps that are not known to be free."""
        steps = {name: self.program.steps[name] for name in sorted(self.steps)}
        return [name for name, step in steps.items() if not all(part.is_free for part in step.all_parts)]


def check_money(
    money: Money, options: RunOptions, root: Path, lookup: Callable[[Sequence[str]], Mapping[str, StoredAnswer]]
) -> None:
    """Raises OverBudget when the certain calls cost more than the run may, UsageError without a needed consent.

    A cheap upper bound comes first; only where it does not settle the matter is the run planned.
    """
    bounds = money.allowance
    if options.tell and bounds.is_bounded:
        options.tell(f"budget: {limits_in_words(bounds)}")
    needs_consent = bool(money.paid_steps) and not options.has_consent and options.max_cost is None
    if not needs_consent and not bounds.is_bounded:
        return
    threshold = _threshold(bounds, options)
    if bounds.calls is None and bounds.tokens is None and _is_cheap(money, threshold if needs_consent else None):
        return
    state = RunState(money.program, money.data, aside_of(root), keeps="steps")
    past, counters = history(root, money.workflow), counters_of(money.program)
    plan = make_plan(state, lookup, lambda _: "", past, None, counters, kept_for=kept_for(root))
    over = tuple(_over(plan, bounds))
    if over:
        raise OverBudget(over)
    if needs_consent:
        _need_consent(plan, threshold, options)


def _threshold(bounds: Allowance, options: RunOptions) -> float:
    """Above how many dollars consent is needed."""
    if options.consent_usd is not None:
        return options.consent_usd
    return CONSENT_USD if bounds.usd is None else bounds.usd.amount


def _is_cheap(money: Money, threshold: float | None) -> bool:
    """Whether all that may be called is certain to cost no more than what is free to spend."""
    most = ceiling_usd(money.program, money.data, money.steps)
    limits = [threshold, money.allowance.usd.amount if money.allowance.usd else None]
    return most is not None and all(limit is None or most <= limit for limit in limits)


# The budget


def _over(plan: Plan, bounds: Allowance) -> Iterator[Problem]:
    for kind, limit, needed in (
        ("usd", bounds.usd, plan.least_usd),
        ("calls", bounds.calls, plan.calls),
        ("tokens", bounds.tokens, plan.least_tokens),
    ):
        if limit is not None and needed > limit.amount:
            yield _too_much(kind, limit, needed, plan)


def _too_much(kind: str, limit: Limit, needed: float, plan: Plan) -> Problem:
    words = {"usd": dollars(needed), "calls": f"{needed:,.0f} calls", "tokens": f"{needed:,.0f} tokens"}
    calls = count(plan.calls, "call")
    takes = f"{calls}, which take at least {words[kind]}" if kind != "calls" else words[kind]
    return Problem(
        "over-budget",
        f"the run needs {takes}, more than its budget of {in_words(limit, kind)}; nothing was called",
        limit.span,
        notes=said_by(limit),
        fix="raise the budget, or ask less: fewer rows, shorter prompts; 'runner plan' shows what each step takes",
    )


# Consent


def _need_consent(plan: Plan, threshold: float, options: RunOptions) -> None:
    unpriced = sorted({step.model for step in plan.steps if step.may_be_asked and step.is_unpriced})
    why = _why(plan, threshold, unpriced)
    if not why:
        return
    fix = ways_for(unpriced)
    worst = plan.worst_calls
    certain = f"{count(plan.calls, 'call')}, {dollars(plan.cost_usd)}"
    most = "not known" if worst is None else f"{count(worst, 'call')}, {dollars(plan.worst_usd)}"
    if options.ask is not None:
        if options.ask(f"{why} (certain: {certain}; at most: {most})"):
            return
        raise UsageError(Problem("not-agreed", "the run was not started, and nothing was called", fix=fix))
    notes = (("certain", certain), ("at most", most))
    raise UsageError(Problem("needs-consent", f"{why}; nothing was called", notes=notes, fix=fix))


def ways_for(unpriced: Sequence[str]) -> str:
    """How to consent; a bound of money does not hold for models that have no price."""
    if not unpriced:
        return WAYS
    priced = f"what it costs under 'prices' in runner.yaml, such as {{{unpriced[0]}: free}}"
    return f"--yes, or {priced}; --max-cost counts only what has a price"


def _why(plan: Plan, threshold: float, unpriced: Sequence[str]) -> str:
    """Why somebody must agree, or ""."""
    if unpriced:
        return f"what this run costs is not known, since {', '.join(unpriced)} {'has' if len(unpriced) == 1 else 'have'} no price"
    unkept = next((step for step in plan.steps if _is_kept_unpriced(step)), None)
    if unkept is not None:
        return f"what this run costs is not known, since nothing says what {unkept.model} takes for keeping tokens ('storage' of its price does)"
    if plan.worst_usd is None:
        return f"this run may cost more than {dollars(threshold)}: {_why_unbounded(plan)}"
    if plan.worst_usd > threshold:
        return f"this run may cost up to {dollars(plan.worst_usd)}, more than {dollars(threshold)}"
    return ""


def _is_kept_unpriced(step: StepPlan) -> bool:
    """Whether the step keeps something at a price that is not known; its length may be what is not."""
    context = step.context
    has_tokens = context is not None and context.tokens is not None
    return context is not None and context.is_kept and has_tokens and context.worst_store_usd is None


def _why_unbounded(plan: Plan) -> str:
    step = next(step for step in plan.steps if step.worst_usd is None)
    if step.items is None:
        return f"how often '{step.step}' is asked is known after {', '.join(step.after)}"
    return f"nothing bounds the answers of '{step.step}' (max_output_tokens does)"
