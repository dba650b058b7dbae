"""The items of a run that did not come out well, as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runner.core.canonical import Json
from runner.core.outcome import Status
from runner.report.text import one_line

MOST_SHOWN = 20
_WORDS: dict[str, str] = {Status.BLOCKED: "not run"}


def outcome_rows(outcomes: Sequence[Mapping[str, Json]]) -> list[tuple[str, ...]]:
    """Item, what became of it, and why; what failed comes before what was not run or skipped."""
    return [_row(outcome) for outcome in sorted(outcomes, key=_has_not_failed)[:MOST_SHOWN]]


def more_outcomes(outcomes: Sequence[Mapping[str, Json]], run: str) -> Iterator[str]:
    """A line that says where the rest is, if there is more than is shown."""
    if len(outcomes) > MOST_SHOWN:
        yield f"and {len(outcomes) - MOST_SHOWN:,} more: runner show {run} --json"


def _has_not_failed(outcome: Mapping[str, Json]) -> bool:
    return bool(outcome["status"] != Status.FAILED)


def _row(outcome: Mapping[str, Json]) -> tuple[str, ...]:
    place = f"{outcome['step']}[{outcome['item']}]" if outcome.get("item") else str(outcome["step"])
    status = str(outcome["status"])
    return (place, _WORDS.get(status, status), one_line(str(outcome.get("reason", ""))))
