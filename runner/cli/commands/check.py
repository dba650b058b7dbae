"""`runner check`: all mistakes, before anything is called."""

from __future__ import annotations

import gc
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cli import check_output, exit_codes, files
from runner.cli.console import Console, columns
from runner.cli.find import LeftAlone, workflow_files
from runner.cli.parser import one_of, pair
from runner.core.errors import NothingSelected, UsageError
from runner.core.problem import Problem, nearest
from runner.report.annotations import annotation_lines
from runner.report.format import count

if TYPE_CHECKING:
    from runner.app.types import CheckReport

DEFAULT_FOLDER = "workflows"
SERVICES = ("github", "gitlab", "sarif")
# What is read of a file is kept until all is told: looking for garbage took a tenth of the time and found none.
YOUNG_OBJECTS = 200_000


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("paths", metavar="PATHS", nargs="*", type=Path,
        help="workflow and suite files, or folders (default: workflows/, else the current folder)")  # fmt: skip
    add("--fix", action="store_true", help="repair what is safe, and report what is left")
    add("--diff", action="store_true", help="show what --fix would change, and change nothing")
    add("--strict", action="store_true", help="warnings count as errors, and so do comments that silence nothing")
    add("--explain", nargs="?", const="", metavar="CODE", help="explain a code; without one, list all")
    add("--format", type=one_of(*check_output.FORMATS), metavar="FORMAT",
        help="text (default), json, github (annotations) or sarif")  # fmt: skip
    add("-o", "--output", action="append", default=[], type=Path, metavar="FILE",
        help="write the findings to this file too: .txt, .json or .sarif (repeatable)")  # fmt: skip
    add("--model", action="append", default=[], type=pair("ALIAS=PROVIDER/MODEL"),
        metavar="ALIAS=PROVIDER/MODEL", help="what a model alias stands for")  # fmt: skip


def execute(args: Namespace, console: Console) -> int:
    if args.explain is not None:
        return _explain(args.explain, console)
    with _collecting_rarely():
        return _check(args, console)


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _check(args: Namespace, console: Console) -> int:
    for path in args.output:
        if path.suffix not in check_output.SUFFIXES:
            raise UsageError(check_output.unknown_ending(path))
        files.ensure_writable(path)
    paths = args.paths or [Path(DEFAULT_FOLDER) if Path(DEFAULT_FOLDER).is_dir() else Path()]
    found = _found(paths, console)
    options: dict[str, Any] = {
        "models": dict(args.model),
        "folders": [path for path in paths if path.is_dir()],
        "is_strict": args.strict,
    }
    if args.diff:
        return _show_changes(found, options, args, console)
    from runner.app import api

    if args.fix:
        fixed = api.fix(found, **options)
        report = fixed.left
        if fixed.repaired:
            console.story(f"repaired {count(fixed.repaired, 'finding')} in {', '.join(fixed.files)}")
    else:
        report = api.check(found, **options)
    _show(report, args, console)
    for path in args.output:
        told = _in_repository(report, console) if path.suffix == ".sarif" else report
        files.write_whole(path, check_output.file_text(path, told, console.safe, is_strict=args.strict))
        console.detail(f"written: {path}")
    console.story(check_output.closing_line(report))
    return check_output.exit_code(report, is_strict=args.strict)


def _found(paths: Sequence[Path], console: Console) -> list[Path]:
    left = LeftAlone()
    found = workflow_files(paths, left)
    if left.projects:
        what = count(len(left.projects), "other project")
        console.story(f"left alone: {what}, such as {left.projects[0]} (name it to check it)")
    if left.test_data:
        what = count(len(left.test_data), "file")
        console.story(f"left alone: {what} of tests, such as {left.test_data[0]} (name it to check it)")
    if not found:
        places = ", ".join(f"'{path}'" for path in paths)
        raise NothingSelected(
            Problem("no-workflow", f"no workflow file was found in {places}", expected="YAML files with 'steps'")
        )
    return found


def _show(report: CheckReport, args: Namespace, console: Console) -> None:
    if console.look.is_json:
        console.result(check_output.as_json(report, is_strict=args.strict))
    elif args.format in SERVICES:
        _show_to_service(_in_repository(report, console), args, console)
    else:
        console.report(check_output.as_text(report, has_notes=bool(console.look.verbosity)))
        if console.look.verbosity and report.schemas:
            from runner.report.enforcement import enforcement_lines

            console.report("\n".join(enforcement_lines(report.schemas)))
        if console.is_ci:
            console.commands(annotation_lines(_in_repository(report, console).problems))


def _in_repository(report: CheckReport, console: Console) -> CheckReport:
    from runner.cli.repository import report_in_repository

    return report_in_repository(report, console.environ)


def _show_to_service(report: CheckReport, args: Namespace, console: Console) -> None:
    if args.format == "sarif":
        console.result(check_output.as_sarif(report))
    elif args.format == "gitlab":
        console.result(check_output.as_code_quality(report))
    else:
        console.commands(check_output.as_annotations(report), is_result=True)


def _show_changes(found: Sequence[Path], options: dict[str, Any], args: Namespace, console: Console) -> int:
    """The unified diff is the result; the exit code is that of what would be left."""
    from runner.app import api

    fixed = api.fix(found, **options, is_writing=False)
    if console.look.is_json:
        left = check_output.as_json(fixed.left, is_strict=args.strict)
        console.result({**left, "diff": fixed.diff, "repaired": fixed.repaired})
    else:
        console.report(fixed.diff.removesuffix("\n"))
    would = f"--fix would repair {count(fixed.repaired, 'finding')}" if fixed.repaired else "nothing to repair"
    console.story(f"{would} · left: {check_output.closing_line(fixed.left)}")
    return check_output.exit_code(fixed.left, is_strict=args.strict)


def _explain(name: str, console: Console) -> int:
    from runner.app.codes import codes
    from runner.report.codes_text import code_document, explanation

    known = codes()
    if not name:
        if console.look.is_json:
            console.result([code_document(code) for code in known.values()])
        else:
            console.report(columns([(code.name, code.means) for code in known.values()]))
        return exit_codes.DONE
    code = known.get(name)
    if code is None:
        near = nearest(name, known)
        raise UsageError(
            Problem("unknown-code", f"no finding has the code '{name}'", nearest=near, fix="runner check --explain")
        )
    if console.look.is_json:
        console.result(code_document(code))
    else:
        console.report(explanation(code))
    return exit_codes.DONE
