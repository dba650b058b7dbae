"""Jinja's tokens with their columns.

The syntax tree has a line number on every node and nothing else. A `Place` is such a number that also knows its
column and what follows it, so that it travels through Jinja's own parser into the tree and its errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import Lexer, ignored_tokens, newline_re

# Characters of a token that a place knows; a slice of less is the text itself, not a copy.
MOST_TEXT = 10_000
_SILENT = ignored_tokens | {"raw_begin", "raw_end"}


class Place(int):
    """A line number that knows its column (from 1), the text of its token and the place of the next token."""

    column: int
    text: str
    following: Place | None = None

    @classmethod
    def at(cls, line: int, column: int, text: str = "") -> Place:
        place = cls(line)
        place.column = column
        place.text = text
        return place

    @property
    def length(self) -> int:
        """Characters of the token on its first line."""
        return max(1, len(self.text.partition("\n")[0]))


def place_tokens(
    lexer: Lexer, source: str, name: str | None, filename: str | None, state: str | None
) -> Iterator[tuple[int, str, str]]:
    """Jinja's raw tokens, their line numbers replaced by places."""
    # Jinja counts in a text with "\n" line ends; only white space is dropped between its tokens.
    text = "\n".join(newline_re.split(source)[::2]) if "\r" in source else source
    end, line, before_line = 0, 1, -1
    previous: Place | None = None
    last = Place.at(1, 1)
    try:
        for _, kind, value in lexer.tokeniter(source, name, filename, state):
            start = text.find(value, end)
            if start != end and (skipped := text.count("\n", end, start)):
                line += skipped
                before_line = text.rfind("\n", 0, start)
            last = place = Place.at(line, start - before_line, value[:MOST_TEXT])
            if kind not in _SILENT:
                if previous is not None:
                    previous.following = place
                previous = place
            yield place, kind, value
            end = start + len(value)
            if "\n" in value:
                line += value.count("\n")
                before_line = text.rfind("\n", 0, end)
    except TemplateSyntaxError as error:
        error.lineno = last if last.text.startswith(("{#", "{%")) else _after(text, end, line)
        raise


def _after(text: str, end: int, line: int) -> Place:
    return Place.at(line, end - text.rfind("\n", 0, end))


def place_of(node: nodes.Node) -> Place:
    """The place of the token that started a node: its name, its operator, or its dot."""
    return node.lineno if isinstance(node.lineno, Place) else Place.at(node.lineno or 1, 1)


def place_of_name(node: nodes.Getattr | nodes.Test) -> Place:
    """The place of the name after a dot, or after `is` and `is not`."""
    place = place_of(node).following or place_of(node)
    return place.following or place if place.text == "not" else place
