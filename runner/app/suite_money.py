"""Before the first call of a suite: must it cost more than it may, and does somebody agree to what it may cost?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from runner.app.consent import CONSENT_USD, ways_for
from runner.app.looking import history
from runner.core.budget import Allowance, Limit, dollars, in_words
from runner.core.errors import OverBudget, UsageError
from runner.core.problem import Problem
from runner.plan.bounds import ceiling_usd
from runner.plan.plan import make_plan
from runner.plan.planned import Plan
from runner.plan.program import Program
from runner.plan.stages import RunState
from runner.report.format import count

if TYPE_CHECKING:
    from runner.app.suite_session import SuiteSession


def check_suite_money(session: SuiteSession, programs: Sequence[Program], bounds: Allowance) -> None:
    """Raises OverBudget when the certain calls cost more than all may, UsageError without a needed consent.

    A cheap upper bound comes first; only where it does not settle the matter is every case planned.
    """
    options, data = session.options, session.suite.data
    needs_consent = not options.has_consent and options.max_cost is None and not _is_free(programs)
    if not needs_consent and not bounds.is_bounded:
        return
    threshold = options.consent_usd
    if threshold is None:
        threshold = CONSENT_USD if bounds.usd is None else bounds.usd.amount
    if bounds.calls is None and bounds.tokens is None:
        most = _sum(ceiling_usd(program, data, frozenset(program.steps)) for program in programs)
        limits = [threshold if needs_consent else None, bounds.usd.amount if bounds.usd else None]
        if most is not None and all(limit is None or most <= limit for limit in limits):
            return
    past = history(session.suite.project.files.root, session.suite.place)
    lookup = session.answers.lookup
    plans = [make_plan(RunState(program, data), lookup, lambda _: "", past) for program in programs]
    over = tuple(_over(plans, bounds))
    if over:
        raise OverBudget(over)
    if needs_consent:
        _need_consent(session, plans, threshold)


def _is_free(programs: Sequence[Program]) -> bool:
    return all(step.is_free for program in programs for step in program.asked.values())


def _sum(amounts: Iterable[float | None]) -> float | None:
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _over(plans: Sequence[Plan], bounds: Allowance) -> Iterator[Problem]:
    calls = sum(plan.calls for plan in plans)
    usd, tokens = sum(plan.least_usd for plan in plans), sum(plan.least_tokens for plan in plans)
    kinds: tuple[tuple[str, Limit | None, float, str], ...] = (
        ("usd", bounds.usd, usd, f"{count(calls, 'call')}, which take at least {dollars(usd)}"),
        ("calls", bounds.calls, calls, count(calls, "call")),
        ("tokens", bounds.tokens, tokens, f"{count(calls, 'call')}, which take at least {tokens:,.0f} tokens"),
    )
    for kind, limit, needed, words in kinds:
        if limit is not None and needed > limit.amount:
            yield Problem(
                "over-budget",
                f"the suite needs {words}, more than its budget of {in_words(limit, kind)}; nothing was called",
                limit.span,
                notes=() if limit.span else (("set by", limit.said_by),),
                fix="raise the budget, or select fewer cases with -k",
            )


def _need_consent(session: SuiteSession, plans: Sequence[Plan], threshold: float) -> None:
    steps = [step for plan in plans for step in plan.steps]
    unpriced = sorted({step.model for step in steps if step.may_be_asked and step.is_unpriced})
    worst = _sum(plan.worst_usd for plan in plans)
    if unpriced:
        has = "has" if len(unpriced) == 1 else "have"
        why = f"what this suite costs is not known, since {', '.join(unpriced)} {has} no price"
    elif worst is None:
        why = f"this suite may cost more than {dollars(threshold)}: nothing bounds its answers (max_output_tokens does)"
    elif worst > threshold:
        why = f"this suite may cost up to {dollars(worst)}, more than {dollars(threshold)}"
    else:
        return
    calls = sum(plan.calls for plan in plans)
    certain = f"{count(calls, 'call')}, {dollars(_sum(plan.cost_usd for plan in plans))}"
    if session.options.ask is not None:
        if session.options.ask(f"{why} (certain: {certain})"):
            return
        raise UsageError(
            Problem("not-agreed", "the suite was not started, and nothing was called", fix=ways_for(unpriced))
        )
    raise UsageError(
        Problem("needs-consent", f"{why}; nothing was called", notes=(("certain", certain),), fix=ways_for(unpriced))
    )
