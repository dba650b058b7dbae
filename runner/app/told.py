"""What the journal of one run tells of its steps and items, for `runner show`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.outcome import Status, in_call_order
from runner.core.problem import Problem, listed, nearest
from runner.core.tool import TOOL_DIALECT
from runner.plan.failures import reason
from runner.record.journal import read_journal

MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Told:
    """Journal lines of attempts, and the outcomes that are not good with their reason in one line."""

    attempts: tuple[Mapping[str, Json], ...]
    outcomes: tuple[Mapping[str, Json], ...]


def read_told(journal: Path, step: str | None, item: str | None) -> Told:
    """What is told of a run, of one of its steps, of one item; of a case of a suite also what its items came to."""
    told = _told(journal, step, lambda name: item in (None, name))
    if item is None or told.attempts or told.outcomes:
        return told
    return _told(journal, step, lambda name: str(name).startswith(f"{item}/"))


def _told(journal: Path, step: str | None, is_meant: Callable[[Json], bool]) -> Told:
    attempts: list[Mapping[str, Json]] = []
    outcomes: list[Mapping[str, Json]] = []
    for line in read_journal(journal):
        if step not in (None, line.get("step")) or not is_meant(line.get("item")):
            continue
        if line.get("event") == "attempt":
            attempts.append(line)
        elif line.get("event") == "outcome" and line.get("status") != Status.GOOD:
            outcomes.append(_outcome(line))
    return Told(tuple(in_call_order(attempts, _place)), tuple(outcomes))


def _place(line: Mapping[str, Json]) -> tuple[Hashable, int]:
    """Which call of which answer was run, for the line of a tool."""
    owner = str(line.get("part", "")).rpartition(f".{TOOL_DIALECT}.")[0]
    names = ("step", "item", "sample", "turn", "answers")
    return (owner, *(line.get(name) for name in names)), int(line.get("number") or 0)


def _outcome(line: Mapping[str, Json]) -> dict[str, Json]:
    names = ("step", "item", "status", "failure", "because")
    return {**{name: line.get(name) for name in names}, "reason": _reason(line)}


def _reason(line: Mapping[str, Json]) -> str:
    match line:
        case {"status": Status.FAILED.value, "failure": {"kind": str() as kind, "message": str() as message}}:
            return reason(kind, message)
        case {"because": str() as because}:
            return because
        case _:
            return ""


def no_exchange(journal: Path, run: str, step: str, item: str | None) -> Problem:
    """A step or item of which the run holds nothing, with the names that it has."""
    steps, items = _names(journal, step)
    if step not in steps or item is None:
        where = step if item is None else f"{step}[{item}]"
        others = [name for name in steps if name != step]
        expected = f"a step of this run: {_some(others)}" if others else ""
        near = nearest(step, others) if step not in steps else ""
    else:
        where = f"{step}[{item}]"
        expected = f"an item of '{step}': {_some(list(items))}" if items else ""
        near = nearest(item, items)
        near = f"{step}[{near}]" if near else ""
    return Problem(
        "no-exchange",
        f"run {run} holds no exchange of {where}",
        expected=expected,
        nearest=near,
        fix=f"runner show {run}",
    )


def _names(journal: Path, step: str) -> tuple[dict[str, None], dict[str, None]]:
    """The steps of the run, and the items of one of them, in the order in which they are told."""
    steps: dict[str, None] = {}
    items: dict[str, None] = {}
    for line in read_journal(journal):
        match line:
            case {"event": "started", "steps": dict() as named}:
                steps |= dict.fromkeys(named)
            case {"event": "attempt" | "outcome", "step": str() as name, "item": str() as item}:
                steps[name] = None
                if name == step and item:
                    items[item] = None
    return steps, items


def _some(names: Sequence[str]) -> str:
    some = listed(names[:MOST_NAMES])
    return some if len(names) <= MOST_NAMES else f"{some} and {len(names) - MOST_NAMES:,} more"
