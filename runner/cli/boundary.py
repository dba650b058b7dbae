"""Where errors become text and an exit code."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import chdir, nullcontext, suppress
from itertools import pairwise

from runner.cli import exit_codes
from runner.cli.console import Console
from runner.cli.index import COMMANDS, LATER, help_text, load_command
from runner.cli.parser import CommandParser, split_command
from runner.cli.settings import Look, look_from
from runner.core.errors import FileError, RunnerError, UsageError
from runner.core.problem import Problem, listed, nearest


def guarded(words: Sequence[str]) -> int:
    """One command line under the boundary. Nothing passes it but an exit code."""
    command, rest = split_command(words)
    console = Console(_first_look(words))
    try:
        args = _read(command, rest)
        if args is None:
            return _say_help(console)
        console = Console(look_from(args, os.environ))
        for origin in console.look.origins:
            console.detail(origin)
        with _folder(args):
            return load_command(command).execute(args, console)
    except SystemExit as asked:  # argparse printed a help
        return asked.code if isinstance(asked.code, int) else exit_codes.DONE
    except RunnerError as error:
        return _explain(error, console)
    except KeyboardInterrupt:
        return _interrupted(console)
    except Exception as error:  # noqa: BLE001 - this is the boundary
        return _defect(error, command, console)


def _read(command: str, words: list[str]) -> Namespace | None:
    """The arguments of the command, or None when no command was named."""
    if not command:
        if "-h" in words or "--help" in words or not words:
            return None
        CommandParser("", "").read(words)
        raise UsageError(Problem("usage", "no command was named", expected=listed(COMMANDS), fix="runner --help"))
    if command not in COMMANDS:
        raise UsageError(_unknown(command))
    module = load_command(command)
    parser = CommandParser(command, COMMANDS[command])
    module.add_arguments(parser)
    prepare = getattr(module, "prepare", None)
    ready = prepare(words) if prepare else words
    args = parser.read(ready)
    args.words = tuple(ready)
    return args


def _unknown(command: str) -> Problem:
    if command in LATER:
        return Problem("later-command", f"'runner {command}' is not in this version", expected=listed(COMMANDS))
    if command.endswith((".yaml", ".yml")):
        return Problem("unknown-command", f"'{command}' is a file, not a command", fix=f"runner run {command}")
    close = nearest(command, COMMANDS)
    return Problem(
        "unknown-command",
        f"there is no command '{command}'",
        expected=listed(COMMANDS),
        nearest=close,
        fix=f"runner {close}" if close else "runner --help",
    )


def _first_look(words: Sequence[str]) -> Look:
    """How to report a mistake in the options themselves."""
    plain = words[: words.index("--")] if "--" in words else words
    quiet = sum(len(word) - 1 for word in plain if word in ("-q", "-qq")) + plain.count("--quiet")
    is_json = "--json" in plain or "--format=json" in plain or ("--format", "json") in pairwise(plain)
    return Look(quiet=min(quiet, 2), is_json=is_json or os.environ.get("RUNNER_JSON") in ("1", "yes", "true", "on"))


def _folder(args: Namespace) -> chdir[str] | nullcontext[None]:
    folder: str = args.folder or os.environ.get("RUNNER_DIR", "")
    if not folder:
        return nullcontext()
    if not os.path.isdir(folder):  # noqa: PTH112 - the text the user typed is what is shown
        raise FileError(Problem("no-such-folder", f"there is no folder '{folder}'"))
    return chdir(folder)


def _say_help(console: Console) -> int:
    console.error(help_text().rstrip())
    return exit_codes.USAGE


def _explain(error: RunnerError, console: Console) -> int:
    is_told_twice = not isinstance(error, FileError)  # what is wrong in a file can be long
    _report(console, error.problems, error.sources, error.exit_code, is_told_twice=is_told_twice)
    return error.exit_code


def _interrupted(console: Console) -> int:
    message = "the run ended at once; answers that were received are stored, the next run goes on from them"
    _report(console, (Problem("interrupted", message),), {}, exit_codes.INTERRUPTED)
    return exit_codes.INTERRUPTED


def _defect(error: Exception, command: str, console: Console) -> int:
    from runner.cli.crash import write_report

    path = write_report(error, command, os.environ)
    place = f"; the report is in {path}" if path else f": {type(error).__name__} (no place to write a report)"
    _report(console, (Problem("defect", f"a defect of runner, not of your files{place}"),), {}, exit_codes.DEFECT)
    return exit_codes.DEFECT


def _report(
    console: Console,
    problems: Sequence[Problem],
    sources: Mapping[str, str],
    exit_code: int,
    *,
    is_told_twice: bool = True,
) -> None:
    """Problems on standard error; with `--json` in the one document on standard output, too or only there."""
    if is_told_twice or not console.look.is_json:
        console.problems(problems, sources)
    if console.look.is_json:
        from runner.report.documents import failure_document

        # Where standard output itself is what fails, the exit code stays that of the first trouble.
        with suppress(RunnerError):
            console.failure(failure_document(problems, exit_code))
