"""`runner models`: what is known of each model, and the weights of local ones."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass

from runner.cli import exit_codes
from runner.cli.console import Console, columns
from runner.cli.parser import one_of
from runner.core.canonical import Json
from runner.core.errors import NothingSelected, UsageError
from runner.core.model import MODALITIES, THINKING_LEVELS
from runner.core.problem import Problem
from runner.report.format import number

HEAD = ("model", "thinking", "accepts", "context", "output", "in/out", "note")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", metavar="pull", nargs="?", type=one_of("pull"),
        help="fetch the weights of a local model")  # fmt: skip
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="the model, such as local/smollm2-135m")
    parser.add_argument("--provider", metavar="NAME", default="", help="those of one provider")
    parser.add_argument("--accepts", metavar="KIND", action="append", default=[], type=one_of(*MODALITIES),
        help="those that read text, image, audio, video or document (repeatable)")  # fmt: skip
    parser.add_argument("--thinking", metavar="LEVEL", type=one_of(*THINKING_LEVELS),
        help="those that have a thinking level, such as high")  # fmt: skip


def execute(args: Namespace, console: Console) -> int:
    from runner.app import api

    if args.action:
        if not args.name:
            raise UsageError(
                Problem("usage", "'runner models pull' needs NAME", fix="runner models pull local/smollm2-135m")
            )
        path = api.pull_weights(args.name, console.story)
        if console.look.is_json:
            console.result({"format": 1, "model": args.name, "path": str(path)})
        else:
            console.report(str(path))
        return exit_codes.DONE
    rows = [row for row in map(_as_mapping, api.models()) if _is_wanted(row, args)]
    if not rows:
        raise NothingSelected(Problem("no-models", "no known model is like that", fix="runner models"))
    if console.look.is_json:
        console.result({"format": 1, "models": rows})
    else:
        console.report(columns([HEAD, *map(_cells, rows)]))
        console.report("\n".join(["", *_footer(rows)]))
    return exit_codes.DONE


def _as_mapping(row: object) -> dict[str, Json]:
    if is_dataclass(row) and not isinstance(row, type):
        return asdict(row)
    assert isinstance(row, Mapping)
    return dict(row)


def _is_wanted(row: Mapping[str, Json], args: Namespace) -> bool:
    return (
        (not args.provider or str(row["name"]).partition("/")[0] == args.provider)
        and set(args.accepts) <= set(row.get("accepts", ()))
        and (not args.thinking or args.thinking in row.get("thinking_levels", ()))
    )


def _cells(row: Mapping[str, Json]) -> tuple[str, ...]:
    levels = [
        f"{level}*" if level == row.get("default_thinking") else str(level) for level in row.get("thinking_levels", ())
    ]
    return (
        str(row["name"]),
        " ".join(levels) or "-",
        " ".join(row.get("accepts", ())),
        _count(row.get("context_tokens")),
        _count(row.get("max_output_tokens")),
        _price(row.get("price")),
        _note(row),
    )


def _count(tokens: Json) -> str:
    return number(tokens) if tokens else "?"


def _price(price: Json) -> str:
    if price is None:
        return "?"
    if not price["input"] and not price["output"]:
        return "free"
    return f"${price['input']:g}/${price['output']:g}"


def _footer(rows: Sequence[Mapping[str, Json]]) -> list[str]:
    """What would make every line too wide: the dates of the prices, and which keys are set."""
    dates = sorted({row["price"]["date"] for row in rows if row.get("price") and row["price"].get("date")})
    listed = f", as listed {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else "") if dates else ""
    lines = [f"thinking: * is the level when none is set · in/out: US dollars per million tokens{listed}"]
    keys = {str(row["key_env"]): bool(row.get("has_key")) for row in rows if row.get("key_env")}
    if keys:
        lines.append("keys: " + ", ".join(f"{name} {'set' if has else 'not set'}" for name, has in keys.items()))
    return lines


def _note(row: Mapping[str, Json]) -> str:
    parts = []
    if row.get("retired"):
        replacement = row.get("replacement")
        end = "ended" if row.get("has_ended") else "until"
        parts.append(f"{end} {row['retired']}" + (f", then {replacement}" if replacement else ""))
    long = (row.get("price") or {}).get("long")
    if long:
        parts.append(f"over {number(long['over'])} in: ${long['input']:g}/${long['output']:g}")
    if row.get("note"):
        parts.append(str(row["note"]))
    return "; ".join(parts)
