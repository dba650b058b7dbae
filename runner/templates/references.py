"""The paths that a template or expression reads from the names it is given, each with its place.

An abstract walk over the syntax tree: a name bound by `for` or `set` stands for the path that it takes its value
from, so that `{% for t in steps.tag.outputs %}{{ t.name }}` reads `steps.tag.outputs.[].name`. Where a value is
computed, the walk knows nothing of it and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from runner.core.errors import FileError
from runner.core.span import Origin, Span
from runner.core.workflow import Expression, Template
from runner.templates.environment import Environment
from runner.templates.examine import file_named, name_of, parse, parse_expression
from runner.templates.places import Place, place_of, place_of_name
from runner.templates.problems import TemplateProblem
from runner.templates.values import Refused

ELEMENT = "[]"
Path = tuple[str, ...]

_GIVES_ELEMENT = frozenset(("first", "last", "min", "max", "vote", "find"))
_GIVES_SAME_LIST = frozenset(
    ("list", "sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr", "shuffle")
)
_GIVES_LISTS = frozenset(("chunks", "windows", "batch", "slice"))
# Filters whose argument names a field of the elements: its position, where it can be given without its name.
_FIELD_POSITION = {"sort": 2, "unique": 1, "min": 1, "max": 1, "sum": 0, "join": 1, "groupby": 0,
                   "selectattr": 0, "rejectattr": 0, "find": 0, "map": None}  # fmt: skip
_LANGUAGE_NAMES = frozenset(("caller", "self", "super", "varargs", "kwargs", "range", "namespace", "dict"))


@dataclass(frozen=True, slots=True)
class Reference:
    """One reading of a path. `spans` has the place of each part, `span` the place of the whole.

    `[]` in the path is an element of a list. `is_guarded`: the author has said what happens when there is no value.
    """

    path: Path
    span: Span
    is_guarded: bool
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Trail:
    """What is known of a value: the path that it is read from.

    `wraps` counts the lists around it that are not in the data, such as chunks. Where `is_rearranged`, a position in
    it is not a position in the data.
    """

    path: Path
    spans: tuple[Span, ...]
    wraps: int = 0
    is_guarded: bool = False
    is_rearranged: bool = False

    def into(self, key: str, span: Span) -> _Trail | None:
        return None if self.wraps else replace(self, path=(*self.path, key), spans=(*self.spans, span))

    def element(self) -> _Trail:
        if self.wraps:
            return replace(self, wraps=self.wraps - 1)
        return replace(self, path=(*self.path, ELEMENT), spans=(*self.spans, self.spans[-1]), is_rearranged=False)


Scope = dict[str, _Trail | None]


def references_of(env: Environment, source: Template | Expression) -> tuple[Reference, ...]:
    """Every path read from a free name, in the order of reading. Raises TemplateProblem for a syntax error."""
    walk = _Walk(env, name_of(source), source.origin, [], {name_of(source)})
    try:
        if isinstance(source, Expression):
            walk.read(parse_expression(env, source), {}, frozenset())
        else:
            walk.run(parse(env, source.text, walk.name, source.origin).body, {}, frozenset())
    except RecursionError:
        # The compiler refuses what is nested this deeply, in words.
        return ()
    return tuple(dict.fromkeys(walk.found))


Guards = frozenset[Path]


@dataclass(frozen=True, slots=True)
class _Walk:
    """The walk through one file; files that it brings in are walked into the same list."""

    env: Environment
    name: str
    origin: Origin
    found: list[Reference]
    visited: set[str]

    # Expressions.

    def read(self, node: nodes.Node | None, scope: Scope, guards: Guards) -> None:
        """Record what the node reads."""
        if node is not None:
            self._record(self.value(node, scope, guards), guards)

    def value(self, node: nodes.Node, scope: Scope, guards: Guards) -> _Trail | None:
        """The path of the node's value, which is not recorded yet; all that is read beside it is."""
        match node:
            case nodes.Name():
                return self._name(node, scope)
            case nodes.Getattr():
                inner = self.value(node.node, scope, guards)
                return inner and self._step(inner, node.attr, place_of_name(node), len(node.attr), guards)
            case nodes.Getitem():
                return self._subscript(node, scope, guards)
            case nodes.Filter():
                return self._filter(node, scope, guards)
            case nodes.Test():
                self._test(node, scope, guards)
            case nodes.And() | nodes.Or():
                self.read(node.left, scope, guards)
                self.read(node.right, scope, guards | self._facts(node.left, scope, isinstance(node, nodes.And)))
            case nodes.CondExpr():
                self.read(node.test, scope, guards)
                self.read(node.expr1, scope, guards | self._facts(node.test, scope, True))
                self.read(node.expr2, scope, guards | self._facts(node.test, scope, False))
            case _:
                for child in node.iter_child_nodes():
                    self.read(child, scope, guards)
        return None

    def _name(self, node: nodes.Name, scope: Scope) -> _Trail | None:
        span = self._span(place_of(node), len(node.name))
        if node.name in scope:
            bound = scope[node.name]
            return bound and replace(bound, spans=tuple(span for _ in bound.path))
        return None if node.name in _LANGUAGE_NAMES else _Trail((node.name,), (span,))

    def _step(self, inner: _Trail, key: str, place: Place, length: int, guards: Guards) -> _Trail | None:
        deeper = inner.into(key, self._span(place, length))
        if deeper is None:
            self._record(inner, guards)
        return deeper

    def _subscript(self, node: nodes.Getitem, scope: Scope, guards: Guards) -> _Trail | None:
        inner = self.value(node.node, scope, guards)
        match node.arg:
            case nodes.Const(value=str() as key):
                return inner and self._step(inner, key, place_of(node.arg), len(key) + 2, guards)
            case nodes.Const(value=int() as index):
                return inner and (
                    inner.element()
                    if inner.wraps or inner.is_rearranged
                    else self._step(inner, str(index), place_of(node.arg), len(str(index)), guards)
                )
            case nodes.Neg(node=nodes.Const()):
                return inner and inner.element()
            case nodes.Slice():
                self.read(node.arg, scope, guards)
                return inner and replace(inner, is_rearranged=True)
            case _:
                self._record(inner, guards)
                self.read(node.arg, scope, guards)
                return None

    def _filter(self, node: nodes.Filter, scope: Scope, guards: Guards) -> _Trail | None:
        inner = self.value(node.node, scope, guards) if node.node is not None else None
        for argument in (*node.args, *node.kwargs, node.dyn_args, node.dyn_kwargs):
            self.read(argument, scope, guards)
        if node.name in ("default", "d"):
            return inner and replace(inner, is_guarded=True)
        if inner is None:
            return None
        field = self._field(node, inner, guards)
        if node.name == "map":
            return field and replace(field, wraps=field.wraps + 1)
        if node.name in _GIVES_ELEMENT:
            return inner.element()
        if node.name in _GIVES_SAME_LIST:
            return replace(inner, is_rearranged=True)
        if node.name in _GIVES_LISTS:
            return replace(inner, wraps=inner.wraps + 1, is_rearranged=True)
        self._record(inner, guards)
        return None

    def _field(self, node: nodes.Filter, inner: _Trail, guards: Guards) -> _Trail | None:
        """Record the field of the elements that a filter's argument names, such as `sort(attribute="name")`."""
        argument = _field_argument(node)
        if not isinstance(argument, nodes.Const) or not isinstance(argument.value, str) or "," in argument.value:
            if node.name == "map":
                self._record(inner, guards)
            return None
        trail: _Trail | None = inner.element()
        place, offset = place_of(argument), 1
        for part in argument.value.split("."):
            if trail is not None:
                trail = trail.into(part, self._span(place, len(part), offset))
            offset += len(part) + 1
        has_default = any(str(pair.key) == "default" for pair in node.kwargs)
        if trail is not None and (has_default or _tests_defined(node)):
            trail = replace(trail, is_guarded=True)
        self._record(trail, guards)
        return trail

    def _test(self, node: nodes.Test, scope: Scope, guards: Guards) -> None:
        inner = self.value(node.node, scope, guards)
        if inner is not None and node.name in ("defined", "undefined"):
            inner = replace(inner, is_guarded=True)
        self._record(inner, guards)
        for argument in (*node.args, *node.kwargs, node.dyn_args, node.dyn_kwargs):
            self.read(argument, scope, guards)

    def _facts(self, test: nodes.Node, scope: Scope, holds: bool) -> Guards:
        """The paths that have a value when the test came out so."""
        match test:
            case nodes.Not():
                return self._facts(test.node, scope, not holds)
            case nodes.Test(name="defined" | "undefined") if holds is (test.name == "defined"):
                trail = self._quietly(test.node, scope)
                return frozenset() if trail is None else frozenset((trail.path,))
            case nodes.And() | nodes.Or():
                left, right = self._facts(test.left, scope, holds), self._facts(test.right, scope, holds)
                return left | right if holds is isinstance(test, nodes.And) else left & right
            case nodes.Getattr() if not holds:
                trail = self._quietly(test, scope)
                return frozenset((trail.path[:2],)) if trail is not None and _asks_for_step(trail.path) else frozenset()
            case _:
                return frozenset()

    def _quietly(self, node: nodes.Node, scope: Scope) -> _Trail | None:
        return replace(self, found=[]).value(node, scope, frozenset())

    def _record(self, trail: _Trail | None, guards: Guards) -> None:
        if trail is None:
            return
        path = trail.path
        is_guarded = trail.is_guarded or _asks_for_step(path) or any(_is_along(path, guard) for guard in guards)
        self.found.append(Reference(path, _whole(trail.spans), is_guarded, trail.spans))

    def _span(self, place: Place, length: int, offset: int = 0) -> Span:
        return self.origin.span(int(place), place.column + offset, length)

    # Statements.

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
                bound = self.value(node.node, scope, guards)
                self._record(bound, guards)
                _bind(node.target, bound, scope)
            case nodes.AssignBlock():
                self.run(node.body, dict(scope), guards)
                self.read(node.filter, scope, guards)
                _bind(node.target, None, scope)
            case nodes.With():
                inner = dict(scope)
                for target, value in zip(node.targets, node.values, strict=True):
                    bound = self.value(value, scope, guards)
                    self._record(bound, guards)
                    _bind(target, bound, inner)
                self.run(node.body, inner, guards)
            case nodes.Macro() | nodes.CallBlock():
                self._macro(node, scope, guards)
            case nodes.Block() | nodes.FilterBlock():
                if isinstance(node, nodes.FilterBlock):
                    self.read(node.filter, scope, guards)
                self.run(node.body, dict(scope), guards)
            case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
                self._file(node, scope, guards)
            case _:
                for child in node.iter_child_nodes():
                    self.read(child, scope, guards)

    def _for(self, node: nodes.For, scope: Scope, guards: Guards) -> None:
        source = self.value(node.iter, scope, guards)
        self._record(source, guards)
        inner: Scope = {**scope, "loop": None}
        _bind(node.target, source and source.element(), inner)
        self.read(node.test, inner, guards)
        facts = self._facts(node.test, inner, True) if node.test is not None else frozenset()
        self.run(node.body, inner, guards | facts)
        self.run(node.else_, dict(scope), guards)

    def _if(self, node: nodes.If, scope: Scope, guards: Guards) -> None:
        branches: list[Scope] = []
        otherwise = guards
        for branch in (node, *node.elif_):
            self.read(branch.test, scope, otherwise)
            branches.append(dict(scope))
            self.run(branch.body, branches[-1], otherwise | self._facts(branch.test, scope, True))
            otherwise |= self._facts(branch.test, scope, False)
        branches.append(dict(scope))
        self.run(node.else_, branches[-1], otherwise)
        for name in {name for branch in branches for name in branch}:
            bound = {branch.get(name) for branch in branches}
            scope[name] = bound.pop() if len(bound) == 1 else None

    def _macro(self, node: nodes.Macro | nodes.CallBlock, scope: Scope, guards: Guards) -> None:
        if isinstance(node, nodes.Macro):
            scope[node.name] = None
        else:
            self.read(node.call, scope, guards)
        for value in node.defaults:
            self.read(value, scope, guards)
        self.run(node.body, {**scope, **{argument.name: None for argument in node.args}}, guards)

    def _file(
        self, node: nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends, scope: Scope, guards: Guards
    ) -> None:
        """Walk the file where it sees our names; only its macros come back, and they are not data."""
        if isinstance(node, nodes.Import):
            scope[node.target] = None
        elif isinstance(node, nodes.FromImport):
            scope.update({name if isinstance(name, str) else name[1]: None for name in node.names})
        if isinstance(node, nodes.Extends) or node.with_context:
            for walk, tree in self._opened(file_named(node)):
                walk.run(tree.body, scope if isinstance(node, nodes.Extends) else dict(scope), guards)

    def _opened(self, written: str | None) -> Iterator[tuple[_Walk, nodes.Template]]:
        """The file, if it can be read and was not walked before; what is wrong with it is told by the compiler."""
        if written is None or self.env.read is None:
            return
        try:
            full = self.env.join_path(written, self.name)
            if full in self.visited:
                return
            self.visited.add(full)
            tree = parse(self.env, self.env.source_of(full), full, Origin(full))
        except (Refused, FileError, TemplateProblem, TemplateSyntaxError):
            return
        yield replace(self, name=full, origin=Origin(full)), tree


