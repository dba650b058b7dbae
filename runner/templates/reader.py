"""What an expression reads: an abstract walk over its syntax tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from jinja2 import nodes

from runner.core.frozen import dataclass, replace
from runner.core.span import Origin, Span
from runner.templates.places import Place, place_of, place_of_name
from runner.templates.trail import (
    GIVES_ELEMENT,
    GIVES_LISTS,
    GIVES_SAME_LIST,
    LANGUAGE_NAMES,
    ON_A_TEST,
    SPENDS,
    Comparison,
    Guards,
    Path,
    Reference,
    Scope,
    Trail,
    Word,
    arguments_of,
    asks_for_step,
    constant,
    depth_provided,
    field_argument,
    is_along,
    keeps_defined,
    tests_defined,
    whole,
)
from runner.templates.tree import children_of

# What is put into these is handed on: a hole in it does no harm yet.
_HANDS_ON = (nodes.Call, nodes.Dict, nodes.Keyword, nodes.List, nodes.Pair, nodes.Tuple)
_DEFAULTS = ("default", "d")
# Beside these null is a value like any other.
_TAKE_NULL = frozenset(("eq", "ne", "in", "notin"))
_ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos)
_EQUALS = frozenset(("==", "eq", "equalto", "!=", "ne"))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the expressions of one file, and gathers the paths, what they are compared with, and what tests read."""

    origin: Origin
    found: list[Reference] = field(default_factory=list)
    compared: list[Comparison] = field(default_factory=list)
    tested: set[Path] = field(default_factory=set)

    def read(self, node: nodes.Node | None, scope: Scope, guards: Guards, *, used: bool = True) -> None:
        """Record what the node reads. What is not `used` here is only handed on, so that a hole in it does no harm."""
        if node is not None:
            self.record(self.value(node, scope, guards, used=used), guards, used=used)

    def spend(self, node: nodes.Node, scope: Scope, guards: Guards) -> Trail | None:
        """Record what the node reads where null would do harm: as printed text, as a list that is walked, as a number."""
        trail = self.value(node, scope, guards)
        self.record(trail, guards, is_spent=True)
        return trail

    def ask(self, node: nodes.Node | None, scope: Scope, guards: Guards) -> None:
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
                self.ask(node.left, scope, guards)
                facts = self.facts(node.left, scope, isinstance(node, nodes.And))
                self.read(node.right, scope, guards | facts | ON_A_TEST, used=used)
            case nodes.CondExpr():
                self.ask(node.test, scope, guards)
                self.read(node.expr1, scope, guards | self.facts(node.test, scope, True) | ON_A_TEST, used=used)
                self.read(node.expr2, scope, guards | self.facts(node.test, scope, False) | ON_A_TEST, used=used)
            case nodes.Compare():
                self._compare(node, scope, guards)
            case nodes.Concat() | nodes.BinExpr() | nodes.UnaryExpr() if isinstance(node, (nodes.Concat, *_ARITHMETIC)):
                for child in children_of(node):
                    self.spend(child, scope, guards)
            case _:
                for child in children_of(node):
                    self.read(child, scope, guards, used=not isinstance(node, _HANDS_ON))
        return None

    def _compare(self, node: nodes.Compare, scope: Scope, guards: Guards) -> None:
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        trails = [self.value(side, scope, guards) for side in sides]
        is_spent = not all(operand.op in _TAKE_NULL for operand in node.ops)
        for trail in trails:
            self.record(trail, guards, is_spent=is_spent)
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
            self.record(inner, guards)
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
                self.record(inner, guards)
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
        self.record(inner, guards, is_spent=node.name in SPENDS)
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
            self.record(trail and replace(trail, is_guarded=trail.is_guarded or not is_last), guards, used=False)
        return inner and replace(inner, is_guarded=True)

    def _map(self, node: nodes.Filter, inner: Trail, guards: Guards) -> Trail | None:
        """The list of one field of each element; it is recorded by whoever makes use of it."""
        field = self._named(node, inner)
        if field is None:
            fills_holes = bool(node.args) and constant(node.args[0]) in ("default", "d")
            self.record(inner, guards, used=not fills_holes)
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
        self.record(field, guards, used=node.name != "find")
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
        self.record(inner, guards)
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

    def record(self, trail: Trail | None, guards: Guards, *, used: bool = True, is_spent: bool = False) -> None:
        """Note a path; where it is not `used`, a hole in it does no harm, and unless it `is_spent`, null does none."""
        if trail is None:
            return
        path = trail.path
        is_safe = trail.is_guarded or asks_for_step(path)
        is_guarded = is_safe or any(is_along(path, guard) for guard in guards)
        is_safe = is_safe or trail.is_provided or not used
        known = {guard for guard in trail.known if len(guard) <= len(path)}
        provided = len(path) if is_safe else depth_provided(path, guards | known)
        span = whole(trail.spans)
        is_spent = is_spent and not (is_safe or trail.wraps)
        is_bound, is_on_a_test = trail.is_bound, guards >= ON_A_TEST
        self.found.append(
            Reference(path, span, is_guarded, trail.spans, provided, trail.picked, is_bound, is_spent, is_on_a_test)
        )

    def _span(self, place: Place, length: int, offset: int = 0) -> Span:
        return self.origin.span(int(place), place.column + offset, length)
