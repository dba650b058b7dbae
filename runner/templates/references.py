"""The paths that a template or expression reads from the names it is given, each with its place.

An abstract walk over the syntax tree: a name bound by `for` or `set` stands for the path that it takes its value
from, so that `{% for t in steps.tag.outputs %}{{ t.name }}` reads `steps.tag.outputs.[].name`. Where a value is
computed, the walk knows nothing of it and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from runner.core.errors import FileError
from runner.core.frozen import dataclass, replace
from runner.core.span import Origin, Span
from runner.core.workflow import Expression, Template
from runner.templates.environment import Environment
from runner.templates.examine import file_named, name_of, parse, parse_expression
from runner.templates.places import Place, place_of, place_of_name
from runner.templates.problems import TemplateProblem
from runner.templates.trail import (
    GIVES_ELEMENT,
    GIVES_LISTS,
    GIVES_SAME_LIST,
    LANGUAGE_NAMES,
    Comparison,
    Guards,
    Path,
    Readings,
    Reference,
    Scope,
    Trail,
    Word,
    arguments_of,
    asks_for_step,
    bind,
    constant,
    depth_provided,
    field_argument,
    is_along,
    keeps_defined,
    tests_defined,
    whole,
)
from runner.templates.tree import body_of, children_of
from runner.templates.values import Refused

# What is put into these is handed on: a hole in it does no harm yet.
_HANDS_ON = (nodes.Call, nodes.Dict, nodes.Keyword, nodes.List, nodes.Pair, nodes.Tuple)
_DEFAULTS = ("default", "d")
_EQUALS = frozenset(("==", "eq", "equalto", "!=", "ne"))


def references_of(env: Environment, source: Template | Expression) -> tuple[Reference, ...]:
    """Every path read from a free name, in the order of reading. Raises TemplateProblem for a syntax error."""
    return readings_of(env, source).references


def readings_of(env: Environment, source: Template | Expression) -> Readings:
    """The paths read from free names, and what they are compared with. Raises TemplateProblem for a syntax error."""
    walk = _Walk(env, name_of(source), source.origin, {name_of(source)})
    facts: Guards = frozenset()
    try:
        if isinstance(source, Expression):
            tree = parse_expression(env, source).root
            walk.read(tree, {}, frozenset())
            facts = walk.facts(tree, {}, True)
        else:
            walk.run(body_of(parse(env, source.text, walk.name, source.origin)), {}, frozenset())
    except RecursionError:
        # The compiler refuses what is nested this deeply, in words.
        return Readings()
    return Readings(
        tuple(dict.fromkeys(walk.found)), tuple(dict.fromkeys(walk.compared)), frozenset(walk.tested), facts
    )


@dataclass(frozen=True, slots=True)
class _Walk:
    """The walk through one file; files that it brings in are walked into the same lists."""

    env: Environment
    name: str
    origin: Origin
    visited: set[str]
    found: list[Reference] = field(default_factory=list)
    compared: list[Comparison] = field(default_factory=list)
    tested: set[Path] = field(default_factory=set)

    # Expressions.

    def read(self, node: nodes.Node | None, scope: Scope, guards: Guards, *, used: bool = True) -> None:
        """Record what the node reads. What is not `used` here is only handed on, so that a hole in it does no harm."""
        if node is not None:
            self._record(self.value(node, scope, guards, used=used), guards, used=used)

    def _ask(self, node: nodes.Node | None, scope: Scope, guards: Guards) -> None:
        """Record what a test reads."""
        before = len(self.found)
        self.read(node, scope, guards)
        self.tested.update(reference.path for reference in self.found[before:])

    def value(self, node: nodes.Node, scope: Scope, guards: Guards, *, used: bool = True) -> Trail | None:
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
                self._ask(node.left, scope, guards)
                facts = self.facts(node.left, scope, isinstance(node, nodes.And))
                self.read(node.right, scope, guards | facts, used=used)
            case nodes.CondExpr():
                self._ask(node.test, scope, guards)
                self.read(node.expr1, scope, guards | self.facts(node.test, scope, True), used=used)
                self.read(node.expr2, scope, guards | self.facts(node.test, scope, False), used=used)
            case nodes.Compare():
                self._compare(node, scope, guards)
            case _:
                for child in children_of(node):
                    self.read(child, scope, guards, used=not isinstance(node, _HANDS_ON))
        return None

    def _compare(self, node: nodes.Compare, scope: Scope, guards: Guards) -> None:
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        trails = [self.value(side, scope, guards) for side in sides]
        for trail in trails:
            self._record(trail, guards)
        if len(sides) == 2:
            is_among = node.ops[0].op in ("in", "notin")
            if is_among:
                self._compared(trails[1] and trails[1].element(), (node.expr,))
            if is_among and isinstance(sides[1], nodes.List | nodes.Tuple):
                self._compared(trails[0], sides[1].items)
            elif node.ops[0].op in ("eq", "ne"):
                self._compared(trails[0], (sides[1],))
                self._compared(trails[1], (sides[0],))

    def _compared(self, trail: Trail | None, others: Iterable[nodes.Node]) -> None:
        """Note which words a value is compared with; a value that a default may have replaced can be anything."""
        if trail is None or trail.wraps or trail.is_guarded:
            return
        words = tuple(
            Word(text, self._span(place_of(other), len(text) + 2)) for other in others if (text := constant(other))
        )
        if words:
            self.compared.append(Comparison(trail.path, words))

    def _name(self, node: nodes.Name, scope: Scope) -> Trail | None:
        span = self._span(place_of(node), len(node.name))
        if node.name in scope:
            bound = scope[node.name]
            return bound and replace(bound, spans=tuple(span for _ in bound.path), picked="", is_bound=True)
        return None if node.name in LANGUAGE_NAMES else Trail((node.name,), (span,))

    def _step(self, inner: Trail, key: str, place: Place, length: int, guards: Guards) -> Trail | None:
        deeper = inner.into(key, self._span(place, length))
        if deeper is None:
            self._record(inner, guards)
        return deeper

    def _subscript(self, node: nodes.Getitem, scope: Scope, guards: Guards) -> Trail | None:
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
            case nodes.Neg(node=nodes.Const(value=index)):
                return inner and inner.end(f"[-{index}]")
            case nodes.Slice():
                self.read(node.arg, scope, guards)
                return inner and replace(inner, is_rearranged=True)
            case _:
                self._record(inner, guards)
                self.read(node.arg, scope, guards)
                return None

    def _filter(self, node: nodes.Filter, scope: Scope, guards: Guards) -> Trail | None:
        if node.name in _DEFAULTS:
            return self._default(node, scope, guards, is_last=True)
        inner = self.value(node.node, scope, guards) if node.node is not None else None
        for argument in arguments_of(node):
            self.read(argument, scope, guards, used=node.name != "map")
        if inner is None:
            return None
        if node.name == "map":
            return self._map(node, inner, guards)
        field = self._field(node, inner, guards)
        if node.name in GIVES_ELEMENT:
            return inner.end(f" | {node.name}") if node.name in ("first", "last") else inner.element()
        if node.name in GIVES_SAME_LIST:
            if node.name.endswith("attr") and field is not None:
                self.tested.add(field.path)
            return self._sift(node, replace(inner, is_rearranged=True), field)
        if node.name in GIVES_LISTS:
            return replace(inner, wraps=inner.wraps + 1, is_rearranged=True)
        self._record(inner, guards)
        return None

    def _default(self, node: nodes.Filter, scope: Scope, guards: Guards, *, is_last: bool) -> Trail | None:
        """What stands in for a value may be absent too, where another default follows."""
        before = node.node
        if isinstance(before, nodes.Filter) and before.name in _DEFAULTS:
            inner = self._default(before, scope, guards, is_last=False)
        else:
            inner = None if before is None else self.value(before, scope, guards, used=False)
        for argument in arguments_of(node):
            trail = self.value(argument, scope, guards, used=False)
            self._record(trail and replace(trail, is_guarded=trail.is_guarded or not is_last), guards, used=False)
        return inner and replace(inner, is_guarded=True)

    def _map(self, node: nodes.Filter, inner: Trail, guards: Guards) -> Trail | None:
        """The list of one field of each element; it is recorded by whoever makes use of it."""
        field = self._named(node, inner)
        if field is None:
            fills_holes = bool(node.args) and constant(node.args[0]) in ("default", "d")
            self._record(inner, guards, used=not fills_holes)
        return field and replace(field, wraps=field.wraps + 1)

    def _sift(self, node: nodes.Filter, inner: Trail, field: Trail | None) -> Trail:
        """The same list without some elements: those that lack something may be gone."""
        if node.name in ("select", "reject"):
            if keeps_defined(node, 0):
                return replace(inner, is_provided=True)
            if node.args and constant(node.args[0]) in _EQUALS:
                self._compared(inner.element(), node.args[1:2])
        if node.name in ("selectattr", "rejectattr") and field is not None and keeps_defined(node, 1):
            return replace(inner, known=inner.known | {field.path})
        return inner

    def _field(self, node: nodes.Filter, inner: Trail, guards: Guards) -> Trail | None:
        """Record the field of the elements that a filter's argument names, such as `sort(attribute="name")`."""
        field = self._named(node, inner)
        self._record(field, guards, used=node.name != "find")
        if node.name == "find":
            self._compared(field, node.args[1:2])
        elif node.name in ("selectattr", "rejectattr") and len(node.args) > 2 and constant(node.args[1]) in _EQUALS:
            self._compared(field, node.args[2:3])
        return field

    def _named(self, node: nodes.Filter, inner: Trail) -> Trail | None:
        """The path of the field that a filter's argument names."""
        argument = field_argument(node)
        if not isinstance(argument, nodes.Const) or not isinstance(argument.value, str) or "," in argument.value:
            return None
        trail: Trail | None = inner.element()
        place, offset = place_of(argument), 1
        for part in argument.value.split("."):
            if trail is not None:
                trail = trail.into(part, self._span(place, len(part), offset))
            offset += len(part) + 1
        has_default = any(str(pair.key) == "default" for pair in node.kwargs)
        if trail is not None and (has_default or tests_defined(node)):
            trail = replace(trail, is_guarded=True)
        return trail

    def _test(self, node: nodes.Test, scope: Scope, guards: Guards) -> None:
        inner = self.value(node.node, scope, guards)
        if inner is not None and node.name in ("defined", "undefined"):
            inner = replace(inner, is_guarded=True)
        self._record(inner, guards)
        if inner is not None and node.name in _EQUALS:
            self._compared(inner, node.args)
        elif node.name == "in" and node.args and isinstance(node.args[0], nodes.List | nodes.Tuple):
            self._compared(inner, node.args[0].items)
        for argument in arguments_of(node):
            self.read(argument, scope, guards)

    def facts(self, test: nodes.Node, scope: Scope, holds: bool) -> Guards:
        """The paths that have a value when the test came out so."""
        match test:
            case nodes.Not():
                return self.facts(test.node, scope, not holds)
            case nodes.Test(name="defined" | "undefined") if holds is (test.name == "defined"):
                trail = self._quietly(test.node, scope)
                return frozenset() if trail is None else frozenset((trail.path,))
            case nodes.And() | nodes.Or():
                left, right = self.facts(test.left, scope, holds), self.facts(test.right, scope, holds)
                return left | right if holds is isinstance(test, nodes.And) else left & right
            case nodes.Compare(expr=nodes.Const(value=str() as key), ops=[nodes.Operand(op="in" | "notin") as operand]):
                trail = self._quietly(operand.expr, scope) if holds is (operand.op == "in") else None
                return frozenset(() if trail is None else ((*trail.path, key),))
            case nodes.Getattr() if not holds:
                trail = self._quietly(test, scope)
                return frozenset((trail.path[:2],)) if trail is not None and asks_for_step(trail.path) else frozenset()
            case _:
                return frozenset()

    def _quietly(self, node: nodes.Node, scope: Scope) -> Trail | None:
        return replace(self, found=[], compared=[], tested=set()).value(node, scope, frozenset())

    def _record(self, trail: Trail | None, guards: Guards, *, used: bool = True) -> None:
        if trail is None:
            return
        path = trail.path
        is_safe = trail.is_guarded or asks_for_step(path)
        is_guarded = is_safe or any(is_along(path, guard) for guard in guards)
        is_safe = is_safe or trail.is_provided or not used
        known = {guard for guard in trail.known if len(guard) <= len(path)}
        provided = len(path) if is_safe else depth_provided(path, guards | known)
        span = whole(trail.spans)
        self.found.append(Reference(path, span, is_guarded, trail.spans, provided, trail.picked, trail.is_bound))

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
                bound = self.value(node.node, scope, guards, used=False)
                self._record(bound, guards, used=False)
                bind(node.target, bound, scope)
            case nodes.AssignBlock():
                self.run(node.body, dict(scope), guards)
                self.read(node.filter, scope, guards)
                bind(node.target, None, scope)
            case nodes.With():
                inner = dict(scope)
                for target, value in zip(node.targets, node.values, strict=True):
                    bound = self.value(value, scope, guards, used=False)
                    self._record(bound, guards, used=False)
                    bind(target, bound, inner)
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
                for child in children_of(node):
                    self.read(child, scope, guards)

    def _for(self, node: nodes.For, scope: Scope, guards: Guards) -> None:
        source = self.value(node.iter, scope, guards)
        self._record(source, guards)
        inner: Scope = {**scope, "loop": None}
        bind(node.target, source and source.element(), inner)
        self._ask(node.test, inner, guards)
        facts = self.facts(node.test, inner, True) if node.test is not None else frozenset()
        self.run(node.body, inner, guards | facts)
        self.run(node.else_, dict(scope), guards)

    def _if(self, node: nodes.If, scope: Scope, guards: Guards) -> None:
        branches: list[Scope] = []
        otherwise = guards
        for branch in (node, *node.elif_):
            self._ask(branch.test, scope, otherwise)
            branches.append(dict(scope))
            self.run(branch.body, branches[-1], otherwise | self.facts(branch.test, scope, True))
            otherwise |= self.facts(branch.test, scope, False)
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
            self.read(value, scope, guards, used=False)
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
        yield replace(self, name=full, origin=Origin(full)), body
