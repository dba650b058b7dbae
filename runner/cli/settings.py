"""How the console behaves: option, then environment variable, then default."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from runner.core.errors import UsageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem, listed, nearest

COLORS = ("auto", "always", "never")
_WORDS = {"": 0, "0": 0, "no": 0, "false": 0, "off": 0, "1": 1, "yes": 1, "true": 1, "on": 1, "2": 2}


@dataclass(frozen=True, slots=True)
class Look:
    """What is shown and how. `quiet` 1 leaves the result and errors, 2 only the exit code.

    `origins` says for every value that is no default where it came from.
    """

    quiet: int = 0
    verbosity: int = 0
    color: str = "auto"
    has_progress: bool = True
    is_json: bool = False
    origins: tuple[str, ...] = ()


def look_from(options: Namespace, environ: Mapping[str, str]) -> Look:
    """The look that the options and the environment ask for. Raises UsageError for a word that means nothing."""
    origins: list[str] = []

    def level(name: str, given: int, variable: str) -> int:
        if given:
            return given
        value = _level(variable, environ)
        if value:
            origins.append(f"{name}: {value} (from {variable})")
        return value

    quiet = level("quiet", options.quiet, "RUNNER_QUIET")
    verbosity = level("verbose", options.verbose, "RUNNER_VERBOSE")
    no_progress = level("no-progress", int(options.no_progress), "RUNNER_NO_PROGRESS")
    form = getattr(options, "format", "")
    is_json = int(options.json or form == "json")
    if not form and not getattr(options, "jsonl", False):
        is_json = level("json", is_json, "RUNNER_JSON")
    color = options.color or _color(environ)
    if not options.color and environ.get("RUNNER_COLOR"):
        origins.append(f"color: {color} (from RUNNER_COLOR)")
    return Look(
        quiet=min(quiet, 2),
        verbosity=min(verbosity, 2),
        color=color,
        has_progress=not no_progress,
        is_json=bool(is_json),
        origins=tuple(origins),
    )


def _level(variable: str, environ: Mapping[str, str]) -> int:
    word = environ.get(variable, "").strip().lower()
    if word not in _WORDS:
        raise UsageError(Problem("bad-variable", f"{variable} is '{environ[variable]}'", expected="0, 1, 2, yes or no"))
    return _WORDS[word]


def _color(environ: Mapping[str, str]) -> str:
    word = environ.get("RUNNER_COLOR", "") or "auto"
    if word not in COLORS:
        raise UsageError(
            Problem("bad-variable", f"RUNNER_COLOR is '{word}'", expected=listed(COLORS), nearest=nearest(word, COLORS))
        )
    return word


def wants_color(color: str, environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Colour by option, then NO_COLOR, then FORCE_COLOR, then what the stream is."""
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_terminal and environ.get("TERM") != "dumb"
