"""What a step must wait for: the `needs` that are written, and circles among all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from runner.core.problem import Edit, Problem, listed, nearest
from runner.core.slips import renaming
from runner.core.span import Span
from runner.core.workflow import Step
from runner.link.parts import Lane, LinkedStep


def ordered_needs(step: Step, read: frozenset[str], steps: Collection[str], problems: list[Problem]) -> frozenset[str]:
    """The steps named in `needs` beyond those that are read. A written `needs` must be complete."""
    if step.needs is None:
        return frozenset()
    for index, name in enumerate(step.needs):
        if name not in steps:
            others = set(steps) - {step.name}
            near = nearest(name, others)
            problems.append(
                Problem(
                    "unknown-step",
                    f"step '{step.name}' needs '{name}', but no step has that name",
                    step.at(f"needs.{index}"),
                    expected=f"a step of this workflow: {listed(others)}" if others else "",
                    nearest=near,
                    fix=f"needs: [{', '.join(near if other == name else other for other in step.needs)}]"
                    if near
                    else "",
                    edits=renaming(step.at(f"needs.{index}"), name, others),
                )
            )
    known = [name for name in step.needs if name in steps]
    # A misspelt name may be the very one that is missed: it is told, and mended first.
    others = set(steps) - {step.name}
    meant = {nearest(name, others) for name in step.needs if name not in steps}
    missing = sorted(read - set(known) - meant)
    if missing:
        quoted = listed(f"'{name}'" for name in missing)
        problems.append(
            Problem(
                "incomplete-needs",
                f"step '{step.name}' reads {quoted}, which its needs leave out",
                step.at("needs"),
                fix=f"needs: [{', '.join([*known, *missing])}], or leave needs out: it is read from the references",
                edits=_completion(step, missing) if len(known) == len(step.needs) else (),
            )
        )
    return frozenset(known) - read


def circle_problem(circle: tuple[str, ...], steps: Mapping[str, LinkedStep], lanes: Mapping[str, Lane]) -> Problem:
    span = _place_of_need(steps[circle[0]], circle[1], lanes)
    if len(circle) == 2 and circle[1] not in steps[circle[0]].needs:
        message = f"step '{circle[0]}' walks rows that are made from its own answers"
        return Problem("circle", message, span, fix="let another step walk them")
    if len(circle) == 2:
        fix = "leave it out; an ensure line sees the step's own answer as 'output' or 'text'"
        return Problem("circle", f"step '{circle[0]}' needs itself", span, fix=fix)
    message = f"steps need each other in a circle: {' → '.join(circle)}"
    return Problem("circle", message, span, fix="let one of them read something else, or merge them into one step")


def _completion(step: Step, missing: Sequence[str]) -> tuple[Edit, ...]:
    """The steps that `needs` leaves out, written where they belong: behind the last one, or in lines before it."""
    whole, count = step.at("needs"), len(step.needs or ())
    if not count:
        return (Edit(whole.file, whole.line, whole.column, "[]", f"[{', '.join(missing)}]"),)
    last = step.at(f"needs.{count - 1}")
    if whole.length > 1:  # brackets that close on their line
        return (Edit(last.file, last.line, last.column + last.length, "", "".join(f", {name}" for name in missing)),)
    dash = max(last.column - 2, 1)
    lines = "".join(f"- {name}\n{' ' * (dash - 1)}" for name in missing)
    return (Edit(last.file, last.line, dash, "- ", f"{lines}- "),)


def _place_of_need(step: LinkedStep, need: str, lanes: Mapping[str, Lane]) -> Span:
    """Where a need is written: in a text of the step, in its `for_each`, or under `needs`."""
    lane = lanes.get(step.lane)
    for use in (*step.uses, *(lane.uses if lane else ())):
        if use.step == need:
            return use.span
    return step.step.at(f"needs.{(step.step.needs or (need,)).index(need)}")
