"""A plan as text and as a document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.core.canonical import Json
from runner.report.format import age, count, lasting, money, number

PLAN_FORMAT = 1
SYMBOLS = {
    "cached": "=",
    "call": "+",
    "may call": "~",
    "skipped": "-",
    "cannot run": "!",
    "no items": " ",
    "not selected": ".",
}
HEAD = ("", "step", "model", "thinking", "state", "tokens in/out", "cost", "why")
MOST_REASONS = 3


def plan_rows(steps: Sequence[Mapping[str, Json]]) -> list[tuple[str, ...]]:
    """The head and a row per step."""
    return [HEAD, *map(_row, steps)]


def _row(step: Mapping[str, Json]) -> tuple[str, ...]:
    fate = step["fate"]
    is_open = fate in ("call", "may call") and (step["calls"] or step["may_calls"] != 0)
    return (
        SYMBOLS[fate],
        step["step"],
        step["model"],
        step["thinking"] or "-",
        state_in_words(step),
        _tokens(step) if is_open else "",
        _cost(step) if is_open else money(0.0),
        _why(step),
    )


def list_rows(shape: Sequence[Mapping[str, Json]]) -> list[tuple[str, ...]]:
    """The head and a row per step, for those who only want to know which there are."""
    return [("step", "model", "tags", "description"), *map(_listed, shape)]


def _listed(step: Mapping[str, Json]) -> tuple[str, ...]:
    description = " ".join(step["description"].split())
    return (step["step"], step["model"], " ".join(", ".join(step["tags"]).split()) or "-", description or "-")


def state_in_words(step: Mapping[str, Json]) -> str:
    """`cached`, `call`, or the numbers where there are many items."""
    items = step["items"]
    if step["fate"] == "not selected":
        return "not selected"
    if items is None:
        return "may call (the list is not known yet)"
    if items <= 1 and step["calls"] <= 1:
        return str(step["fate"])
    words = [f"{step['cached']:,} cached"] if step["cached"] else []
    words += [count(step["calls"], "call")] if step["calls"] else []
    words += [f"{step['may_calls']:,} may be called"] if step["may_calls"] else []
    words += [f"{step['skipped']:,} skipped"] if step["skipped"] else []
    words += [f"{step['failed']:,} cannot run"] if step["failed"] else []
    return ", ".join(words) or str(step["fate"])


def _tokens(step: Mapping[str, Json]) -> str:
    given, made = step["input_tokens"], step["output_tokens"]
    out = "?" if made is None else f"{'~' if step['is_measured'] else '≤'}{number(made)}"
    return f"{'?' if given is None else f'~{number(given)}'} / {out}"


def _cost(step: Mapping[str, Json]) -> str:
    low, high = money(step["cost_usd"]), money(step["worst_usd"])
    return low if low == high else f"{low} to {high}"


def _why(step: Mapping[str, Json]) -> str:
    reasons = sorted(step["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))
    words = [reason if amount == 1 else f"{reason} ({amount:,})" for reason, amount in reasons[:MOST_REASONS]]
    words += [f"{len(reasons) - MOST_REASONS} more reasons"] if len(reasons) > MOST_REASONS else []
    words += [_failure(step)] if step["failure"] else []
    words += [f"known after {', '.join(step['after'])}"] if step["after"] else []
    return ", ".join(words)


def _failure(step: Mapping[str, Json]) -> str:
    """Why the first of those that cannot run cannot, in one line."""
    why = " ".join(step["failure"].split())
    return why if step["failed"] == 1 else f"{why} (the first of {step['failed']:,})"


def total_line(totals: Mapping[str, Json]) -> str:
    """`certain 1 call $0.0021 · worst case 2 calls $0.0025 · 1 cached`."""
    worst = totals["worst_calls"]
    most = "not known yet" if worst is None else f"{count(worst, 'call')} {money(totals['worst_usd'])}"
    certain = f"{count(totals['calls'], 'call')} {money(totals['cost_usd'])}"
    return f"certain {certain} · worst case {most} · {totals['cached']:,} cached"


def context_lines(steps: Sequence[Mapping[str, Json]]) -> list[str]:
    """What becomes of the part that the questions of a step share; no line for a step that does not want it kept.

    `context tag: ~25,310 tokens kept for 30 min, $0.032 to store, saves $0.45`.
    """
    return [f"context {step['step']}: {_context(step, step['context'])}" for step in steps if step.get("context")]


def _context(step: Mapping[str, Json], context: Mapping[str, Json]) -> str:
    tokens, least = context["tokens"], context["least_tokens"]
    if not context["is_kept"]:
        if least is not None:
            return f"sent with each question, since {step['model']} keeps no fewer than {number(least)} tokens"
        pays = (
            f"keeping pays from {count(context['worth_from'], 'call')} on"
            if context["worth_from"]
            else "keeping costs more"
        )
        return f"sent with each question, since {pays}"
    said = "what the questions share is" if tokens is None else f"~{number(tokens)} tokens"
    if context["left_s"] is not None:
        words = [f"{said} kept for {lasting(context['left_s'])} more"]
    else:
        words = [f"{said} kept for {lasting(context['ttl_s'])}"]
        words += [f"{money(context['store_usd'])} to store"] if tokens is not None else []
    words += [f"saves {money(context['saved_usd'])}"] if tokens is not None else []
    words += [f"if {step['model']} keeps fewer than {number(least)} tokens"] if least is not None else []
    return ", ".join(words)


def budget_line(limits: Sequence[Mapping[str, Json]]) -> list[str]:
    """`budget $0.05 (flow.yaml:4:15) may be reached · 600 calls (flow.yaml:4:22) holds`; no line without a budget."""
    words = [f"{_limit(one)} ({one['said_by']}) {_verdict(one['verdict'])}" for one in limits]
    return [f"budget {' · '.join(words)}"] if words else []


def _verdict(verdict: str) -> str:
    return "is too small: a run does not start" if verdict == "too small" else verdict


def _limit(limit: Mapping[str, Json]) -> str:
    amount, kind = limit["limit"], limit["kind"]
    return money(amount) if kind == "usd" else count(round(amount), kind.removesuffix("s"))


def basis_line(steps: Sequence[Mapping[str, Json]], price_dates: Sequence[str]) -> str:
    """How the numbers were made."""
    counted = [step["step"] for step in steps if step.get("counted_by")]
    names = sorted({step["counted_by"] for step in steps if step.get("counted_by")})
    given = f"counted by {', '.join(names)} for {', '.join(counted)}, else a quarter of the bytes" if counted else ""
    words = [f"tokens in: {given or 'a quarter of the bytes'}"]
    measured = [step["step"] for step in steps if step["is_measured"]]
    out = (
        f"earlier answers of {', '.join(measured)}, else the cap"
        if measured
        else "the cap of the step, the model or the schema"
    )
    words.append(f"tokens out: {out}")
    if price_dates:
        words.append(f"prices of {', '.join(price_dates)}")
    return " · ".join(words)


def why_lines(difference: Mapping[str, Json]) -> list[str]:
    """One call beside the answer that was last used at its place, or the nearest one."""
    place = f"{difference['step']}[{difference['item']}]" if difference["item"] else difference["step"]
    lines = [f"{place}  {difference['reason']}"]
    if difference["same"]:
        lines.append(f"  same      {'  '.join(difference['same'])}")
    lines += _changed(difference)
    lines.append(f"  nearest   {_nearest(difference)}")
    return lines


def _changed(difference: Mapping[str, Json]) -> list[str]:
    """Each change with the place in the file where it is written."""
    changed = difference["changed"]
    width = max(map(len, changed), default=0)
    pairs = zip(changed, difference["places"] or [""] * len(changed), strict=True)
    return [f"  changed   {change:<{width}}   {place}".rstrip() for change, place in pairs]


def _nearest(difference: Mapping[str, Json]) -> str:
    if not difference["nearest_key"]:
        return "nothing was ever stored for this step"
    place = f" of {difference['nearest_place']}" if difference["nearest_place"] else ""
    run = f" of run {difference['nearest_run']}" if difference["nearest_run"] else " (recorded)"
    parts = [f"answer{place}{run}"]
    parts += [age(difference["age_s"])] if difference["age_s"] is not None else []
    parts += ["no longer stored"] if not difference["is_stored"] else []
    return ", ".join([*parts, f"key {difference['nearest_key'][:12]}"])
