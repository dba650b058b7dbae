"""What a run may take: the lowest bound that anybody set, of money, calls and tokens."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10

from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.workflow import Budget


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound and who set it: an option or variable by name, or the place of the number in a file."""

    amount: float
    said_by: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """The bounds of one run; None where there is none. `calls` are requests, repairs and retries among them."""

    usd: Limit | None = None
    calls: Limit | None = None
    tokens: Limit | None = None

    @property
    def is_bounded(self) -> bool:
        return (self.usd, self.calls, self.tokens) != (None, None, None)


def allowance(budgets: Iterable[Budget | None], max_cost: Limit | None = None) -> Allowance:
    """The lowest bound of each kind; of equal ones the first, where `max_cost` goes before the budgets of files."""
    found = [budget for budget in budgets if budget is not None]
    return Allowance(
        usd=_lowest([*([max_cost] if max_cost else []), *_limits(found, "usd")]),
        calls=_lowest(_limits(found, "calls")),
        tokens=_lowest(_limits(found, "tokens")),
    )


def _limits(budgets: Iterable[Budget], kind: str) -> list[Limit]:
    written = ((budget, getattr(budget, kind)) for budget in budgets)
    return [Limit(amount, str(budget.at(kind)), budget.at(kind)) for budget, amount in written if amount is not None]


def _lowest(limits: list[Limit]) -> Limit | None:
    return min(limits, key=lambda limit: limit.amount, default=None)


def in_words(limit: Limit, kind: str) -> str:
    """`5 USD`, `600 calls`, `1 token`."""
    if kind == "usd":
        return dollars(limit.amount)
    return f"{limit.amount:,.0f} {kind.removesuffix('s') if limit.amount == 1 else kind}"


def dollars(usd: float | None) -> str:
    """`5 USD`, `0.000035 USD`: four digits that matter, all of them where there are more before the point."""
    if usd is None:
        return "? USD"
    decimals = max(0, 3 - floor(log10(usd))) if usd > 0 else 0
    text = f"{usd:,.{min(decimals, 12)}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} USD"
