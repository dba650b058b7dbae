"""An expression's syntax tree as a condition that others can look into."""

from __future__ import annotations

from typing import cast

from jinja2 import nodes

from runner.core.condition import (
    Compared,
    Comparing,
    Condition,
    Defined,
    Every,
    Known,
    Length,
    Not,
    Read,
    Some,
    Unknown,
)

_TESTS: dict[str, Comparing] = {
    **dict.fromkeys(("==", "eq", "equalto"), "eq"),
    **dict.fromkeys(("!=", "ne"), "ne"),
    **dict.fromkeys((">", "gt", "greaterthan"), "gt"),
    **dict.fromkeys((">=", "ge"), "gteq"),
    **dict.fromkeys(("<", "lt", "lessthan"), "lt"),
    **dict.fromkeys(("<=", "le"), "lteq"),
    "in": "in",
}


def condition_of(node: nodes.Node) -> Condition:
    """The tree without what only values can tell."""
    match node:
        case nodes.Const():
            return Known(node.value)
        case nodes.Neg(node=nodes.Const(value=int() | float() as number)):
            return Known(-number)
        case nodes.List() | nodes.Tuple():
            return _known_list([condition_of(item) for item in node.items])
        case nodes.And():
            return Every((condition_of(node.left), condition_of(node.right)))
        case nodes.Or():
            return Some((condition_of(node.left), condition_of(node.right)))
        case nodes.Not():
            return Not(condition_of(node.node))
        case nodes.Compare():
            return _compared(node)
        case nodes.Filter(name="length" | "count", node=nodes.Node() as of):
            return Length(condition_of(of))
        case nodes.Test():
            return _tested(node)
        case _:
            path = path_of(node)
            return Read(path) if path else Unknown()


def path_of(node: nodes.Node) -> tuple[str, ...]:
    """The path that is read, () where parts of it are computed."""
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            inner, key = path_of(node.node), node.attr
        case nodes.Getitem(arg=nodes.Const(value=str() | int() as found)) if not isinstance(found, bool):
            inner, key = path_of(node.node), str(found)
        case _:
            return ()
    return (*inner, key) if inner else ()


def _known_list(items: list[Condition]) -> Condition:
    values = [item.value for item in items if isinstance(item, Known)]
    return Known(values) if len(values) == len(items) else Unknown()


def _compared(node: nodes.Compare) -> Condition:
    parts = []
    left = condition_of(node.expr)
    for operand in node.ops:
        right = condition_of(operand.expr)
        parts.append(Compared(cast(Comparing, operand.op), left, right))
        left = right
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def _tested(node: nodes.Test) -> Condition:
    of = condition_of(node.node)
    match node.name:
        case "defined":
            return Defined(of)
        case "undefined":
            return Not(Defined(of))
        case "none":
            return Compared("eq", of, Known(None))
        case name if name in _TESTS and len(node.args) == 1:
            return Compared(_TESTS[name], of, condition_of(node.args[0]))
        case _:
            return Unknown()
