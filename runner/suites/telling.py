"""A verdict in words: what differs, where it stands in the files, and how to see what was asked and answered."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from runner.core.span import Span
from runner.suites.cases import Unit
from runner.suites.verdict import Finding, Kind, Verdict

WIDTH = 80


def told(verdict: Verdict, unit: Unit, file: str, steps: Mapping[str, Span], run: str) -> str:
    """The findings of a verdict, each with its place; `steps` are the places of the steps in the workflow."""
    lines: list[str] = []
    for finding in verdict.findings:
        lines += [head(finding), *(f"    {line}" for detail in finding.details for line in detail.splitlines())]
        if finding.step in steps:
            lines.append(f"  step    {steps[finding.step]}")
            if verdict.kind is not Kind.MISSING and run:
                lines.append(f"  prompt  runner show {run} {quoted(f'{finding.step}[{unit.id}]')}")
    lines += [f"  {verdict.since}"] if verdict.since else []
    lines += _way_on(verdict, unit, file)
    return "\n".join(lines)


def told_of_thresholds(findings: Iterable[Finding]) -> str:
    """The thresholds that are missed."""
    return "\n".join(line for one in findings for line in (head(one), *(f"    {detail}" for detail in one.details)))


def head(finding: Finding) -> str:
    """What does not hold, and where it is written."""
    place = f"{finding.span.file}:{finding.span.line}"
    gap = max(2, WIDTH - len(finding.title) - len(place))
    return f"{finding.title}{' ' * gap}{place}"


def _way_on(verdict: Verdict, unit: Unit, file: str) -> Iterator[str]:
    match verdict.kind:
        case Kind.MISSING:
            yield f"  ask     runner test {quoted(f'{file}::{unit.id}')}"
        case Kind.BUDGET:
            yield "  budget  raise it, or run again later: what was received is stored"
        case _:
            return


def quoted(word: str) -> str:
    """A word of a command as a shell takes it."""
    return shlex.quote(word) if "'" in word else f"'{word}'"


def brief(verdict: Verdict) -> str:
    """One line for the list at the end."""
    if not verdict.findings:
        return str(verdict.kind)
    more = len(verdict.findings) - 1
    return f"{verdict.findings[0].brief}{f' (and {more} more)' if more else ''}"
