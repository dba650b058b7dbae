"""Comments that silence findings: `# runner: ignore[code]` in YAML, `{# runner: ignore[code] #}` in templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from runner.config.comments import comments
from runner.core.codes import Code
from runner.core.frozen import dataclass
from runner.core.problem import Problem, nearest
from runner.core.span import Span, lines_of

MARK = "runner: ignore["
_YAML_NAMES = (".yaml", ".yml")
_YAML = re.compile(r"#\s*runner: ignore\[(?P<codes>[^\]\n]*)\]")
_TEMPLATE = re.compile(r"\{#-?\s*runner: ignore\[(?P<codes>[^\]\n]*)\]\s*[-+]?#\}")
_CODE = re.compile(r"[^\s,]+")


@dataclass(frozen=True, slots=True)
class _Ignore:
    """One code in one comment, and the lines on which it silences."""

    code: str
    span: Span
    lines: range


def without_ignored(
    problems: Sequence[Problem], sources: Mapping[str, str], *, is_strict: bool = False
) -> list[Problem]:
    """The findings that no comment silences, and what is wrong with the comments."""
    ignores = [one for file, text in sources.items() if MARK in text for one in _ignores(file, text)]
    if not ignores:
        return list(problems)
    from runner.app.codes import codes

    known = codes()
    left: list[Problem] = []
    used: set[_Ignore] = set()
    for problem in problems:
        by = [one for one in ignores if _silences(one, problem)] if _can_be_ignored(problem, known) else []
        used.update(by)
        if not by:
            left.append(problem)
    is_whole = not any(problem.is_error for problem in problems)
    for one in ignores:
        left += _wrong(one, known)
        if is_strict and is_whole and one not in used and one.code in known:
            left.append(_unused(one))
    return left


def _can_be_ignored(problem: Problem, known: Mapping[str, Code]) -> bool:
    return not problem.is_error or (problem.code in known and known[problem.code].is_ignorable)


def _silences(one: _Ignore, problem: Problem) -> bool:
    span = problem.span
    return span is not None and one.code == problem.code and span.file == one.span.file and span.line in one.lines


def _wrong(one: _Ignore, known: Mapping[str, Code]) -> Iterator[Problem]:
    if one.code not in known:
        message = f"no finding has the code '{one.code}', so this comment silences nothing"
        yield Problem("unknown-code", message, one.span, nearest=nearest(one.code, known), severity="warning")


def _unused(one: _Ignore) -> Problem:
    message = f"nothing here is found as {one.code}, or it cannot be ignored, so this comment silences nothing"
    return Problem("unused-ignore", message, one.span, fix="delete the comment", severity="warning")


def _ignores(file: str, text: str) -> Iterator[_Ignore]:
    lines = lines_of(file, text)
    blocks: dict[int, int] = {}
    if file.endswith(_YAML_NAMES):
        written = comments(text)
        blocks = dict(written.blocks)
        for number, column in written.places:
            found = _YAML.match(lines[number - 1], column - 1)
            if found:
                yield from _named(file, number, found, _covered(lines, number, column, blocks, "#"))
    for number, line in enumerate(lines, 1):
        for found in _TEMPLATE.finditer(line):
            rest = line[: found.start()] + line[found.end() :]
            last = number if rest.strip() else _next_line(lines, number, "{#")
            yield from _named(file, number, found, range(number, last + 1))


def _named(file: str, number: int, found: re.Match[str], lines: range) -> Iterator[_Ignore]:
    for code in _CODE.finditer(found["codes"]):
        column = found.start("codes") + code.start() + 1
        yield _Ignore(code[0], Span(file, number, column, len(code[0])), lines)


def _covered(lines: Sequence[str], number: int, column: int, blocks: Mapping[int, int], mark: str) -> range:
    """The line of a comment, or the next one with a value; with a block that it opens to the block's end."""
    is_alone = not lines[number - 1][: column - 1].strip()
    first = _next_line(lines, number, mark) if is_alone else number
    return range(first, blocks.get(first, first) + 1)


def _next_line(lines: Sequence[str], number: int, mark: str) -> int:
    """The first line behind one that holds more than a comment."""
    for index in range(number, len(lines)):
        text = lines[index].strip()
        if text and not text.startswith(mark):
            return index + 1
    return number
