"""Findings as workflow commands of GitHub Actions: shown on the changed line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.problem import Problem, in_order

# The service shows ten of each severity for a step and drops the rest without a word.
MOST_OF_A_KIND = 10


def annotation_lines(problems: Sequence[Problem], *, most: int = MOST_OF_A_KIND) -> list[str]:
    """One line each; where there are more than are shown, the last says how many are missing."""
    lines: list[str] = []
    for severity in ("error", "warning"):
        found = [problem for problem in in_order(problems) if problem.severity == severity]
        shown = found if len(found) <= most else found[: most - 1]
        lines += [annotation(problem) for problem in shown]
        if len(found) > len(shown):
            lines.append(f"::{severity} ::and {len(found) - len(shown)} more, see the log of this step")
    return lines


def annotation(problem: Problem) -> str:
    """`::error file=…,line=…,col=…,title=…::message`, with everything foreign escaped."""
    properties: dict[str, str] = {}
    if problem.span:
        span = problem.span
        properties = {"file": span.file, "line": str(span.line), "col": str(span.column)}
        properties["endColumn"] = str(span.column + max(span.length - 1, 0))
    properties["title"] = problem.code
    head = ",".join(f"{name}={_in_property(value)}" for name, value in properties.items())
    helps = [problem.message]
    helps += [f"expected: {problem.expected}"] if problem.expected else []
    helps += [f"nearest: {problem.nearest}"] if problem.nearest else []
    helps += [f"fix: {problem.fix}"] if problem.fix else []
    return f"::{problem.severity} {head}::{_in_data(chr(10).join(helps))}"


def _in_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _in_property(text: str) -> str:
    return _in_data(text).replace(":", "%3A").replace(",", "%2C")
