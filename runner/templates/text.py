"""A template and values become a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, cast

from jinja2 import Template as JinjaTemplate
from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.runtime import Context

from runner.core.canonical import Json
from runner.core.long_text import Piece, Text
from runner.core.problem import Problem
from runner.core.span import Origin
from runner.core.workflow import Expression, Template
from runner.templates.environment import Environment
from runner.templates.examine import FileNode, examine_all, file_named, file_nodes, name_of, parse
from runner.templates.failing import Source, explain
from runner.templates.problems import TemplateProblem, describe_syntax, sources_of
from runner.templates.references import references_of
from runner.templates.tree import Tree

T = TypeVar("T")


def compile_template(env: Environment, template: Template) -> CompiledTemplate:
    """Parse, examine (with all files it brings in) and compile. Raises TemplateProblem with every problem found."""
    name = name_of(template)
    tree = parse(env, template.text, name, template.origin)
    files = examine_all(env, tree, template.text, name, template.origin)
    blind = list(examine_imports(env, tree, name))
    if blind:
        raise TemplateProblem(blind, env.texts)
    compiled = CompiledTemplate(env, template, tree.root, files)
    if not tree.is_plain:
        compiled.assemble()
    return compiled


def assemble(env: Environment, root: nodes.Node, source: Template | Expression) -> JinjaTemplate:
    """Compile a tree that was examined. Raises TemplateProblem for what only shows now."""
    try:
        return env.assemble(root, name_of(source))
    except TemplateSyntaxError as error:
        problem = describe_syntax(error, source.text, source.origin)
    except (SyntaxError, RecursionError, MemoryError):
        what = "expression" if isinstance(source, Expression) else "template"
        problem = Problem("template-syntax", f"the {what} is nested too deeply", source.origin.span())
    raise TemplateProblem(problem, sources_of(source.text, source.origin))


def examine_imports(env: Environment, tree: Tree, name: str) -> Iterator[Problem]:
    """Names of the workflow that an imported file reads, although it sees only the arguments of its macros."""
    for node in file_nodes(tree):
        written = file_named(node)
        if written is None or not _is_blind(node):
            continue
        full = env.join_path(written, name)
        for found in references_of(env, Template(env.texts[full], Origin(full), full)):
            if not found.is_guarded:
                path = ".".join(found.path)
                message = f"'{path}' cannot be seen here: '{full}' is imported without its context"
                yield Problem("import-context", message, found.span, fix="add 'with context' to the import")


def _is_blind(node: FileNode) -> bool:
    return isinstance(node, nodes.Import | nodes.FromImport) and not node.with_context


class CompiledTemplate:
    """A template that is ready to render, any number of times and in any thread.

    It is turned into code when it is first rendered: to check a workflow, nothing is. `files` has the texts of the
    files that it brings in, and of those that they do.
    """

    __slots__ = ("_env", "_globals", "_program", "_root", "_source", "files", "template")

    def __init__(self, env: Environment, template: Template, root: nodes.Node, files: Mapping[str, str]) -> None:
        self.template = template
        self.files = files
        self._source = Source(template.text, template.origin)
        self._env = env
        self._root = root
        self._program: JinjaTemplate | None = None
        self._globals = dict(env.globals)

    @property
    def literals(self) -> tuple[Piece, ...]:
        """The pieces of text outside all braces and blocks, which every rendering has."""
        body = cast(nodes.Template, self._root).body
        pieces = [piece for output in body if isinstance(output, nodes.Output) for piece in output.nodes]
        return tuple(piece.data for piece in pieces if isinstance(piece, nodes.TemplateData))

    def assemble(self) -> JinjaTemplate:
        """Turn it into code. Raises TemplateProblem, but never for a plain tree."""
        self._program = assemble(self._env, self._root, self.template)
        return self._program

    def render(self, values: Mapping[str, Json]) -> str:
        """The text for these values. Raises RenderFailed; values are data and never read as a template."""
        return self._run(values, self._env.join_pieces)

    def render_in_pieces(self, values: Mapping[str, Json]) -> Text:
        """As `render`, but a long text stays in pieces."""
        return self._run(values, self._env.gather_pieces)

    def _run(self, values: Mapping[str, Json], join: Callable[[Iterable[str]], T]) -> T:
        env, program = self._env, self._program or self.assemble()
        env.meter.begin()
        try:
            context = Context(env, {**self._globals, **values}, program.name, program.blocks, program.globals)
            return join(program.root_render_func(context))
        except Exception as error:  # noqa: BLE001 -- whatever a template runs into is its author's to see
            failed = explain(error, env, program, self._source)
        raise failed
