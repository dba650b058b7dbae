"""From an error inside compiled template code to the place in the file that its author wrote."""

from __future__ import annotations

from types import TracebackType

from jinja2 import Template as JinjaTemplate
from jinja2 import nodes
from jinja2.lexer import newline_re

from runner.core.frozen import dataclass
from runner.core.span import Origin, Span
from runner.templates.environment import Environment
from runner.templates.places import place_of
from runner.templates.problems import RenderFailed, describe_failure, sources_of
from runner.templates.syntax import first_place, spell
from runner.templates.tree import Tree
from runner.templates.values import MissingRead


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a template or expression, and where it stands."""

    text: str
    origin: Origin
    is_expression: bool = False


def explain(error: Exception, env: Environment, program: JinjaTemplate, source: Source) -> RenderFailed:
    """The error at its place, in the source itself or in a file that it brought in."""
    failing, line = _innermost(error.__traceback__, program)
    if failing is not program:
        name = failing.name or ""
        source = Source(env.texts[name], Origin(name))
    path = error.value.path if isinstance(error, MissingRead) else ""
    span = _locate(env, source, line, path)
    return RenderFailed(describe_failure(error, span), sources_of(source.text, source.origin))


def _innermost(trace: TracebackType | None, program: JinjaTemplate) -> tuple[JinjaTemplate, int]:
    """The template and line that ran last, told by the marks that Jinja leaves in its code."""
    failing, line = program, 1
    while trace is not None:
        found = trace.tb_frame.f_globals.get("__jinja_template__")
        if found is not None:
            failing, line = found, found.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return failing, line


def _locate(env: Environment, source: Source, line: int, path: str) -> Span:
    """Where a path stands, at or after the line where its statement begins; else the whole of that line."""
    places = [
        first_place(node)
        for node in _tree(env, source).find(nodes.Getattr, nodes.Getitem, nodes.Name)
        if path and place_of(node) >= line and spell(node) == path
    ]
    if places:
        place = min(places, key=lambda found: (int(found), found.column))
        return source.origin.span(int(place), place.column, len(path))
    shown = newline_re.split(source.text)[::2][line - 1]
    indent = len(shown) - len(shown.lstrip())
    return source.origin.span(line, indent + 1, max(1, len(shown.strip())))


def _tree(env: Environment, source: Source) -> Tree:
    if source.is_expression:
        return env.parse_expression(source.text)
    return env.parse_template(source.text, source.origin.file)
