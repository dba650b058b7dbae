"""A template and values become a text."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from jinja2 import Template as JinjaTemplate
from jinja2 import nodes
from jinja2.runtime import Context

from runner.core.canonical import Json
from runner.core.problem import Problem
from runner.core.span import Origin, Span
from runner.core.workflow import Template
from runner.templates.environment import Environment
from runner.templates.examine import examine_all, parse
from runner.templates.places import place_of
from runner.templates.problems import RenderFailed, TemplateProblem, describe_failure
from runner.templates.syntax import first_place, spell
from runner.templates.values import MissingRead


def compile_template(env: Environment, template: Template) -> CompiledTemplate:
    """Parse, examine (with all files it brings in) and compile. Raises TemplateProblem with every problem found."""
    name = name_of(template)
    tree = parse(env, template.text, name, template.origin)
    examine_all(env, tree, template.text, name, template.origin)
    return CompiledTemplate(env, template, assemble(env, tree, name, template.origin))


def name_of(template: Template) -> str:
    """The file that relative names in the template start from."""
    return template.file or template.origin.file


def assemble(env: Environment, tree: nodes.Template, name: str, origin: Origin) -> JinjaTemplate:
    """Compile a tree that was examined. Raises TemplateProblem for what Python cannot compile."""
    try:
        return env.assemble(tree, name)
    except (SyntaxError, RecursionError, MemoryError):
        problem = Problem("template-syntax", "the template is nested too deeply", origin.span())
    raise TemplateProblem(problem)


class CompiledTemplate:
    """A template that is ready to render, any number of times and in any thread."""

    __slots__ = ("_env", "_globals", "_program", "template")

    def __init__(self, env: Environment, template: Template, program: JinjaTemplate) -> None:
        self.template = template
        self._env = env
        self._program = program
        self._globals = dict(env.globals)

    def render(self, values: Mapping[str, Json]) -> str:
        """The text for these values. Raises RenderFailed; values are data and never read as a template."""
        env, program = self._env, self._program
        env.meter.begin()
        try:
            context = Context(env, {**self._globals, **values}, program.name, program.blocks, program.globals)
            return env.join_pieces(program.root_render_func(context))
        except Exception as error:  # noqa: BLE001 -- whatever a template runs into is its author's to see
            failed = explain(error, env, program, self.template.text, self.template.origin)
        raise failed


def explain(error: Exception, env: Environment, program: JinjaTemplate, text: str, origin: Origin) -> RenderFailed:
    """The error at the line where it came up, in the template itself or in a file that it brought in."""
    failing, line = _innermost(error.__traceback__, program)
    if failing is not program:
        name = failing.name or ""
        text, origin = env.source_of(name), Origin(name)
    path = error.value.path if isinstance(error, MissingRead) else ""
    problem = describe_failure(error, _locate(env, text, origin, line, path))
    return RenderFailed(problem, {origin.file: text} if origin.line == 1 and not origin.indent else {})


def _innermost(trace: TracebackType | None, program: JinjaTemplate) -> tuple[JinjaTemplate, int]:
    """The template and line that ran last, told by the marks that Jinja leaves in its code."""
    failing, line = program, 1
    while trace is not None:
        found = trace.tb_frame.f_globals.get("__jinja_template__")
        if found is not None:
            failing, line = found, found.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return failing, line


def _locate(env: Environment, text: str, origin: Origin, line: int, path: str) -> Span:
    """Where a path stands, at or after the line where its statement begins; else the start of that line."""
    lines = text.splitlines()
    start = lines[line - 1] if 0 < line <= len(lines) else ""
    fallback = origin.span(line, len(start) - len(start.lstrip()) + 1, max(1, len(start.strip())))
    if not path or "{{" not in text and "{%" not in text:
        return fallback
    tree = env.parse_template(text, origin.file)
    places = [
        first_place(node)
        for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name))
        if place_of(node) >= line and spell(node) == path
    ]
    if not places:
        return fallback
    place = min(places, key=lambda found: (int(found), found.column))
    return origin.span(int(place), place.column, len(path))
