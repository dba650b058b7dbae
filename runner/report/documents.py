"""Findings and summaries as JSON documents; clocks stand under `meta`, so that two documents compare."""

from __future__ import annotations

from collections.abc import Iterable

from runner.core.canonical import Json
from runner.core.problem import Edit, Problem, in_order
from runner.record.summary import RunSummary, summary_to_json

FORMAT = 1


def problem_document(problem: Problem) -> dict[str, Json]:
    """One finding; rows that it does not have are left out."""
    document: dict[str, Json] = {"code": problem.code, "severity": problem.severity, "message": problem.message}
    if problem.span:
        span = problem.span
        document |= {"file": span.file, "line": span.line, "column": span.column, "length": span.length}
    rows = {"expected": problem.expected, "nearest": problem.nearest, "fix": problem.fix}
    document |= {name: text for name, text in rows.items() if text}
    if problem.edits:
        document["edits"] = [_edit_document(edit) for edit in problem.edits]
    if problem.notes:
        document["notes"] = [{"label": label, "text": text} for label, text in problem.notes]
    return document


def _edit_document(edit: Edit) -> dict[str, Json]:
    """What is replaced, from the first character to behind the last one, and by what."""
    place: dict[str, Json] = {"file": edit.file, "line": edit.line, "column": edit.column}
    return {**place, "end_column": edit.column + len(edit.old), "old": edit.old, "new": edit.new}


def problem_documents(problems: Iterable[Problem]) -> list[Json]:
    return [problem_document(problem) for problem in in_order(problems)]


def failure_document(problems: Iterable[Problem], exit_code: int) -> dict[str, Json]:
    """What a command that could not do its work says on standard output."""
    return {"format": FORMAT, "exit_code": exit_code, "problems": problem_documents(problems)}


def run_document(summary: RunSummary, outputs: Json, problems: Iterable[Problem], exit_code: int) -> dict[str, Json]:
    """What `run --json` prints: the run's summary with its outputs and what went wrong."""
    rest = {"exit_code": exit_code, "outputs": outputs, "problems": problem_documents(problems)}
    return summary_to_json(summary) | rest
