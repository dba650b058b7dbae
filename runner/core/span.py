"""Where a value stands in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from runner.core.frozen import dataclass

TAB_STOP = " "
_YAML_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BREAK = re.compile("\r\n|[\r\n]")
_YAML_NAMES = (".yaml", ".yml", ".json")


def breaks_of(file: str) -> re.Pattern[str]:
    """What ends a line, as the parser of this kind of file counts lines."""
    return _YAML_BREAK if file.endswith(_YAML_NAMES) else _BREAK


@lru_cache(maxsize=8)
def lines_of(file: str, text: str) -> tuple[str, ...]:
    """The lines of a file, as spans number them; one that ends the text has no empty line behind it."""
    lines = breaks_of(file).split(text)
    return tuple(lines if lines[-1] else lines[:-1])


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file: lines and columns count from 1, `length` in characters of that line.

    `file` is the path shown to people: relative to the project root where it lies below it.
    """

    file: str
    line: int
    column: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def excerpt(self, sources: Mapping[str, str]) -> str:
        """The source line with a caret under the place, or "" when the text is not at hand."""
        lines = lines_of(self.file, sources.get(self.file, ""))
        if not 1 <= self.line <= len(lines):
            return ""
        line = lines[self.line - 1].replace("\t", TAB_STOP)
        start = min(self.column - 1, len(line))
        shown, start = _window(line, start)
        width = max(1, min(self.length, len(shown) - start))
        gutter = f"{self.line:>5} | "
        return f"{gutter}{shown}\n{' ' * (len(gutter) - 2)}| {' ' * start}{'^' * width}"


def _window(line: str, start: int, width: int = 160) -> tuple[str, int]:
    """Cut a very long line to the neighbourhood of the place."""
    if len(line) <= width:
        return line, start
    left = max(0, start - width // 2)
    return line[left : left + width], start - left


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the first character of a text stands, so that a place in the text is a place in its file.

    `column` is that of the first line, `indent` the columns cut from every further line (block scalars);
    where folding or escapes make the two differ, `is_exact` is false and every place is the start of the text.
    """

    file: str
    line: int = 1
    column: int = 1
    indent: int = 0
    is_exact: bool = True

    def span(self, line: int = 1, column: int = 1, length: int = 1) -> Span:
        """The place of a 1-based line and column of the text."""
        if not self.is_exact:
            return Span(self.file, self.line, self.column, 1)
        if line <= 1:
            return Span(self.file, self.line, self.column + column - 1, length)
        return Span(self.file, self.line + line - 1, self.indent + column, length)
