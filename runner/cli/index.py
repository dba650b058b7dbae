"""The commands by name, and the help that lists them. Imports no command before it is called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from runner.cli.exit_codes import table

if TYPE_CHECKING:
    from argparse import Namespace

    from runner.cli.console import Console
    from runner.cli.parser import CommandParser

COMMANDS = {
    "init": "write a first workflow that runs without network or key",
    "check": "find mistakes without calling anything",
    "plan": "say what a run would call, why, and what it would cost",
    "run": "run a workflow and print its outputs",
    "test": "run suites and say which cases are not as expected",
    "show": "show a run, a step, or one exchange",
    "models": "list the known models, or pull the weights of a local one",
    "cache": "look into the stored answers, clean up, carry them elsewhere",
    "schema": "print the JSON Schema of a file kind, or of events",
}
LATER = ("diff", "report")

HELP = """\
usage: runner COMMAND [options]

A declarative prompt runner: typed, cached, reproducible answers from YAML workflows.

commands:
{commands}

options of every command (or variable):
  -C DIR                 work in this folder (RUNNER_DIR)
  -q, -qq                result and errors only; exit code only (RUNNER_QUIET)
  -v, -vv                say more (RUNNER_VERBOSE)
  --color WHEN           auto, always or never (RUNNER_COLOR, NO_COLOR, FORCE_COLOR)
  --no-progress          no live block, no progress lines (RUNNER_NO_PROGRESS)
  --json                 one JSON document on standard output (RUNNER_JSON)
  -h, --help             help of runner, or of a command
  --version              the version

exit codes:
{codes}
"""


class Command(Protocol):
    """What each module in `commands/` has."""

    def add_arguments(self, parser: CommandParser) -> None: ...

    def execute(self, args: Namespace, console: Console) -> int: ...


def load_command(name: str) -> Command:
    return cast(Command, import_module(f"runner.cli.commands.{name}"))


def help_text() -> str:
    commands = "\n".join(f"  {name:<8} {summary}" for name, summary in COMMANDS.items())
    return HELP.format(commands=commands, codes=table())
