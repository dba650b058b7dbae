"""What a run may cost, by option or by variable."""

from __future__ import annotations

from argparse import ArgumentTypeError

from runner.cli.console import Console
from runner.cli.parser import dollars
from runner.core.budget import Limit
from runner.core.errors import UsageError
from runner.core.problem import Problem


def max_cost(given: float | None, console: Console) -> Limit | None:
    if given is not None:
        return Limit(given, "--max-cost")
    found = amount("RUNNER_MAX_COST", console)
    return None if found is None else Limit(found, "RUNNER_MAX_COST")


def amount(variable: str, console: Console) -> float | None:
    """A variable that holds US dollars."""
    word = console.environ.get(variable, "").strip()
    if not word:
        return None
    try:
        return dollars(word)
    except ArgumentTypeError:
        expected = "US dollars, such as 5 or 0.5"
        raise UsageError(Problem("bad-variable", f"{variable} is '{word}'", expected=expected)) from None
