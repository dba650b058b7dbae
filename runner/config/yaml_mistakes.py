"""What the author probably did when a text is no YAML: the parser's error in words that help."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from runner.config.mending import quoted, tab_spacing, template_quoting
from runner.core.problem import Edit, Problem
from runner.core.span import Span

_UNQUOTED_TEMPLATE = re.compile(r"(?P<lead>\s*(?:-\s+)*(?:[^\s#'\"{\[][^#'\"{]*?:\s+)?)(?P<text>\{[{%#].*)")
_TEXT_AFTER_QUOTE = re.compile(r"""["']\s*$""")
_OPENERS = frozenset("[{\"'")

QUOTE_FIX = "put the whole value in quotes, or write it in block style on a line of its own"


def explain_syntax(error: yaml.YAMLError, lines: Sequence[str], file: str) -> Problem:
    """One problem for the error at which the parser gave up."""
    mark = getattr(error, "problem_mark", None)
    context_mark = getattr(error, "context_mark", None)
    if mark is None:
        return Problem("yaml-syntax", "the file is not valid YAML", Span(file, 1, 1))
    place = _place(mark, lines, file)
    context = str(getattr(error, "context", None) or "")
    found = str(getattr(error, "problem", None) or "")
    return (
        _tab(place, lines)
        or _template(place, lines, mark, None if context_mark is None else context_mark.line + 1)
        or _cut_in_flow(place, lines, context, context_mark)
        or _unclosed_quote(place, lines, context, context_mark)
        or _text_after_quote(place, lines, found)
        or _colon_in_text(place, found)
        or _dash_in_text(place, found)
        or _reserved_character(place, lines, found)
        or _indentation(place, lines, context, found, context_mark)
        or _without_colon(place, context, context_mark)
        or _text_after_value(place, context, found)
        or Problem("yaml-syntax", f"this is not valid YAML: {_in_words(context, found)}", place)
    )


def unquoted_template(span: Span, text: str, key: str = "", edits: tuple[Edit, ...] = ()) -> Problem:
    """`{{` where YAML reads the start of a mapping."""
    spelling = f"{key}: " if key else ""
    return Problem(
        "unquoted-template",
        f"YAML reads the unquoted {text[:2]} as the start of a mapping, not as a template",
        span,
        expected="text in quotes, or a block with |",
        fix=f"{spelling}{quoted(text)}",
        edits=edits,
    )


def _place(mark: yaml.Mark, lines: Sequence[str], file: str) -> Span:
    """Errors at the end of the text are shown at the end of its last line that has any."""
    line, column = mark.line + 1, mark.column + 1
    if line > len(lines) or (line == len(lines) and not lines[-1]):
        line = max((number for number, text in enumerate(lines, 1) if text.strip()), default=1)
        column = len(lines[line - 1]) + 1 if lines else 1
    return Span(file, line, column)


def _tab(place: Span, lines: Sequence[str]) -> Problem | None:
    line = lines[place.line - 1] if lines else ""
    lead = line[: len(line) - len(line.lstrip())]
    if "\t" not in lead:
        return None
    return Problem(
        "tab",
        "this line is indented with a tab",
        Span(place.file, place.line, lead.index("\t") + 1),
        expected="spaces: YAML does not allow tabs in indentation",
        fix="replace the tab by spaces",
        edits=tab_spacing(place.file, lines, place.line),
    )


def _template(place: Span, lines: Sequence[str], failed: yaml.Mark, context_line: int | None) -> Problem | None:
    for number in (place.line, place.line - 1, context_line or 0):
        match = _UNQUOTED_TEMPLATE.match(lines[number - 1]) if 1 <= number <= len(lines) else None
        if match:
            text = match["text"].rstrip()
            key = match["lead"].strip().removesuffix(":").lstrip("- ")
            span = Span(place.file, number, match.start("text") + 1, len(text))
            return unquoted_template(span, text, key, template_quoting(span, text, lines, failed))
    return None


def _cut_in_flow(place: Span, lines: Sequence[str], context: str, opened: yaml.Mark | None) -> Problem | None:
    if "flow" not in context or opened is None:
        return None
    line = lines[place.line - 1] if lines else ""
    here = line[place.column - 1 : place.column]
    is_after_quote = _TEXT_AFTER_QUOTE.search(line[: place.column - 1])
    if here and place.line == opened.line + 1 and (here in _OPENERS or is_after_quote):
        return Problem(
            "cut-expression",
            f"inside brackets YAML ends the value before {here}",
            place,
            expected="a comma, or the closing bracket",
            fix=QUOTE_FIX,
        )
    if "flow node" in context:
        message = "a value is missing here" if here else "the file ends inside a bracket that is not closed"
        return Problem("yaml-syntax", message, place, expected="a value, or the closing bracket")
    bracket = "[" if "sequence" in context else "{"
    closing = "]" if bracket == "[" else "}"
    return Problem(
        "yaml-syntax",
        f"the bracket {bracket} from line {opened.line + 1} is not closed before this place",
        place,
        expected=f"a comma, or {closing}",
        notes=(("opened", f"{place.file}:{opened.line + 1}:{opened.column + 1}"),),
    )


