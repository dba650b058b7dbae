"""argparse with our words: mistakes become problems with the nearest name, and options every command has."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from runner.core.version import VERSION

COMMON_NOTE = "Also, as for every command: -C DIR, -q, -qq, -v, --color, --no-progress, --json (runner --help)."
RARELY = "\nRarely needed, see the README: "
MOST_COLUMNS = 100
COMMON_WITH_VALUE = ("-C", "--color")


class CommandParser(argparse.ArgumentParser):
    """The parser of one command, built only when that command is called."""

    def __init__(self, command: str, summary: str) -> None:
        super().__init__(
            prog=f"runner {command}".rstrip(),
            description=summary,
            epilog=COMMON_NOTE,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.command = command
        _add_common(self)

    def add_rare(self, name: str, *, metavar: str | None = None, **settings: Any) -> None:
        """An option that the help only names, so that it stays one screen; the README says what it does."""
        if metavar is not None:
            settings["metavar"] = metavar
        self.add_argument(name, help=argparse.SUPPRESS, **settings)
        spelled = f"{name} {metavar or ''}".rstrip()
        head, mark, named = (self.epilog or "").partition(RARELY)
        last = named.rpartition("\n")[2]
        comma = ",\n  " if len(RARELY) + len(last) + len(spelled) > MOST_COLUMNS else ", "
        self.epilog = f"{head}{RARELY}{f'{named}{comma}' if mark else ''}{spelled}"

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The options and arguments in any order. Raises UsageError."""
        options, rest = self.parse_known_intermixed_args(words)
        if rest:
            self._refuse(rest[0])
        return options

    def _refuse(self, word: str) -> NoReturn:
        from runner.core.errors import UsageError
        from runner.core.problem import Problem, nearest

        if not word.startswith("-"):
            raise UsageError(
                Problem("usage", f"'{self.prog}' does not take a further argument '{word}'", fix=f"{self.prog} --help")
            )
        name = word.partition("=")[0]
        # Without the dashes, which all have in common.
        known = {
            option.lstrip("-"): option
            for option in self._option_string_actions
            if option.startswith("--") or len(name) == 2
        }
        close = known.get(nearest(name.lstrip("-"), known), "")
        raise UsageError(
            Problem("unknown-option", f"'{self.prog}' has no option '{name}'", nearest=close, fix=f"{self.prog} --help")
        )

    def error(self, message: str) -> NoReturn:
        from runner.core.errors import UsageError
        from runner.core.problem import Problem

        raise UsageError(Problem("usage", _in_our_words(self.prog, message), fix=f"{self.prog} --help"))


def _in_our_words(prog: str, message: str) -> str:
    if match := re.fullmatch(r"the following arguments are required: (.*)", message):
        return f"'{prog}' needs {match[1]}"
    if match := re.fullmatch(r"argument ([^:]*): expected (?:one|at least one) argument", message):
        return f"option {match[1]} needs a value"
    if match := re.fullmatch(r"argument ([^:]*): (.*)", message, re.DOTALL):
        place = f"option {match[1]}" if match[1].startswith("-") else match[1]
        return f"{place}: {match[2]}"
    return message  # pragma: no cover - argparse has no other kinds for parsers like ours


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Options of every command; the command's own help names them in one line."""
    hidden = argparse.SUPPRESS
    parser.add_argument("-C", dest="folder", metavar="DIR", default="", help=hidden)
    parser.add_argument("-q", "--quiet", action="count", default=0, help=hidden)
    parser.add_argument("-v", "--verbose", action="count", default=0, help=hidden)
    parser.add_argument("--color", type=one_of("auto", "always", "never"), metavar="WHEN", help=hidden)
    parser.add_argument("--no-progress", action="store_true", help=hidden)
    parser.add_argument("--json", action="store_true", help=hidden)
    parser.add_argument("--version", action="version", version=f"runner {VERSION}", help=hidden)


def one_of(*words: str) -> Callable[[str], str]:
    """An option type: one of some words."""

    def read(text: str) -> str:
        if text in words:
            return text
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(words)}")

    return read


def at_least_one(text: str) -> int:
    """An option type: a whole number from 1."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def dollars(text: str) -> float:
    """An option type: US dollars, from 0."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"'{text}' are no US dollars, such as 5 or 0.5")
    return float(text)


def pair(metavar: str) -> Callable[[str], tuple[str, str]]:
    """An option type: `name=value`; `metavar` shows its form."""

    def read(text: str) -> tuple[str, str]:
        name, sign, value = text.partition("=")
        if not (sign and name.strip()):
            raise argparse.ArgumentTypeError(f"'{text}' is not of the form {metavar}")
        return name.strip(), value

    return read


def split_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """The first word that is no option nor the value of one, and all other words."""
    skip = False
    for index, word in enumerate(words):
        if skip:
            skip = False
        elif word in COMMON_WITH_VALUE:
            skip = True
        elif not word.startswith("-"):
            return word, [*words[:index], *words[index + 1 :]]
    return "", list(words)
