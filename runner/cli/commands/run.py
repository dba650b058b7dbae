"""`runner run`: execute a workflow, print its outputs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import files
from runner.cli.collectors import is_file, otel_target
from runner.cli.console import Console
from runner.cli.flow_options import add_flow_arguments, flag, flow_options
from runner.cli.flow_options import prepare as prepare_words
from runner.cli.limits import amount, max_cost
from runner.cli.parser import CommandParser, at_least_one, dollars, one_of
from runner.cli.resume import kept, resumed, retry_command
from runner.core.errors import UsageError
from runner.core.problem import Problem

if TYPE_CHECKING:
    from runner.app.types import RunOptions, RunResult
    from runner.core.ports import EventSink
    from runner.core.traffic import SeeTraffic

__all__ = ["add_arguments", "execute", "prepare"]


def add_arguments(parser: CommandParser) -> None:
    add_flow_arguments(parser)
    add, rare = parser.add_argument, parser.add_rare
    add("--offline", action="store_true", help="no network and no model: stored answers only, a miss is exit 6")
    add("--stream", action="store_true", help="show the answers' text while it comes, on standard error")
    rare("--record", action="store_true")
    add("--plan", type=Path, metavar="FILE", help="exit 6, before any call, when this saved plan does not hold")
    rare("--update-lock", action="store_true")
    rare("--fail-fast", action="store_true")
    rare("--no-wait", action="store_true")
    rare("--resume", metavar="RUN")
    add("-j", "--parallel", type=at_least_one, metavar="N", help="calls at once (default 8; RUNNER_PARALLEL)")
    add("--max-cost", type=dollars, metavar="USD", help="stop where this much is spent (RUNNER_MAX_COST)")
    add("--yes", action="store_true", help="start whatever it may cost; ask no question (RUNNER_YES)")
    rare("--trust", metavar="NAME", action="append", default=[])
    add("-o", "--output", type=Path, metavar="FILE", help="write the result to this file too")
    add("--jsonl", action="store_true", help="print one event per line as it happens")
    rare("--only", type=one_of("failed"), metavar="failed")
    rare("--metrics", type=Path, metavar="FILE")
    rare("--otel", metavar="WHERE")


def prepare(words: Sequence[str]) -> list[str]:
    """`--resume RUN` stands for the words of that run."""
    return prepare_words(resumed(list(words)))


def execute(args: Namespace, console: Console) -> int:
    with console.owning_stdout():
        return _execute(args, console)


def _execute(args: Namespace, console: Console) -> int:
    options = _options(args, console)
    if args.output:
        files.ensure_writable(args.output)
    if args.metrics:
        files.ensure_writable(args.metrics, "--metrics")
    spans_to = otel_target(args.otel, console, is_offline=options.is_offline)
    from runner.app import api
    from runner.cli.story import Story

    may_be_live = not args.stream and not (args.jsonl and console.is_result_shown_to_a_person)
    with ExitStack() as stack:
        story = stack.enter_context(Story(console, may_be_live=may_be_live))
        watchers: list[Callable[[SeeTraffic], None]] = [story.watch]
        options = replace(options, ask=story.ask if console.may_ask else None, tell=console.detail)
        if args.stream:
            options = replace(options, hear=story.hear)
        sinks: list[EventSink] = [story]
        if args.jsonl:
            from runner.cli.watching import event_printer

            sinks.append(event_printer(console))
        if args.metrics:
            from runner.cli.watching import metrics_file

            metrics = stack.enter_context(metrics_file(args.metrics, console))
            sinks.append(metrics.sink())
            watchers.append(metrics.watch)
        if spans_to:
            from runner.cli.watching import SentSpans

            sinks.append(stack.enter_context(SentSpans(spans_to, console)).sink())
        options = replace(options, watch=_each(watchers))
        result = api.run(Path(args.flow), options, sinks)
    _tell_problems(result, Path(args.flow), console)
    _give(result, args, console)
    story.close(result.summary)
    if result.failed_files:
        story.tell_retry(result.failed_files, retry_command(args.words))
    return result.exit_code


def _each(watchers: Sequence[Callable[[SeeTraffic], None]]) -> Callable[[SeeTraffic], None]:
    def tell(see: SeeTraffic) -> None:
        for watch in watchers:
            watch(see)

    return tell


def _options(args: Namespace, console: Console) -> RunOptions:
    if args.jsonl and console.look.is_json:
        raise UsageError(Problem("usage", "--json and --jsonl exclude each other", fix="leave one out"))
    if args.no_cache and (args.record or args.offline):
        other = "--record" if args.record else "--offline"
        raise UsageError(Problem("usage", f"--no-cache and {other} exclude each other", fix="leave one out"))
    if args.locked and args.update_lock:
        raise UsageError(Problem("usage", "--locked and --update-lock exclude each other", fix="leave one out"))
    is_offline = args.offline or flag("RUNNER_OFFLINE", console)
    if is_offline and args.refresh:
        other = "--offline" if args.offline else "RUNNER_OFFLINE"
        raise UsageError(Problem("usage", f"{other} and --refresh exclude each other", fix="leave one out"))
    if args.only:
        _ensure_lone(args, is_offline)
    if args.output == Path("-"):
        message = "-o writes a file, and the result goes to standard output without it"
        raise UsageError(Problem("usage", message, fix="leave -o out"))
    return replace(
        flow_options(args, console),
        is_offline=is_offline,
        is_only_failed=args.only is not None,
        is_recording=args.record,
        saved_plan=args.plan,
        writes=_written(args),
        updates_lock=args.update_lock,
        is_fail_fast=args.fail_fast,
        max_parallel=args.parallel or _parallel(console),
        trust=frozenset(args.trust),
        is_detached=args.no_wait,
        words=kept(args.words),
        max_cost=max_cost(args.max_cost, console),
        has_consent=args.yes or flag("RUNNER_YES", console),
        consent_usd=amount("RUNNER_CONSENT_USD", console),
    )


def _ensure_lone(args: Namespace, is_offline: bool) -> None:
    """Refuse options that contradict `--only failed`, which asks, and takes the rest from the store."""
    others = {"--offline": is_offline, "--refresh": bool(args.refresh), "--no-cache": args.no_cache}
    for other, is_given in others.items():
        if is_given:
            raise UsageError(Problem("usage", f"--only failed and {other} exclude each other", fix="leave one out"))


def _written(args: Namespace) -> dict[str, Path]:
    """The files that options name, by option."""
    spans = Path(args.otel) if args.otel and is_file(args.otel) else None
    given: dict[str, Path | None] = {"-o": args.output, "--metrics": args.metrics, "--otel": spans}
    named = {option: path for option, path in given.items() if path is not None}
    if len({path.resolve() for path in named.values()}) < len(named):
        raise UsageError(Problem("usage", f"{' and '.join(named)} name the same file", fix="give them two names"))
    return named


def _parallel(console: Console) -> int:
    word = console.environ.get("RUNNER_PARALLEL", "")
    if not word:
        return 8
    if not (word.isascii() and word.isdigit() and int(word)):
        raise UsageError(
            Problem("bad-variable", f"RUNNER_PARALLEL is '{word}'", expected="a whole number of at least 1")
        )
    console.detail(f"parallel: {word} (from RUNNER_PARALLEL)")
    return int(word)


def _tell_problems(result: RunResult, flow: Path, console: Console) -> None:
    console.problems(result.problems, result.sources)
    if console.is_ci and result.problems:
        from runner.app import api
        from runner.cli.repository import in_repository
        from runner.report.annotations import annotation_lines

        base = api.find_project_root(flow)
        console.commands(annotation_lines(in_repository(result.problems, base, console.environ)))


def _give(result: RunResult, args: Namespace, console: Console) -> None:
    """The document to standard output, and to the file."""
    document = result.outputs
    if console.look.is_json:
        from runner.report.documents import run_document

        document = run_document(result.summary, result.outputs, result.problems, result.exit_code)
    elif not result.is_good and result.outputs is None:
        return
    if args.output:
        files.write_whole(args.output, console.json_text(document) + "\n")
        console.detail(f"written: {args.output}")
    if not args.jsonl:
        console.result(document)