def _bind(target: nodes.Node, bound: _Trail | None, scope: Scope) -> None:
    if isinstance(target, nodes.Name):
        scope[target.name] = bound
    elif isinstance(target, nodes.Tuple):
        for name in target.items:
            _bind(name, None, scope)


def _field_argument(node: nodes.Filter) -> nodes.Node | None:
    if node.name not in _FIELD_POSITION:
        return None
    for pair in node.kwargs:
        if str(pair.key) in ("attribute", "key"):
            return pair.value
    position = _FIELD_POSITION[node.name]
    return node.args[position] if position is not None and position < len(node.args) else None


def _tests_defined(node: nodes.Filter) -> bool:
    return (
        len(node.args) > 1 and isinstance(node.args[1], nodes.Const) and node.args[1].value in ("defined", "undefined")
    )


def _asks_for_step(path: Path) -> bool:
    """`steps.S.skipped` and `steps.S.failed` have a value whatever became of the step."""
    return len(path) == 3 and path[0] == "steps" and path[2] in ("skipped", "failed")


def _is_along(path: Path, guard: Path) -> bool:
    shorter = min(len(path), len(guard))
    return path[:shorter] == guard[:shorter]


def _whole(spans: tuple[Span, ...]) -> Span:
    start, end = spans[0], spans[-1]
    if start.file != end.file or start.line != end.line or end.column < start.column:
        return start
    return replace(start, length=end.column + end.length - start.column)