def _unclosed_quote(place: Span, lines: Sequence[str], context: str, opened: yaml.Mark | None) -> Problem | None:
    if "quoted scalar" not in context or opened is None:
        return None
    start = Span(place.file, opened.line + 1, opened.column + 1)
    line = lines[start.line - 1] if start.line <= len(lines) else ""
    if place.line == start.line and place.column <= len(line):
        return Problem(
            "yaml-syntax",
            "a backslash in double quotes starts an escape that YAML does not know",
            place,
            fix="write \\\\ for a backslash, or use single quotes",
        )
    return Problem("yaml-syntax", "the quote that opens here is never closed", start, fix="close the quote")


def _text_after_quote(place: Span, lines: Sequence[str], found: str) -> Problem | None:
    line = lines[place.line - 1] if lines else ""
    if "expected key" not in found or not _TEXT_AFTER_QUOTE.search(line[: place.column - 1]):
        return None
    return Problem(
        "cut-expression",
        "the value ends at its closing quote, but more text follows",
        place,
        expected="the end of the line",
        fix="put the whole value in the other kind of quotes, or use a block with |",
    )


def _colon_in_text(place: Span, found: str) -> Problem | None:
    if "mapping values are not allowed" not in found:
        return None
    return Problem(
        "yaml-syntax",
        "a colon with a blank after it starts a value, but none can start here",
        place,
        fix="put text with a colon in quotes or in a block with |, or mend the indentation",
    )


def _dash_in_text(place: Span, found: str) -> Problem | None:
    if "block sequence entries are not allowed" not in found:
        return None
    return Problem(
        "yaml-syntax",
        "a dash with a blank after it starts a list entry, but none can start here",
        place,
        fix="put text with a dash in quotes or in a block with |, or put the list on a line of its own",
    )


def _reserved_character(place: Span, lines: Sequence[str], found: str) -> Problem | None:
    if "cannot start any token" not in found:
        return None
    line = lines[place.line - 1] if lines else ""
    here = line[place.column - 1 : place.column]
    return Problem("yaml-syntax", f"unquoted text cannot start with {here}", place, fix="put the value in quotes")


def _indentation(
    place: Span, lines: Sequence[str], context: str, found: str, opened: yaml.Mark | None
) -> Problem | None:
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    is_first_in_line = not line[: place.column - 1].strip()
    if opened is None or not is_first_in_line or "block" not in context or "did not find expected" not in found:
        return None
    what = "list" if "collection" in context or "sequence" in context else "mapping"
    if opened.column + 1 == place.column:
        begun = "a list entry" if line[place.column - 1 :].startswith("-") else "a key"
        kind = "entries of the list" if what == "list" else "keys of the mapping"
        message = f"{begun} stands among the {kind} of line {opened.line + 1}"
        return Problem("yaml-syntax", message, place, fix="indent it below the entry that it belongs to")
    before = next((text for text in reversed(lines[: place.line - 1]) if text.strip()), "")
    starts = {opened.column + 1, len(before) - len(before.lstrip()) + 1}
    columns = " or ".join(str(start) for start in sorted(starts, reverse=True))
    return Problem(
        "yaml-syntax",
        f"this line starts at column {place.column}, where nothing around it starts",
        place,
        expected=f"column {columns}",
        fix="mend the indentation",
    )


def _without_colon(place: Span, context: str, started: yaml.Mark | None) -> Problem | None:
    if "simple key" not in context or started is None:
        return None
    return Problem(
        "yaml-syntax",
        "this line is neither a key with a value nor part of the value before it",
        Span(place.file, started.line + 1, started.column + 1),
        expected="a colon and a blank after the key, or deeper indentation",
    )


def _text_after_value(place: Span, context: str, found: str) -> Problem | None:
    if "block scalar" in context:
        message = "text follows the sign that opens a block, and the block begins on the next line"
        return Problem("yaml-syntax", message, place, fix="put the text below, indented, or the whole value in quotes")
    if "directive" in context:
        return Problem("yaml-syntax", "unquoted text cannot start with %", place, fix="put the value in quotes")
    if "<document start>" in found:
        message = "the first value of the file ends before this place, and a file holds one value"
        return Problem("yaml-syntax", message, place, expected="a mapping whose keys all start at the same column")
    if "block mapping" in context and "did not find expected key" in found:
        return Problem(
            "yaml-syntax",
            "this text follows a value that has ended already",
            place,
            expected="the next key, on a line of its own",
        )
    return None


def _in_words(context: str, found: str) -> str:
    return f"{found} {context}".strip() if context else found or "it cannot be read"
