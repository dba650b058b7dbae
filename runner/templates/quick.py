"""The syntax trees of the simplest texts, without a lexer: plain paths, and prompts with nothing else in braces.

Most texts of a workflow are of this kind, and Jinja's lexer and parser take twenty times as long for them. The tree is
the one that they would make, places included; whatever is not plain is left to them.
"""

from __future__ import annotations

import re
from typing import Final, cast

from jinja2 import nodes

from runner.core.long_text import Stretch
from runner.templates.places import Place

# In characters. Longer texts are most of a prompt, and are neither copied nor written into code.
LONG_TEXT: Final = 10_000

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_PATH = rf"{_NAME}(?:\.{_NAME})*"
_WHOLE_PATH = re.compile(_PATH)
_INSERTED = re.compile(rf"\{{\{{([ \t]*)({_PATH})[ \t]*\}}\}}")
# What is no name where a value begins, and may stand for something else behind a dot.
_WORDS = frozenset(("and", "else", "if", "in", "is", "not", "or", "true", "false", "none", "True", "False", "None"))


def quick_expression(text: str) -> nodes.Expr | None:
    """The tree of a text that is a plain path, such as `steps.tag.output`."""
    return _path(text, 1, 1) if _WHOLE_PATH.fullmatch(text) else None


def quick_template(text: str) -> nodes.Template | None:
    """The tree of a template in which nothing but plain paths stands in braces."""
    if "{%" in text or "{#" in text or "\r" in text:
        return None
    stop = len(text) - text.endswith("\n")  # as Jinja does
    pieces: list[nodes.Node] = []
    end, line, begun = 0, 1, 0  # `begun` is where the line begins
    for found in _INSERTED.finditer(text, 0, stop):
        start = found.start()
        if start > end:
            if text.find("{{", end, start) >= 0:
                return None
            pieces.append(data_of(text, end, start, line, end - begun + 1))
            if breaks := text.count("\n", end, start):
                line += breaks
                begun = text.rfind("\n", end, start) + 1
        path = _path(found[2], line, found.start(2) - begun + 1)
        if path is None:
            return None
        pieces.append(path)
        end = found.end()
    if end < stop:
        if text.find("{{", end, stop) >= 0:
            return None
        pieces.append(data_of(text, end, stop, line, end - begun + 1))
    return nodes.Template([nodes.Output(pieces, lineno=pieces[0].lineno)] if pieces else [], lineno=1)


def data_of(text: str, start: int, end: int, line: int, column: int) -> nodes.TemplateData:
    """The text between braces; a long one is not copied."""
    if end - start < LONG_TEXT:
        data = text[start:end]
        return nodes.TemplateData(data, lineno=Place.at(line, column, data))
    first = text.find("\n", start, min(end, start + LONG_TEXT))
    place = Place.at(line, column, text[start : first if first >= 0 else start + LONG_TEXT])
    return nodes.TemplateData(cast(str, Stretch(text, start, end)), lineno=place)


def _path(text: str, line: int, column: int) -> nodes.Expr | None:
    """Names and dots, each with its place and that of the next."""
    first, *others = names = text.split(".")
    if not _WORDS.isdisjoint(names):
        return None
    previous = Place.at(line, column, first)
    found: nodes.Expr = nodes.Name(first, "load", lineno=previous)
    column += len(first)
    for name in others:
        dot, place = Place.at(line, column, "."), Place.at(line, column + 1, name)
        previous.following, dot.following = dot, place
        found = nodes.Getattr(found, name, "load", lineno=dot)
        column += 1 + len(name)
        previous = place
    return found
