"""An expression without braces and values become a native value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jinja2 import Template as JinjaTemplate
from jinja2 import nodes
from jinja2.runtime import Context

from runner.core.canonical import Json
from runner.core.condition import Condition
from runner.core.long_list import LongList
from runner.core.problem import Problem
from runner.core.workflow import Expression
from runner.templates.conditions import condition_of
from runner.templates.environment import Environment
from runner.templates.examine import examine, parse_expression
from runner.templates.failing import Source, explain
from runner.templates.problems import TemplateProblem
from runner.templates.text import assemble
from runner.templates.values import Missing, MissingRead, plain

_RESULT = "__result"
_SAME_FILTERS = {"d": "default", "count": "length", "json": "tojson"}
_ABSENT = object()


def compile_expression(env: Environment, expression: Expression) -> CompiledExpression:
    """Parse, examine and compile. Raises TemplateProblem with every problem found."""
    tree = parse_expression(env, expression)
    try:
        problems = list(examine(env, tree, expression.origin))
        keys = _constant_keys(tree.root)
    except RecursionError:
        problems = [Problem("template-syntax", "the expression is nested too deeply", expression.origin.span())]
    if problems:
        raise TemplateProblem(problems)
    compiled = CompiledExpression(env, expression, cast(nodes.Expr, tree.root), keys)
    if not tree.is_plain:
        compiled.assemble()
    return compiled


class CompiledExpression:
    """An expression that is ready to evaluate; it is turned into code when its value is first computed.

    `canonical` is equal for expressions that differ only in spacing, quotes, parentheses or spelling of access;
    `path` is set when the expression only names a value, such as `data.reviews`.
    """

    __slots__ = ("_env", "_globals", "_keys", "_program", "_root", "_source", "expression", "path")

    def __init__(
        self,
        env: Environment,
        expression: Expression,
        root: nodes.Expr,
        keys: tuple[str | int, ...] | None,
    ) -> None:
        self.expression = expression
        self._source = Source(expression.text, expression.origin, is_expression=True)
        self.path: tuple[str, ...] | None = None if keys is None else tuple(map(str, keys))
        self._env = env
        self._root = root
        self._program: JinjaTemplate | None = None
        self._keys = keys
        self._globals = dict(env.globals)

    @property
    def canonical(self) -> str:
        try:
            return _normal_form(self._root, self._keys)
        except RecursionError:
            return self.expression.text.strip()  # it is as deep as what the compiler refuses

    def condition(self) -> Condition:
        """The expression as a condition that can be looked into without values."""
        return condition_of(self._root)

    def assemble(self) -> JinjaTemplate:
        """The code. Raises TemplateProblem, but never for a plain tree."""
        if self._program is None:
            body: list[nodes.Node] = [nodes.Assign(nodes.Name(_RESULT, "store"), self._root, lineno=1)]
            wrapped = nodes.Template(body, lineno=1)
            wrapped.set_environment(self._env)
            self._program = assemble(self._env, wrapped, self.expression)
        return self._program

    def evaluate(self, values: Mapping[str, Json], *, may_be_long: bool = False) -> Json:
        """The value, as plain JSON. Raises RenderFailed, also when there is no value.

        Where it `may_be_long`, a list that is not in memory stays where it is.
        """
        found = self._look_up(values)
        if found is not _ABSENT:
            return list(found) if isinstance(found, LongList) and not may_be_long else found
        try:
            found = self._run(values)
            return found if may_be_long and isinstance(found, LongList) else plain(found)
        except Exception as error:  # noqa: BLE001 -- whatever an expression runs into is its author's to see
            failed = explain(error, self._env, self.assemble(), self._source)
        raise failed

    def holds(self, values: Mapping[str, Json]) -> bool:
        """Whether the value is true, not zero and not empty. Raises RenderFailed."""
        try:
            return bool(self._run(values))
        except Exception as error:  # noqa: BLE001 -- as above
            failed = explain(error, self._env, self.assemble(), self._source)
        raise failed

    def _look_up(self, values: Mapping[str, Json]) -> Json:
        """The short way for a plain path through mappings; the long way finds the words when something is missing."""
        if self._keys is None:
            return _ABSENT
        found: Any = values
        for key in self._keys:
            if not isinstance(found, dict) or key not in found:
                return _ABSENT
            found = found[key]
        return found

    def _run(self, values: Mapping[str, Json]) -> Any:
        env, program = self._env, self._program or self.assemble()
        env.meter.begin()
        context = Context(env, {**self._globals, **values}, program.name, program.blocks, program.globals)
        # An assignment yields no text, so this runs to the end.
        next(iter(program.root_render_func(context)), None)
        found = context.vars[_RESULT]
        if isinstance(found, Missing):
            raise MissingRead(found)
        return found


def _constant_keys(node: nodes.Node) -> tuple[str | int, ...] | None:
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            inner = _constant_keys(node.node)
            return None if inner is None else (*inner, node.attr)
        case nodes.Getitem(arg=nodes.Const(value=str() | int() as key)) if not isinstance(key, bool):
            inner = _constant_keys(node.node)
            return None if inner is None else (*inner, key)
        case _:
            return None


def _normal_form(node: object, keys: tuple[str | int, ...] | None = None) -> str:
    """One spelling for one syntax tree: a dotted path for a plain one, else its parts in brackets."""
    if keys is not None and all(isinstance(key, str) and key.isidentifier() for key in keys):
        return ".".join(map(str, keys))
    match node:
        case nodes.Getattr():
            return f"item({_normal_form(node.node)}, {node.attr!r})"
        case nodes.Getitem():
            return f"item({_normal_form(node.node)}, {_normal_form(node.arg)})"
        case nodes.Const():
            return repr(node.value)
        case nodes.Name():
            return node.name
        case nodes.Filter():
            name = _SAME_FILTERS.get(node.name, node.name)
            return f"{name}({_normal_form(_fields(node, without=('name',)))})"
        case nodes.Node():
            return f"{type(node).__name__}({_normal_form(_fields(node))})"
        case list() | tuple():
            return ", ".join(_normal_form(part) for part in node)
        case _:
            return repr(node)


def _fields(node: nodes.Node, without: tuple[str, ...] = ("ctx",)) -> list[object]:
    return [[value] if not isinstance(value, list) else value for _, value in node.iter_fields(exclude=without)]
