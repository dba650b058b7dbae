"""Edits that make a YAML text say what its author can only have meant.

Each is tried on the text: where the parser does not come further with it, or where two ways lead further and mean
different things, there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from runner.config.nodes import ScalarNode
from runner.core.problem import Edit
from runner.core.span import Span

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAB_WIDTHS = (2, 4, 8, 3, 1, 5, 6, 7)
_INNER = re.compile(r"\{\{[-+]?\s*(?P<inner>.*?)\s*[-+]?\}\}", re.DOTALL)
_COMMENT = re.compile(r"\s+#")


def quoted(text: str) -> str:
    """A text of one line in the quotes that need the fewest escapes."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def change(span: Span, old: str, new: str) -> tuple[Edit, ...]:
    """One edit at the start of a place."""
    return (Edit(span.file, span.line, span.column, old, new),)


def quoting(node: ScalarNode) -> tuple[Edit, ...]:
    """Quotes around an unquoted value of one line."""
    is_whole = node.style == "plain" and node.span.length == len(node.raw) > 0
    return change(node.span, node.raw, quoted(node.raw)) if is_whole else ()


def unquoting(node: ScalarNode) -> tuple[Edit, ...]:
    """A quoted number without its quotes."""
    is_whole = node.style in ("single", "double") and node.origin.is_exact
    mark = "'" if node.style == "single" else '"'
    return change(node.span, f"{mark}{node.raw}{mark}", node.raw) if is_whole else ()


def inner_of(text: str) -> str:
    """The expression between a single pair of braces, "" where there is none."""
    match = _INNER.fullmatch(text.strip())
    inner = match["inner"] if match else ""
    return "" if "{{" in inner or "}}" in inner or "\n" in inner else inner


def bracing(node: ScalarNode) -> tuple[Edit, ...]:
    """An expression without the braces around it."""
    text, inner = node.raw.strip(), inner_of(node.raw)
    if not inner or "\n" in text or not node.origin.is_exact or node.style == "plain":
        return ()
    column = node.raw.index(text) + 1
    place = node.origin.span(1, column)
    return change(place, text, inner)


def template_quoting(place: Span, text: str, lines: Sequence[str], failed: yaml.Mark) -> tuple[Edit, ...]:
    """Quotes around an unquoted template at which, or behind which, the parser gave up."""
    ends = [text.rfind("}}"), text.rfind("%}")]
    comment = _COMMENT.search(text, max(ends) + 2) if max(ends) >= 0 else None
    value = (text[: comment.start()] if comment else text).rstrip()
    line = lines[place.line - 1]
    below = next((other for other in lines[place.line :] if other.strip()), "")
    if max(ends) < 0 or _COMMENT.search(value) or _indent(below) > _indent(line):
        return ()
    start = place.column - 1
    mended = [*lines]
    mended[place.line - 1] = line[:start] + quoted(value) + line[start + len(value) :]
    _, error = _read(mended)
    is_further = error is None or error > (failed.line, failed.column)
    return change(place, value, quoted(value)) if is_further else ()


def tab_spacing(file: str, lines: Sequence[str], number: int) -> tuple[Edit, ...]:
    """Spaces for the tabs that indent lines: in the whole file, else around the line with this number."""
    tabbed = [index for index, line in enumerate(lines) if "\t" in _lead(line) and line.strip()]
    first = last = number - 1
    while first - 1 in tabbed:
        first -= 1
    while last + 1 in tabbed:
        last += 1
    if not tabbed:
        return ()
    return _spaced(file, lines, tabbed) or _spaced(file, lines, list(range(first, last + 1)))


def _spaced(file: str, lines: Sequence[str], rows: Sequence[int]) -> tuple[Edit, ...]:
    """The edits for these lines, if all widths of a tab with which they can be read mean the same."""
    ways: dict[tuple[object, ...], int] = {}
    for width in _TAB_WIDTHS:
        mended = [*lines]
        for row in rows:
            mended[row] = _with_spaces(lines[row], width)
        events, error = _read(mended)
        if error is None or error[0] > rows[-1] + 1:
            ways.setdefault(events, width)
    if len(ways) != 1:
        return ()
    width = next(iter(ways.values()))
    leads = [(row, _lead(lines[row])) for row in rows]
    return tuple(Edit(file, row + 1, 1, lead, lead.replace("\t", " " * width)) for row, lead in leads)


def _with_spaces(line: str, width: int) -> str:
    lead = _lead(line)
    return lead.replace("\t", " " * width) + line[len(lead) :]


def _lead(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent(line: str) -> int:
    return len(_lead(line))


def _read(lines: Sequence[str]) -> tuple[tuple[object, ...], tuple[int, int] | None]:
    """What a text says, and the line and column (from 0) where the parser gives up."""
    events: list[object] = []
    try:
        events.extend(_meaning(event) for event in yaml.parse("\n".join(lines), Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return tuple(events), (0, 0) if mark is None else (mark.line, mark.column)
    return tuple(events), None


def _meaning(event: yaml.Event) -> tuple[object, ...]:
    return type(event), getattr(event, "value", None)
