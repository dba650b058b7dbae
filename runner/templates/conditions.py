"""An expression's syntax tree as a condition that others can look into."""

from __future__ import annotations

from typing import cast

from jinja2 import nodes

from runner.core.condition import (
    Calculated,
    Compared,
    Comparing,
    Condition,
    Defined,
    Either,
    Entries,
    Every,
    Known,
    Length,
    Listed,
    Made,
    Not,
    Read,
    Sign,
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
_SIGNS: dict[type[nodes.BinExpr], Sign] = {
    nodes.Add: "+", nodes.Sub: "-", nodes.Mul: "*", nodes.Div: "/", nodes.FloorDiv: "//", nodes.Mod: "%",
    nodes.Pow: "**",
}  # fmt: skip
# What filters give whatever they are applied to. Others hand on an element, or what they were given.
_GIVEN_BY = {
    "array": (
        *("batch", "chunks", "dictsort", "flatten", "groupby", "items", "list", "map", "reject", "rejectattr"),
        *("select", "selectattr", "shuffle", "slice", "sort", "unique", "windows", "zip"),
    ),
    "number": ("abs", "cosine", "round", "sum", "wordcount"),
    "string": (
        *("capitalize", "center", "fenced", "filesizeformat", "format", "indent", "join", "json", "lower", "replace"),
        *("string", "striptags", "title", "tojson", "trim", "truncate", "upper", "urlencode", "wordwrap"),
    ),
}
_KIND_OF = {name: kind for kind, names in _GIVEN_BY.items() for name in names}


def condition_of(node: nodes.Node) -> Condition:
    """The tree without what only values can tell."""
    match node:
        case nodes.And():
            return Every((condition_of(node.left), condition_of(node.right)))
        case nodes.Or():
            return Some((condition_of(node.left), condition_of(node.right)))
        case nodes.Not():
            return Not(condition_of(node.node))
        case nodes.Compare():
            return _compared(node)
        case nodes.Test():
            return _tested(node)
        case nodes.CondExpr(expr2=nodes.Node() as otherwise):
            return Either((condition_of(node.expr1), condition_of(otherwise)))
        case nodes.Filter(node=nodes.Node() as of):
            return _filtered(node, of)
        case _:
            return _value(node)


def _value(node: nodes.Node) -> Condition:
    match node:
        case nodes.Const():
            return Known(node.value)
        case nodes.Neg(node=nodes.Const(value=int() | float() as number)):
            return Known(-number)
        case nodes.Neg():
            return _made("number")
        case nodes.Concat():
            return _made("string")
        case nodes.List() | nodes.Tuple():
            return _list([condition_of(item) for item in node.items])
        case nodes.Dict():
            return _mapping(node)
        case nodes.BinExpr():
            return Calculated(_SIGNS[type(node)], condition_of(node.left), condition_of(node.right))
        case _:
            path = path_of(node)
            return Read(path) if path else Unknown()


def _made(kind: str) -> Made:
    return Made(frozenset((kind,)))


def _filtered(node: nodes.Filter, of: nodes.Node) -> Condition:
    if node.name in ("length", "count"):
        return Length(condition_of(of))
    if node.name in ("int", "float") and not (node.args or node.kwargs):
        return _made("number")
    return _made(_KIND_OF[node.name]) if node.name in _KIND_OF else Unknown()


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


def _list(items: list[Condition]) -> Condition:
    values = [item.value for item in items if isinstance(item, Known)]
    return Known(values) if len(values) == len(items) else Listed(tuple(items))


def _mapping(node: nodes.Dict) -> Condition:
    pairs = [(condition_of(pair.key), condition_of(pair.value)) for pair in node.items]
    named = [(key.value, value) for key, value in pairs if isinstance(key, Known) and isinstance(key.value, str)]
    if len(named) < len(pairs):
        return _made("object")
    known = {name: value.value for name, value in named if isinstance(value, Known)}
    return Known(known) if len(known) == len(pairs) else Entries(tuple(named))


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
