"""`runner plan`: what a run would call, why, and what it would cost. Nothing is called."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli import exit_codes, files
from runner.cli.console import Console, columns
from runner.cli.flow_options import add_flow_arguments, flow_options, prepare
from runner.cli.limits import max_cost
from runner.cli.parser import CommandParser, one_of
from runner.core.canonical import Json
from runner.core.errors import UsageError
from runner.core.problem import Problem
from runner.record.plan_file import writing_plan
from runner.report.plan_text import (
    PLAN_FORMAT,
    basis_line,
    budget_line,
    context_lines,
    list_rows,
    plan_rows,
    total_line,
    why_lines,
)

if TYPE_CHECKING:
    from runner.app.explaining import Difference
    from runner.app.planning import PlanReport

__all__ = ["add_arguments", "execute", "prepare"]


def add_arguments(parser: CommandParser) -> None:
    add_flow_arguments(parser)
    parser.add_argument("--why", nargs="?", const="", metavar="STEP[item]",
        help="compare each call that is certain with the nearest stored answer")  # fmt: skip
    parser.add_argument("--graph", type=one_of(*GRAPHS), metavar="KIND",
        help="print the steps as a graph instead: mermaid, dot or svg")  # fmt: skip
    parser.add_argument("--list", dest="is_list", action="store_true",
        help="only list the steps: model, tags, description")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FILE",
        help="save the plan, for run --plan; with --graph, the picture")  # fmt: skip
    parser.add_argument(
        "--exit-code", action="store_true", help="exit 6 when a run would need a call, 1 when it would fail without one"
    )


GRAPHS = ("mermaid", "dot", "svg")


def execute(args: Namespace, console: Console) -> int:
    from runner.app import api

    _refuse_contradictions(args, console)
    if args.is_list:
        return _list(args, console)
    if args.output:
        files.ensure_writable(args.output)
    saves_plan = args.output and not args.graph
    with writing_plan(args.output) if saves_plan else nullcontext() as writer:
        report = api.plan(
            Path(args.flow),
            replace(
                flow_options(args, console),
                writes={"-o": args.output} if args.output else {},
                max_cost=max_cost(None, console),
            ),
            args.why,
            writer.add if writer else None,
        )
        code = report.run_ends if args.exit_code else exit_codes.DONE
        document = plan_document(report, code)
        if writer:
            writer.finish({**document, "depends_on": report.depends_on})
    for warning in report.warnings:
        console.story(f"warning: {warning}", "warning")
    if args.graph:
        picture = _drawn(document, args.graph)
        if args.output:
            files.write_whole(args.output, picture.rstrip("\n") + "\n")
        console.report(picture)
    elif console.look.is_json:
        console.result(document)
    else:
        _show(document, console, is_explained=args.why is not None)
        if report.nothing_to_explain:
            console.report(f"\n{report.nothing_to_explain}")
    return code


def _refuse_contradictions(args: Namespace, console: Console) -> None:
    """Each of these decides alone what standard output is."""
    is_json = console.look.is_json and not args.is_list
    wanted = {
        "--graph": args.graph,
        "--list": args.is_list,
        "--why": args.why is not None,
        "--json": is_json,
        "-o": args.output is not None and args.is_list,
    }
    given = [option for option, is_given in wanted.items() if is_given]
    if len(given) > 1 and {"--graph", "--list"} & set(given):
        raise UsageError(Problem("usage", f"{given[0]} and {given[1]} exclude each other", fix="leave one out"))


def _list(args: Namespace, console: Console) -> int:
    from runner.app import api

    found = api.list_steps(Path(args.flow), flow_options(args, console))
    if console.look.is_json:
        document = {"format": PLAN_FORMAT, "exit_code": exit_codes.DONE, "workflow": found.workflow}
        console.result({**document, "file": found.file, "shape": [asdict(step) for step in found.steps]})
    else:
        console.report(columns(list_rows([asdict(step) for step in found.steps])))
    return exit_codes.DONE


def _drawn(document: Mapping[str, Json], kind: str) -> str:
    from runner.report.graph import graph_of
    from runner.report.graph_svg import svg
    from runner.report.graph_text import dot, mermaid

    return {"mermaid": mermaid, "dot": dot, "svg": svg}[kind](graph_of(document))


def plan_document(report: PlanReport, code: int) -> dict[str, Json]:
    """The plan as `--json` prints it."""
    plan = report.plan
    totals = {
        "calls": plan.calls,
        "worst_calls": plan.worst_calls,
        "cached": plan.cached,
        "cost_usd": plan.cost_usd,
        "worst_usd": plan.worst_usd,
    }
    return {
        "format": PLAN_FORMAT,
        "exit_code": code,
        "workflow": report.workflow,
        "file": report.file,
        "steps": [{**asdict(step), "fate": str(step.fate)} for step in plan.steps],
        "shape": [asdict(step) for step in report.shape],
        "totals": totals,
        "budget": [asdict(limit) for limit in report.budget],
        "price_dates": list(report.price_dates),
        "calls": [
            {"step": call.ask.step, "item": call.ask.item, "key": call.ask.key, "reason": call.reason}
            for call in plan.asked
        ],
        "why": [_difference(difference) for difference in report.why],
    }


def _difference(difference: Difference) -> dict[str, Json]:
    return {**asdict(difference), "changed": [str(change) for change in difference.changed]}


def _show(document: dict[str, Json], console: Console, *, is_explained: bool) -> None:
    steps = document["steps"]
    console.report(columns(plan_rows(steps)))
    budget = budget_line(document["budget"])
    console.report(
        "\n".join(
            (
                "",
                total_line(document["totals"]),
                *context_lines(steps),
                *budget,
                basis_line(steps, document["price_dates"]),
            )
        )
    )
    if is_explained:
        console.report("".join("\n" + "\n".join(why_lines(difference)) for difference in document["why"]))
