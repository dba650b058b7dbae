"""A run summary as the lines that the console shows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from runner.core.events import ContextKept
from runner.core.outcome import Attempt, Source
from runner.record.summary import RunSummary, StepSummary
from runner.report.format import count, duration, lasting, money, number

GAP = "   "
NARROWEST = 10
MOST_REASONS = 3
LONGEST_REASON = 80
LONGEST_LEFT_OUT = 240


def name_width(names: Sequence[str]) -> int:
    """The width of the column of step names."""
    return max([NARROWEST, *map(len, names)])


def step_line(step: StepSummary, width: int = NARROWEST, took_s: float | None = None) -> str:
    """One step in one line: what became of its items, who answered, what it took.

    Items run side by side, so adding up their seconds would mislead: `took_s` is the time from first to last.
    """
    parts = [*_standing(step)]
    if step.calls:
        if step.items != 1 or step.calls != 1:
            parts.append(_calls(step.calls, step.repairs, step.requests))
        parts += [step.model] if step.model else []
        cached = f" ({number(step.cached_tokens)} cached)" if step.cached_tokens else ""
        parts.append(f"{number(step.input_tokens)} in{cached}, {number(step.output_tokens)} out")
        seconds = step.seconds if step.items <= 1 or took_s is None else took_s
        keeping = f" ({money(step.keeping_usd)} of it for keeping)" if step.kept_tokens else ""
        parts += [duration(seconds), money(step.cost_usd) + keeping]
    parts += _why(step)
    return f"{step.step:<{width}}{GAP}{GAP.join(parts)}".rstrip()


def _standing(step: StepSummary) -> list[str]:
    """Cached, skipped, failed and blocked items; nothing for a good fresh answer."""
    stored = step.cached + step.recorded
    if not step.is_reached:
        return ["not reached"]
    if not step.items and not stored and not step.calls:
        return ["no items"]
    alone = step.items <= 1
    if alone and not step.failed and not step.blocked:
        if step.skipped:
            return ["skipped"]
        return [_source_word(step)] if stored and not step.calls else []
    counts = (
        (step.cached, "cached"),
        (step.recorded, "recorded"),
        (step.failed, "failed"),
        (step.skipped, "skipped"),
        (step.blocked, "not run"),
    )
    if alone:
        return [word for amount, word in counts[2:] if amount]
    words = [f"{amount:,} {word}" for amount, word in counts if amount]
    return [", ".join(words)] if words else [count(step.items, "item")]


def _source_word(step: StepSummary) -> str:
    return "cached" if step.cached else "recorded"


def _calls(calls: int, repairs: int, requests: int) -> str:
    """`3 calls (1 repair, 2 retries)`; every request beyond one a call was a retry."""
    extra = [count(repairs, "repair")] if repairs else []
    if requests > calls:
        extra.append(count(requests - calls, "retry", "retries"))
    return count(calls, "call") + (f" ({', '.join(extra)})" if extra else "")


def _why(step: StepSummary) -> list[str]:
    """Why calls were made, where it is not simply that they are new: in full for one item, else by kind."""
    reasons = {reason: amount for reason, amount in step.reasons.items() if reason not in ("", "new")}
    if not reasons:
        return []
    if step.items == 1:
        return ["why " + ", ".join(_cut(one_line(reason)) for reason in reasons)]
    kinds: Counter[str] = Counter()
    for reason, amount in reasons.items():
        kinds[_cut(one_line(reason.partition(": ")[0]))] += amount
    shown = [f"{kind} ({amount:,})" for kind, amount in kinds.most_common(MOST_REASONS)]
    rest = [f"{len(kinds) - len(shown)} more"] if len(kinds) > len(shown) else []
    return ["why " + ", ".join([*shown, *rest])]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"


def closing_line(summary: RunSummary) -> str:
    """`3 calls (1 repair), 1 cached, $0.0042, 4.2 s    run r8`."""
    parts = [_calls(summary.calls, summary.repairs, summary.requests), f"{summary.cached:,} cached"]
    parts += [f"{summary.recorded:,} recorded"] if summary.recorded else []
    parts += [f"{summary.failed:,} failed"] if summary.failed else []
    saved = f" (saved {money(summary.saved_usd)})" if summary.saved_usd else ""
    parts += [money(summary.cost_usd) + saved, duration(summary.seconds)]
    line = f"{', '.join(parts)}    run {summary.run}"
    return f"{line}    exit {summary.exit_code}" if summary.exit_code else line


def paid_twice_line(summary: RunSummary) -> str:
    """A warning when requests may have been paid although no answer came, else ""."""
    amount = summary.maybe_paid_twice
    if not amount:
        return ""
    them = "it" if amount == 1 else "them"
    return f"{count(amount, 'request')} got no answer after being sent: the provider may count {them} twice"


def misfit_lines(name: str, attempt: Attempt, width: int = NARROWEST) -> list[str]:
    """An answer that did not fit, with its violations under it; `name` is the step, or one of its items."""
    indent = " " * (width + len(GAP))
    stored = "" if attempt.source is Source.FRESH else f" ({attempt.source})"
    lines = [f"{name:<{width}}{GAP}answer {attempt.repair + 1}{stored} does not fit"]
    pointers = [violation.pointer or "(root)" for violation in attempt.violations]
    column = max(map(len, pointers), default=0)
    for pointer, violation in zip(pointers, attempt.violations, strict=True):
        found = f"{one_line(violation.found)}, " if violation.found else ""
        lines.append(f"{indent}  {pointer:<{column}}{GAP}{found}expected {one_line(violation.expected)}")
    return lines


def one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def left_out_line(text: str, width: int = NARROWEST) -> str:
    """What became of an item that is left out, under the line of its step."""
    line = one_line(text)
    cut = line if len(line) <= LONGEST_LEFT_OUT else f"{line[: LONGEST_LEFT_OUT - 1]}…"
    return f"{' ' * width}{GAP}left out: {cut}"


def context_line(event: ContextKept, width: int = NARROWEST) -> str:
    """What is kept of the questions of a step, under its name."""
    costs = (event.made_usd, event.kept_usd)
    total = None if None in costs else sum(usd or 0.0 for usd in costs)
    rest = f"for {lasting(event.seconds)}, {money(total)}" if event.is_new else f"{lasting(event.seconds)} more"
    return f"{event.step:<{width}}{GAP}{count(event.tokens, 'token')} kept at {event.model} {rest}"


def progress_line(step: str, done: int, expected: int, failed: int, width: int = NARROWEST) -> str:
    """`tag   120 of 300   3 failed`, in plain integers."""
    tail = f"{GAP}{failed:,} failed" if failed else ""
    return f"{step:<{width}}{GAP}{done:,} of {expected:,}{tail}"
