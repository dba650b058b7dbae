"""`runner check`: all mistakes, before anything is called."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import exit_codes
from runner.cli.console import Console
from runner.cli.find import workflow_files
from runner.cli.parser import one_of, pair
from runner.core.errors import NothingSelected
from runner.core.problem import Problem, render_all
from runner.report.annotations import annotation_lines
from runner.report.format import count

if TYPE_CHECKING:
    from runner.app.types import CheckReport

DEFAULT_FOLDER = "workflows"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATHS", nargs="*", type=Path,
        help="workflow and suite files, or folders (default: workflows/, else the current folder)")  # fmt: skip
    parser.add_argument("--format", type=one_of("text", "json", "github"), metavar="FORMAT",
        help="text (default), json or github (annotations)")  # fmt: skip
    parser.add_argument("--model", action="append", default=[], type=pair("ALIAS=PROVIDER/MODEL"),
        metavar="ALIAS=PROVIDER/MODEL", help="what a model alias stands for")  # fmt: skip


def execute(args: Namespace, console: Console) -> int:
    paths = args.paths or [Path(DEFAULT_FOLDER) if Path(DEFAULT_FOLDER).is_dir() else Path()]
    found = workflow_files(paths)
    if not found:
        places = ", ".join(f"'{path}'" for path in paths)
        raise NothingSelected(
            Problem("no-workflow", f"no workflow file was found in {places}", expected="YAML files with 'steps'")
        )
    from runner.app import api

    report = api.check(found, models=dict(args.model), folders=[path for path in paths if path.is_dir()])
    _show(report, args.format, console)
    console.story(closing_line(report))
    return exit_codes.BAD_ANSWER if report.errors else exit_codes.DONE


def _show(report: CheckReport, form: str | None, console: Console) -> None:
    if console.look.is_json:
        console.result(_document(report))
        return
    if form == "github":
        console.commands(annotation_lines(report.problems, most=len(report.problems)), is_result=True)
        return
    notes = report.notes if console.look.verbosity else ()
    console.report(render_all([*report.problems, *notes], report.sources))
    if console.look.verbosity and report.schemas:
        from runner.report.enforcement import enforcement_lines

        console.report("\n".join(enforcement_lines(report.schemas)))
    if console.is_ci:
        console.commands(annotation_lines(report.problems))


def _document(report: CheckReport) -> dict[str, object]:
    from runner.report.documents import FORMAT, problem_documents
    from runner.report.enforcement import enforcement_documents

    return {
        "format": FORMAT,
        "exit_code": exit_codes.BAD_ANSWER if report.errors else exit_codes.DONE,
        "files": list(report.files),
        "errors": report.errors,
        "warnings": len(report.problems) - report.errors,
        "problems": problem_documents(report.problems),
        "notes": problem_documents(report.notes),
        "schemas": enforcement_documents(report.schemas),
    }


def closing_line(report: CheckReport) -> str:
    """`2 errors in 1 file · nothing was called`."""
    warnings = len(report.problems) - report.errors
    found = [count(report.errors, "error")] if report.errors else []
    found += [count(warnings, "warning")] if warnings else []
    if not found:
        return f"no mistakes in {count(len(report.files), 'file')} · nothing was called"
    places = {problem.span.file for problem in report.problems if problem.span}
    return f"{', '.join(found)} in {count(max(len(places), 1), 'file')} · nothing was called"
