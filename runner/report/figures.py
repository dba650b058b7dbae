"""How a run is getting on, in figures: speed, money, what holds it back, and what went wrong last. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.frozen import dataclass
from runner.core.traffic import Traffic
from runner.record.summary import RunSummary
from runner.report.format import duration, money, number

GAP = "   "
LONGEST_ERROR = 100
ENOUGH_S = 1.0
"""Before so many seconds have passed, a rate would be a guess."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A run at one moment; `last_error` is the last failure or retry in words, "" for none."""

    summary: RunSummary
    traffic: Sequence[Traffic]
    seconds: float
    last_error: str = ""

    @property
    def done(self) -> int:
        return self.summary.good + self.summary.failed + self.summary.skipped + self.summary.blocked


def figure_lines(standing: Standing) -> list[str]:
    """The lines below the steps; figures that are not known are left out."""
    lines = [GAP.join((*_speed(standing), *_money(standing)))]
    lines += [_limit_line(one) for one in standing.traffic if one.why]
    if standing.last_error:
        text = standing.last_error.replace("\n", "\\n")
        lines.append(f"last error: {text if len(text) <= LONGEST_ERROR else text[: LONGEST_ERROR - 1] + '…'}")
    return [line for line in lines if line]


def _speed(standing: Standing) -> list[str]:
    summary, seconds = standing.summary, standing.seconds
    parts = []
    if seconds >= ENOUGH_S and standing.done:
        parts.append(f"{_rate(standing.done / seconds)} items/s")
    flying = sum(one.in_flight for one in standing.traffic)
    if standing.traffic:
        parts.append(f"{flying:,} in flight")
    stored = summary.cached + summary.recorded
    if stored:
        parts.append(f"{stored / (stored + summary.calls):.0%} cached")
    tokens = summary.input_tokens + summary.output_tokens
    if seconds >= ENOUGH_S and tokens:
        parts.append(f"{number(round(tokens / seconds))} tokens/s")
    return parts


def _money(standing: Standing) -> list[str]:
    """What is spent, and what it comes to and how long it takes if it goes on like this."""
    summary = standing.summary
    left = summary.items - standing.done
    parts = []
    if summary.calls:
        projected = ""
        if standing.done and left > 0 and summary.cost_usd:
            projected = f" of about {money(summary.cost_usd * summary.items / standing.done)}"
        parts.append(f"{money(summary.cost_usd)}{projected}")
    if standing.seconds >= ENOUGH_S and standing.done and left > 0:
        parts.append(f"about {duration(standing.seconds / standing.done * left)} left")
    return parts


def _limit_line(traffic: Traffic) -> str:
    """`acme/small: at most 41 requests/s, 64 in flight (learnt from 4 refusals), 12 waiting`."""
    bounds = [f"{_rate(traffic.per_s)} requests/s"] if traffic.per_s is not None else []
    bounds += [f"{traffic.most:,} in flight"] if traffic.most is not None else []
    if not bounds:
        return f"{traffic.model}: {traffic.why}"
    waiting = f", {traffic.waiting:,} waiting" if traffic.waiting else ""
    return f"{traffic.model}: at most {', '.join(bounds)} ({traffic.why}){waiting}"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}"
