"""Findings in the code quality format of GitLab, which shows them in merge requests. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from runner.core.canonical import Json, digest
from runner.core.problem import Problem, in_order

_SEVERITIES = {"error": "major", "warning": "minor"}


def code_quality_document(problems: Iterable[Problem]) -> list[Json]:
    """A finding without a place is not shown by the service, so it is left out."""
    seen: Counter[str] = Counter()
    return [_finding(problem, seen) for problem in in_order(problems) if problem.span is not None]


def _finding(problem: Problem, seen: Counter[str]) -> Json:
    assert problem.span is not None
    rows = (("expected", problem.expected), ("nearest", problem.nearest), ("fix", problem.fix))
    return {
        "description": "; ".join([problem.message, *(f"{label}: {value}" for label, value in rows if value)]),
        "check_name": problem.code,
        "fingerprint": _fingerprint(problem, seen),
        "severity": _SEVERITIES.get(problem.severity, "info"),
        "location": {"path": problem.span.file, "lines": {"begin": problem.span.line}},
    }


def _fingerprint(problem: Problem, seen: Counter[str]) -> str:
    """The same wherever the line moves to, and another one for each finding of a file."""
    identity = "\n".join((problem.code, problem.span.file if problem.span else "", problem.message))
    seen[identity] += 1
    return digest(f"{identity}\n{seen[identity]}".encode())[:32]
