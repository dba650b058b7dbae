"""Which steps may be asked: `-s step`, `-s step+`, `-s +step`, `-s tag:x`, `-s changed`. Pure.

A step that is not selected is answered from the store or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from runner.core.errors import NothingSelected, UsageError
from runner.core.frozen import dataclass
from runner.core.outcome import Failure, FailureKind
from runner.core.problem import Problem, listed, nearest
from runner.plan.program import Program, StepProgram
from runner.plan.shape import needs_by_step
from runner.plan.stages import RunState, Unselected

CHANGED = "changed"
_SELECTOR = re.compile(r"(?P<above>\+?)(?!(?:tag|step):\+?$)(?:(?P<kind>tag|step):)?(?P<name>[^+]+)(?P<below>\+?)")


@dataclass(frozen=True, slots=True)
class Selector:
    """One `-s`: a step, a tag or the changed steps; `above` with all they need, `below` with all that need them."""

    text: str
    kind: str
    name: str
    is_above: bool = False
    is_below: bool = False


def read_selector(text: str) -> Selector:
    """Raises UsageError."""
    match = _SELECTOR.fullmatch(text)
    if match is None:
        expected = "step, step+, +step, tag:NAME or changed"
        raise UsageError(Problem("bad-selection", f"-s '{text}' selects nothing that has a name", expected=expected))
    kind = match["kind"] or (CHANGED if match["name"] == CHANGED else "step")
    return Selector(text, kind, match["name"], bool(match["above"]), bool(match["below"]))


def choose(
    selectors: Iterable[Selector], program: Program, find_changed: Callable[[], frozenset[str]]
) -> frozenset[str]:
    """The steps that are selected by any of them. Raises UsageError and NothingSelected."""
    steps = program.linked.workflow.steps
    tags = {tag for step in steps.values() for tag in step.tags}
    chosen: set[str] = set()
    for selector in selectors:
        match selector.kind:
            case "step" if selector.name not in steps:
                raise UsageError(_unknown_step(selector, steps))
            case "step":
                found = {selector.name}
            case "tag" if selector.name not in tags:
                raise NothingSelected(_unknown_tag(selector, tags))
            case "tag":
                found = {name for name, step in steps.items() if selector.name in step.tags}
            case _:
                found = set(find_changed())
        chosen |= _grown(found, selector, program)
    if not chosen:
        raise NothingSelected(Problem("nothing-selected", "-s changed selects nothing: every answer is stored"))
    return frozenset(chosen)


def _unknown_step(selector: Selector, steps: Iterable[str]) -> Problem:
    return Problem(
        "unknown-step",
        f"-s names '{selector.name}', but no step has that name",
        expected=f"a step: {listed(steps)}",
        nearest=nearest(selector.name, steps),
    )


def _unknown_tag(selector: Selector, tags: Iterable[str]) -> Problem:
    return Problem(
        "nothing-selected",
        f"-s {selector.text} selects nothing: no step has the tag '{selector.name}'",
        expected=f"a tag: {listed(tags)}" if tags else "",
        nearest=nearest(selector.name, tags),
    )


def _grown(found: set[str], selector: Selector, program: Program) -> set[str]:
    needs = needs_by_step(program.linked)
    grown = set(found)
    if selector.is_above:
        grown |= closure(found, needs)
    if selector.is_below:
        readers = {name: frozenset(reader for reader, read in needs.items() if name in read) for name in needs}
        grown |= closure(found, readers)
    return grown


def closure(names: Iterable[str], leads: Mapping[str, frozenset[str]]) -> set[str]:
    """The names, and all that they lead to."""
    reached: set[str] = set()
    open_names = set(names)
    while open_names:
        name = open_names.pop()
        reached.add(name)
        open_names |= leads[name] - reached
    return reached


def select(program: Program, chosen: frozenset[str]) -> Program:
    """The program in which only the chosen steps may be asked. Of the others, stored failures are settled."""
    wanted = closure(chosen, needs_by_step(program.linked))
    steps = {
        name: step
        if name in chosen
        else replace(step.renewed(is_settled=True, use="auto"), may_ask=False, is_wanted=name in wanted)
        for name, step in program.steps.items()
    }
    return replace(program, steps=steps)


def refusal(step: StepProgram, item: str) -> Failure | None:
    """Why a question of this step is not asked, though its answer is not stored."""
    if step.may_ask and (step.only is None or item in step.only):
        return None
    if step.only is not None:
        place = f"{step.name}[{item}]" if item else step.name
        return Failure(FailureKind.NOT_SELECTED, f"'{place}' did not fail the last time and has no stored answer")
    return Failure(FailureKind.NOT_SELECTED, f"'{step.name}' is not selected and has no stored answer")


def selection_problems(state: RunState) -> tuple[Problem, ...]:
    """The selected steps that cannot run, because something they read is neither selected nor stored."""
    return tuple(_cannot_run(state, name) for name, step in state.program.steps.items() if _is_held_up(state, step))


def unstored_steps(state: RunState) -> dict[str, str]:
    """The steps that are not whole because something is neither selected nor stored, each with the sentence."""
    held = {name: _held_up(state, step) for name, step in state.program.steps.items()}
    return {name: found.failure.message for name, found in held.items() if found is not None}


def _is_held_up(state: RunState, step: StepProgram) -> bool:
    return step.may_ask and _held_up(state, step) is not None


def _cannot_run(state: RunState, name: str) -> Problem:
    step = state.program.steps[name]
    held = _held_up(state, step)
    assert held is not None
    where = f"'{name}[{held.item}]'" if held.item else f"'{name}'"
    is_only = any(other.only is not None for other in state.program.steps.values())
    more = f" (and {held.count - 1:,} more items)" if held.count > 1 else ""
    return Problem(
        "not-selected",
        f"{where}{more} cannot run: {held.failure.message}",
        step.linked.step.span,
        fix=f"-s +{name} selects also what it reads" if not is_only else "leave --only failed out",
    )


def _held_up(state: RunState, step: StepProgram) -> Unselected | None:
    """The items of a step that did not run for want of a selected step."""
    failure = state.lane_failures.get(step.linked.lane)
    if failure is not None and failure.kind is FailureKind.NOT_SELECTED:
        return Unselected(1, 0, "", failure)
    return state.unselected.get(step.name)
