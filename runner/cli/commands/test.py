"""`runner test`: run suites on pytest, with our options, our story and our exit codes."""

from __future__ import annotations

import os
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import files
from runner.cli.collectors import otel_target
from runner.cli.console import Console
from runner.cli.find import workflow_files
from runner.cli.flow_options import flag
from runner.cli.parser import CommandParser, at_least_one, dollars, pair
from runner.core.errors import NothingSelected, UsageError
from runner.core.problem import Problem

if TYPE_CHECKING:
    from runner.app.types import RunOptions

DEFAULT_FOLDER = "workflows"


def add_arguments(parser: CommandParser) -> None:
    add = parser.add_argument
    add("paths", metavar="SUITES", nargs="*",
        help="suite files, folders, or FILE::CASE (default: workflows/, else the current folder)")  # fmt: skip
    add("-k", dest="fits", metavar="WORDS", default="", help="only cases that fit, as in pytest: 'crash and not slow'")
    add("-x", dest="stops", action="store_true", help="stop at the first case that fails; what is unsent is not asked")
    add("--last-failed", action="store_true", help="only cases that failed last time, if any did")
    add("--list", action="store_true", dest="is_list", help="print the cases and run none")
    add("--offline", action="store_true", help="no network and no model: stored answers only, a miss is exit 6")
    add("--record", action="store_true",
        help="write the answers to cache/recordings, and remove those that nothing uses any more")  # fmt: skip
    add("--refresh", action="store_true", help="ask all anew")
    add("--locked", action="store_true", help="exit 6 unless all is as runner.lock says, and the same models answer")
    add("--update-lock", action="store_true", help="write to runner.lock what the steps are made of and who answered")
    add(
        "--samples",
        type=at_least_one,
        default=0,
        metavar="N",
        help="ask each case N times (default: as the suite says)",
    )
    add("--model", action="append", default=[], type=pair("ALIAS=PROVIDER/MODEL"), metavar="ALIAS=PROVIDER/MODEL",
        help="what a model alias stands for")  # fmt: skip
    add("-j", "--parallel", type=at_least_one, default=8, metavar="N", help="calls at once (default 8)")
    add("-n", "--processes", type=at_least_one, default=1, metavar="N",
        help="with --offline: this many processes replay the cases of large suites (default 1)")  # fmt: skip
    add("--max-cost", type=dollars, metavar="USD", help="stop where a suite has spent this much (RUNNER_MAX_COST)")
    add("--yes", action="store_true", help="start whatever it may cost; ask no question (RUNNER_YES)")
    add("--trust", action="append", default=[], metavar="NAME", help="let this provider's key go to its host")
    add("-o", "--output", type=Path, metavar="FILE", help="write JUnit XML to this file")
    parser.add_rare("--jsonl", action="store_true")
    parser.add_rare("--metrics", type=Path, metavar="FILE")
    parser.add_rare("--otel", metavar="WHERE")


def execute(args: Namespace, console: Console) -> int:
    options = _options(args, console)
    if args.jsonl and (console.look.is_json or args.is_list):
        other = "--list" if args.is_list else "--json"
        raise UsageError(Problem("usage", f"{other} and --jsonl exclude each other", fix="leave one out"))
    if args.output:
        files.ensure_writable(args.output)
    if args.metrics:
        files.ensure_writable(args.metrics, "--metrics")
    spans_to = otel_target(args.otel, console, is_offline=options.is_offline)
    named = [str(path) for path in args.paths] or [DEFAULT_FOLDER if Path(DEFAULT_FOLDER).is_dir() else "."]
    targets = _targets(named)
    from runner.cli.suite_progress import SuitesWatched
    from runner.cli.suite_pytest import run_suites

    with ExitStack() as stack:
        watching = SuitesWatched(stack, console, args.metrics, spans_to, is_jsonl=args.jsonl)
        watched = replace(options, ask=watching.ask if options.ask else None, watch=watching.watch)
        return run_suites(targets, args, watched, console, watching.sinks)


def _options(args: Namespace, console: Console) -> RunOptions:
    from runner.app.types import RunOptions
    from runner.cli.limits import max_cost

    is_offline = args.offline or flag("RUNNER_OFFLINE", console)
    if is_offline and args.refresh:
        raise UsageError(Problem("usage", "--offline and --refresh exclude each other", fix="leave one out"))
    if args.locked and args.update_lock:
        raise UsageError(Problem("usage", "--locked and --update-lock exclude each other", fix="leave one out"))
    return RunOptions(
        is_locked=args.locked,
        updates_lock=args.update_lock,
        samples=args.samples,
        processes=args.processes,
        models=dict(args.model),
        is_offline=is_offline or args.is_list,
        refresh=frozenset({"*"} if args.refresh else ()),
        is_recording=args.record,
        max_parallel=args.parallel,
        trust=frozenset(args.trust),
        verbosity=console.look.verbosity,
        max_cost=max_cost(args.max_cost, console),
        has_consent=args.yes or flag("RUNNER_YES", console),
        ask=console.confirm if console.may_ask else None,
        tell=console.detail,
    )


def _targets(named: list[str]) -> list[str]:
    """Suite files, each with `::CASE` where one is named. Raises NothingSelected where there are none."""
    found: list[str] = []
    for word in named:
        path, mark, case = word.partition("::")
        suites = [one for one in workflow_files([Path(path)]) if one.name.endswith((".suite.yaml", ".suite.yml"))]
        if not suites and not Path(path).is_dir():
            message = f"'{path}' is no suite: it is not called NAME.suite.yaml"
            raise UsageError(Problem("not-a-suite", message, fix=f"runner run {path}"))
        found += [f"{os.path.abspath(one)}{mark}{case}" for one in suites]  # noqa: PTH100 - links stay as typed
    if not found:
        places = ", ".join(f"'{word}'" for word in named)
        raise NothingSelected(Problem("no-suite", f"no suite was found in {places}", expected="files *.suite.yaml"))
    return list(dict.fromkeys(found))
