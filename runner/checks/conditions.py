"""Conditions that can never hold, or always do, whatever the values that the schemas allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from runner.checks.context import CheckContext
from runner.checks.verdicts import TypeOf, truths
from runner.core.condition import Condition, Read
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import Expression
from runner.link.linked import Linked
from runner.link.readings import Reading, ReadText


def check_conditions(context: CheckContext) -> Iterator[Problem]:
    """`ensure`, `when` and `until` that need not be asked; a word that never occurs is told by itself."""
    linked = context.linked
    told = {id(unequal.text.source) for unequal in linked.typing.unequal}
    for text, verdict in settled(linked):
        if id(text.source) in told:
            continue
        match text.role:
            case "ensure":
                yield _of_ensure(text, holds=verdict)
            case "when":
                yield _of_when(text, holds=verdict)
            case _:
                yield _of_until(text, holds=verdict)


def settled(linked: Linked) -> Iterator[tuple[ReadText, bool]]:
    """The conditions of steps and loops whose outcome is known, with it."""
    type_of = types_of(linked)
    compiled = {id(one.expression): one for one in _conditions(linked)}
    for text in linked.typing.texts:
        found = compiled.get(id(text.source)) if text.role in _ROLES else None
        if found is None:
            continue
        condition = found.condition()
        if text.role != "ensure" and not _reads(condition):
            continue  # `when: false` is how a step is switched off
        outcome = truths(condition, type_of(text))
        if len(outcome) == 1:
            yield text, True in outcome


_ROLES = ("ensure", "when", "loop.until")


class Written(Protocol):
    """A compiled expression, as far as it is looked into."""

    @property
    def expression(self) -> Expression: ...

    def condition(self) -> Condition: ...


def _conditions(linked: Linked) -> Iterator[Written]:
    loops = [step.loop for step in linked.steps.values() if step.loop]
    inner = (step for loop in loops for step in loop.steps.values())
    for step in (*linked.steps.values(), *inner):
        yield from step.ensure
        yield from (step.when,) if step.when else ()
    yield from (loop.until for loop in loops if loop.until)


def types_of(linked: Linked) -> Callable[[ReadText], TypeOf]:
    """The types of the paths that a text reads."""
    readings: dict[int, dict[tuple[str, ...], Reading]] = {}
    for reading in linked.typing.readings:
        readings.setdefault(id(reading.text), {})[reading.reference.path] = reading

    def of(text: ReadText) -> TypeOf:
        found = readings.get(id(text), {})
        return lambda path: found[path].typed if path in found else None

    return of


def _reads(condition: object) -> bool:
    if isinstance(condition, tuple):
        return any(map(_reads, condition))
    if isinstance(condition, Read):
        return True
    fields = getattr(condition, "__dataclass_fields__", ())
    return any(_reads(getattr(condition, name)) for name in fields)


def _of_ensure(text: ReadText, *, holds: bool) -> Problem:
    if holds:
        return Problem(
            "always-holds",
            f"this ensure line of {text.place.title} holds for every answer that fits the schema",
            place_of(text),
            fix="leave it out, or ask for more",
            severity="warning",
        )
    return Problem(
        "never-holds",
        f"this ensure line of {text.place.title} holds for no answer that fits the schema, so every answer would fail",
        place_of(text),
    )


def _of_when(text: ReadText, *, holds: bool) -> Problem:
    return Problem(
        "always-holds" if holds else "never-holds",
        f"the when of {text.place.title} {'always' if holds else 'never'} holds"
        + (", so it decides nothing" if holds else ", so the step is never asked"),
        place_of(text),
        fix="leave it out" if holds else "",
        severity="warning",
    )


def _of_until(text: ReadText, *, holds: bool) -> Problem:
    told = "always holds, so the loop ends after its first turn" if holds else "never holds, so the loop ends at max"
    return Problem(
        "always-holds" if holds else "never-holds",
        f"the {text.place.title} {told}",
        place_of(text),
        fix="" if holds else "leave it out, if max is meant to end the loop",
        severity="warning",
    )


def place_of(text: ReadText) -> Span:
    """The first line of a text."""
    return text.source.origin.span(length=max(len(text.source.text.splitlines()[0]), 1))
