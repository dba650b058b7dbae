"""The paths that a template or expression reads from the names it is given, each with its place.

An abstract walk over the syntax tree: a name bound by `for` or `set` stands for the path that it takes its value
from, so that `{% for t in steps.tag.outputs %}{{ t.name }}` reads `steps.tag.outputs.[].name`. Where a value is
computed, the walk knows nothing of it and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from runner.core.errors import FileError
from runner.core.frozen import dataclass, replace
from runner.core.span import Origin
from runner.core.workflow import Expression, Template
from runner.templates.environment import Environment
from runner.templates.examine import file_named, name_of, parse, parse_expression
from runner.templates.problems import TemplateProblem
from runner.templates.reader import Reader
from runner.templates.trail import (
    ON_A_TEST,
    Guards,
    Readings,
    Reference,
    Scope,
    bind,
)
from runner.templates.tree import body_of, children_of
from runner.templates.values import Refused


def references_of(env: Environment, source: Template | Expression) -> tuple[Reference, ...]:
    """Every path read from a free name, in the order of reading. Raises TemplateProblem for a syntax error."""
    return readings_of(env, source).references


def readings_of(env: Environment, source: Template | Expression) -> Readings:
    """The paths read from free names, and what they are compared with. Raises TemplateProblem for a syntax error."""
    reader = Reader(source.origin)
    facts: Guards = frozenset()
    try:
        if isinstance(source, Expression):
            tree = parse_expression(env, source).root
            reader.read(tree, {}, frozenset())
            facts = reader.facts(tree, {}, True)
        else:
            name = name_of(source)
            _Walk(env, name, reader, {name}).run(body_of(parse(env, source.text, name, source.origin)), {}, frozenset())
    except RecursionError:
        # The compiler refuses what is nested this deeply, in words.
        return Readings()
    return Readings(
        tuple(dict.fromkeys(reader.found)), tuple(dict.fromkeys(reader.compared)), frozenset(reader.tested), facts
    )


@dataclass(frozen=True, slots=True)
class _Walk:
    """The walk through one file; files that it brings in are walked into the same lists."""

    env: Environment
    name: str
    reader: Reader
    visited: set[str]

    def run(self, body: Iterable[nodes.Node], scope: Scope, guards: Guards) -> None:
        """Walk statements in order; what they bind is bound in `scope`."""
        for node in body:
            self._statement(node, scope, guards)

    def _statement(self, node: nodes.Node, scope: Scope, guards: Guards) -> None:
        match node:
            case nodes.For():
                self._for(node, scope, guards)
            case nodes.If():
                self._if(node, scope, guards)
            case nodes.Assign():
                bound = self.reader.value(node.node, scope, guards, used=False)
                self.reader.record(bound, guards, used=False)
                bind(node.target, bound, scope)
            case nodes.AssignBlock():
                self.run(node.body, dict(scope), guards)
                self.reader.read(node.filter, scope, guards)
                bind(node.target, None, scope)
            case nodes.With():
                inner = dict(scope)
                for target, value in zip(node.targets, node.values, strict=True):
                    bound = self.reader.value(value, scope, guards, used=False)
                    self.reader.record(bound, guards, used=False)
                    bind(target, bound, inner)
                self.run(node.body, inner, guards)
            case nodes.Macro() | nodes.CallBlock():
                self._macro(node, scope, guards)
            case nodes.Block() | nodes.FilterBlock():
                if isinstance(node, nodes.FilterBlock):
                    self.reader.read(node.filter, scope, guards)
                self.run(node.body, dict(scope), guards)
            case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
                self._file(node, scope, guards)
            case _:  # what is printed; the language has no other statements
                for printed in children_of(node):
                    self.reader.spend(printed, scope, guards)

    def _for(self, node: nodes.For, scope: Scope, guards: Guards) -> None:
        source = self.reader.spend(node.iter, scope, guards)
        inner: Scope = {**scope, "loop": None}
        bind(node.target, source and source.element(), inner)
        self.reader.ask(node.test, inner, guards)
        facts = ON_A_TEST | self.reader.facts(node.test, inner, True) if node.test is not None else frozenset()
        self.run(node.body, inner, guards | facts)
        self.run(node.else_, dict(scope), guards)

    def _if(self, node: nodes.If, scope: Scope, guards: Guards) -> None:
        branches: list[Scope] = []
        otherwise = guards
        for branch in (node, *node.elif_):
            self.reader.ask(branch.test, scope, otherwise)
            branches.append(dict(scope))
            self.run(branch.body, branches[-1], otherwise | ON_A_TEST | self.reader.facts(branch.test, scope, True))
            otherwise |= ON_A_TEST | self.reader.facts(branch.test, scope, False)
        branches.append(dict(scope))
        self.run(node.else_, branches[-1], otherwise)
        for name in {name for branch in branches for name in branch}:
            bound = {branch.get(name) for branch in branches}
            scope[name] = bound.pop() if len(bound) == 1 else None

    def _macro(self, node: nodes.Macro | nodes.CallBlock, scope: Scope, guards: Guards) -> None:
        if isinstance(node, nodes.Macro):
            scope[node.name] = None
        else:
            self.reader.read(node.call, scope, guards)
        for value in node.defaults:
            self.reader.read(value, scope, guards, used=False)
        # It may be called below a test.
        self.run(node.body, {**scope, **{argument.name: None for argument in node.args}}, guards | ON_A_TEST)

    def _file(
        self, node: nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends, scope: Scope, guards: Guards
    ) -> None:
        """Walk the file where it sees our names; only its macros come back, and they are not data."""
        if isinstance(node, nodes.Import):
            scope[node.target] = None
        elif isinstance(node, nodes.FromImport):
            scope.update({name if isinstance(name, str) else name[1]: None for name in node.names})
        if isinstance(node, nodes.Extends) or node.with_context:
            for walk, body in self._opened(file_named(node)):
                walk.run(body, scope if isinstance(node, nodes.Extends) else dict(scope), guards)

    def _opened(self, written: str | None) -> Iterator[tuple[_Walk, list[nodes.Node]]]:
        """The file, if it can be read and was not walked before; what is wrong with it is told by the compiler."""
        if written is None or self.env.read is None:
            return
        try:
            full = self.env.join_path(written, self.name)
            if full in self.visited:
                return
            self.visited.add(full)
            body = body_of(parse(self.env, self.env.source_of(full), full, Origin(full)))
        except (Refused, FileError, TemplateProblem, TemplateSyntaxError):
            return
        yield replace(self, name=full, reader=replace(self.reader, origin=Origin(full))), body
