"""Conditions that can never hold, or always do, whatever the values that the schemas allow."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.checks.verdicts import truths
from runner.core.condition import Read
from runner.core.problem import Problem
from runner.link.linked import Linked
from runner.link.paths import Typed
from runner.link.readings import Reading, ReadText


def check_conditions(context: CheckContext) -> Iterator[Problem]:
    """`ensure` and `when` that need not be asked; a word that never occurs is told by itself."""
    linked = context.linked
    told = {id(unequal.text.source) for unequal in linked.typing.unequal}
    for text, verdict in settled(linked):
        if id(text.source) in told:
            continue
        if text.role == "ensure":
            yield _of_ensure(text, holds=verdict)
        else:
            yield _of_when(text, holds=verdict)


def settled(linked: Linked) -> Iterator[tuple[ReadText, bool]]:
    """The conditions of steps whose outcome is known, with it."""
    readings: dict[int, dict[tuple[str, ...], Reading]] = {}
    for reading in linked.typing.readings:
        readings.setdefault(id(reading.text), {})[reading.reference.path] = reading
    compiled = {id(one.expression): one for step in linked.steps.values() for one in (*step.ensure, step.when) if one}
    for text in linked.typing.texts:
        found = compiled.get(id(text.source)) if text.role in ("ensure", "when") else None
        if found is None:
            continue
        condition = found.condition()
        if text.role == "when" and not _reads(condition):
            continue  # `when: false` is how a step is switched off
        outcome = truths(condition, _Types(readings.get(id(text), {})))
        if len(outcome) == 1:
            yield text, True in outcome


class _Types:
    def __init__(self, readings: dict[tuple[str, ...], Reading]) -> None:
        self._readings = readings

    def __call__(self, path: tuple[str, ...]) -> Typed | None:
        reading = self._readings.get(path)
        return reading.typed if reading else None


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
            text.source.origin.span(length=_length(text)),
            fix="leave it out, or ask for more",
            severity="warning",
        )
    return Problem(
        "never-holds",
        f"this ensure line of {text.place.title} holds for no answer that fits the schema, so every answer would fail",
        text.source.origin.span(length=_length(text)),
    )


def _of_when(text: ReadText, *, holds: bool) -> Problem:
    return Problem(
        "always-holds" if holds else "never-holds",
        f"the when of {text.place.title} {'always' if holds else 'never'} holds"
        + (", so it decides nothing" if holds else ", so the step is never asked"),
        text.source.origin.span(length=_length(text)),
        fix="leave it out" if holds else "",
        severity="warning",
    )


def _length(text: ReadText) -> int:
    return max(len(text.source.text.splitlines()[0]), 1)
