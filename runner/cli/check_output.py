"""The findings of `check` in each format, all made from the same list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import exit_codes
from runner.core.canonical import Json, ordered
from runner.core.problem import Problem, render_all
from runner.core.version import VERSION
from runner.report.annotations import annotation_lines
from runner.report.format import count

if TYPE_CHECKING:
    from runner.app.types import CheckReport

FORMATS = ("text", "json", "github", "gitlab", "sarif")
SUFFIXES = {".txt": "text", ".json": "json", ".sarif": "sarif"}


def exit_code(report: CheckReport, *, is_strict: bool) -> int:
    """Warnings count as errors for those who are strict."""
    wrong = len(report.problems) if is_strict else report.errors
    return exit_codes.BAD_ANSWER if wrong else exit_codes.DONE


def as_text(report: CheckReport, *, has_notes: bool = False) -> str:
    notes = report.notes if has_notes else ()
    return render_all([*report.problems, *notes], report.sources, marks_edits=True)


def as_annotations(report: CheckReport) -> list[str]:
    return annotation_lines(report.problems, most=len(report.problems))


def as_json(report: CheckReport, *, is_strict: bool) -> dict[str, Json]:
    from runner.report.documents import FORMAT, problem_documents
    from runner.report.enforcement import enforcement_documents

    return {
        "format": FORMAT,
        "exit_code": exit_code(report, is_strict=is_strict),
        "files": list(report.files),
        "errors": report.errors,
        "warnings": len(report.problems) - report.errors,
        "fixable": fixable(report),
        "problems": problem_documents(report.problems),
        "notes": problem_documents(report.notes),
        "schemas": enforcement_documents(report.schemas),
    }


def as_sarif(report: CheckReport) -> dict[str, Json]:
    from runner.app.codes import codes
    from runner.report.sarif import sarif_document

    return sarif_document(report.problems, report.sources, codes(), VERSION)


def as_code_quality(report: CheckReport) -> list[Json]:
    from runner.report.code_quality import code_quality_document

    return code_quality_document(report.problems)


def file_text(path: Path, report: CheckReport, safe: Callable[[str], str], *, is_strict: bool) -> str:
    """What a file gets, by its ending."""
    match SUFFIXES[path.suffix]:
        case "json":
            return ordered(as_json(report, is_strict=is_strict)).decode() + "\n"
        case "sarif":
            return ordered(as_sarif(report)).decode() + "\n"
        case _:
            text = safe(as_text(report))
            return "\n".join([*([text] if text else []), closing_line(report), ""])


def fixable(report: CheckReport) -> int:
    return sum(bool(problem.edits) for problem in report.problems)


def closing_line(report: CheckReport) -> str:
    """`2 errors in 1 file (2 fixable) · nothing was called`."""
    warnings = len(report.problems) - report.errors
    found = [count(report.errors, "error")] if report.errors else []
    found += [count(warnings, "warning")] if warnings else []
    if not found:
        return f"no mistakes in {count(len(report.files), 'file')} · nothing was called"
    places = {problem.span.file for problem in report.problems if problem.span}
    amount = fixable(report)
    mendable = f" ({amount} fixable)" if amount else ""
    return f"{', '.join(found)} in {count(max(len(places), 1), 'file')}{mendable} · nothing was called"


def unknown_ending(path: Path) -> Problem:
    message = f"-o: the name of {path} does not say a format"
    return Problem("usage", message, expected=f"a name that ends in {', '.join(SUFFIXES)}")
