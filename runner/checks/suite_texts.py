"""The expressions of a suite, each with what it is called in a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.core.span import Span
from runner.core.suite import (
    Assertion,
    Case,
    CaseSource,
    Expectation,
    InputChange,
    LengthCheck,
    PathCheck,
    SimilarityCheck,
    SnapshotCheck,
    Suite,
    TextCheck,
    That,
)
from runner.core.values import Computed, Value, leaves
from runner.core.workflow import Expression
from runner.link.parts import TextBeside

CASE_NAMES = frozenset(("case", "outputs"))
MEASURES = ("pass_rate", "usd")


def measures_of(suite: Suite) -> frozenset[str]:
    """What a suite measures without being asked to: with samples, also how likely one of k answers passes."""
    return frozenset({*MEASURES, *(f"pass_at_{k}" for k in range(2, suite.samples + 1))})


def texts_of(suite: Suite) -> tuple[TextBeside, ...]:
    """All of them; which names each may read besides those of the workflow."""
    found = [TextBeside(title, expression, CASE_NAMES) for title, expression in _expressions(suite)]
    above: set[str] = set(measures_of(suite))
    for metric in suite.metrics.values():
        if metric.kind == "from":
            found.append(TextBeside(f"metric '{metric.name}'", metric.of, frozenset(above)))
        above |= {metric.name} if metric.kind != "confusion" else set()
    if suite.compare is not None and suite.compare.fail_if is not None:
        names = frozenset({*suite.metrics, *measures_of(suite), "baseline"})
        found.append(TextBeside("'fail_if' of the suite", suite.compare.fail_if, names))
    return tuple(found)


def holders(suite: Suite) -> Iterator[tuple[str, Case | CaseSource]]:
    """The cases and what makes cases, each with its title."""
    for case in suite.cases.values():
        yield f"case '{case.name}'", case
    if suite.cases_from is not None:
        yield "cases_from", suite.cases_from


def assertions_of(suite: Suite) -> Iterator[tuple[str, Assertion]]:
    """Every assertion with its title."""
    groups: list[tuple[str, Sequence[Assertion]]] = [("the suite", suite.assertions)]
    groups += [(title, holder.assertions) for title, holder in holders(suite)]
    for owner, assertions in groups:
        for number, assertion in enumerate(assertions, 1):
            yield f"assertion {number} of {owner}", assertion


def given_values(suite: Suite) -> Iterator[tuple[str, str, Value, Span]]:
    """Every value that is given to an input: what it is called, the input, the value, the place of the name."""
    groups: list[tuple[str, Suite | Case | CaseSource]] = [("the suite", suite), *holders(suite)]
    for owner, holder in groups:
        for name, value in holder.values.items():
            yield f"input '{name}' of {owner}", name, value, holder.at(f"with.{name}")
    for axis in suite.matrix.axes.values() if suite.matrix else ():
        for change in (change for option in axis.options for change in option.changes):
            if isinstance(change, InputChange):
                span = axis.span if change.target == axis.name else change.span
                yield f"input '{change.input}' of axis '{axis.name}'", change.input, change.value, span


def expectations_of(suite: Suite) -> Iterator[tuple[str, Expectation]]:
    """What must come out, with the title of its case."""
    for title, holder in holders(suite):
        if holder.expect is not None:
            yield title, holder.expect


def values_of(suite: Suite) -> Iterator[tuple[str, Value]]:
    """Every value of the suite with its title."""
    for title, _, value, _ in given_values(suite):
        yield title, value
    for owner, expect in expectations_of(suite):
        for subject, value in expect.values.items():
            yield f"expectation '{subject}' of {owner}", value
    for title, assertion in assertions_of(suite):
        if isinstance(assertion, PathCheck) and assertion.value is not None:
            yield title, assertion.value
        if isinstance(assertion, SimilarityCheck):
            yield title, assertion.to


def _expressions(suite: Suite) -> Iterator[tuple[str, Expression]]:
    for title, value in values_of(suite):
        for leaf in leaves(value):
            if isinstance(leaf, Computed):
                yield title, leaf.expression
    for title, assertion in assertions_of(suite):
        match assertion:
            case That():
                yield title, assertion.condition
            case TextCheck() | PathCheck() | LengthCheck() | SimilarityCheck() | SnapshotCheck():
                yield title, assertion.of
            case _:
                continue
    for metric in suite.metrics.values():
        if metric.kind != "from":
            yield f"metric '{metric.name}'", metric.of
        if metric.against is not None:
            yield f"metric '{metric.name}'", metric.against
