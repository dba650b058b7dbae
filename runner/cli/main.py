"""The console script. Nothing is imported here before it is known that a command was called."""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


# What a command makes lives to its end: looking for garbage among each 700 new objects (the default) finds none.
YOUNG_OBJECTS = 20_000


def entry() -> NoReturn:
    """Run this process's command line and leave with its exit code."""
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        code = main(sys.argv[1:])
        _flush_quietly()
    except KeyboardInterrupt:  # so early that nothing is loaded yet, or so late that all is said
        code = 130
    gc.freeze()  # what is left goes with the process, and need not be looked through once more
    sys.exit(code)


def main(words: Sequence[str]) -> int:
    """Run one command line; the exit code. Raises nothing."""
    if words and words[0] in ("--version", "-V"):
        return _print_version()
    if words and words[0] in ("--help", "-h"):
        return _print_help()
    from runner.cli.boundary import guarded

    return guarded(words)


def _print_version() -> int:
    from runner.core.version import VERSION

    return _print(f"runner {VERSION}\n")


def _print_help() -> int:
    from runner.cli.index import help_text

    return _print(help_text())


def _print(text: str) -> int:
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        from runner.cli.console import silence

        silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return 0
        sys.stderr.write(f"unwritable-output: standard output cannot be written: {error.strerror}\n")
        return 3
    return 0


def _flush_quietly() -> None:
    """A reader that went away is no defect of ours: flush here, where it can be caught."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            from runner.cli.console import silence

            silence(stream)
