"""A parsed text: its syntax tree, walked once, and whether its compilation can still find a mistake."""

from __future__ import annotations

from typing import TypeVar, cast

from jinja2 import nodes

N = TypeVar("N", bound=nodes.Node)

# What the code generator and Python take in whatever combination; macros, blocks and files have rules of their own.
_PLAIN: frozenset[type[nodes.Node]] = frozenset(
    (
        *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem),
        *(nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.Assign, nodes.Compare, nodes.Operand, nodes.CondExpr),
        *(nodes.And, nodes.Or, nodes.Not, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice, nodes.Concat),
        *(nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow),
        nodes.Keyword,
    )
)
# Python refuses 20 loops inside one another, and Jinja recurses per level.
_MOST_LEVELS = 18
_MOST_BRANCHES = 50


class Tree:
    """The root and all nodes below it in the order of their text (the root is the first)."""

    __slots__ = ("is_plain", "nodes", "root")

    def __init__(self, root: nodes.Node) -> None:
        self.root = root
        self.nodes: list[nodes.Node] = []
        self.is_plain = True
        """Whether it is so simple that compiling it cannot fail, and need not be tried before it is rendered."""
        levels = [(root, 0)]
        while levels:
            node, level = levels.pop()
            self.nodes.append(node)
            if self.is_plain and (level > _MOST_LEVELS or not _is_plain(node)):
                self.is_plain = False
            children = children_of(node)
            if children:
                level += 1
                levels += [(child, level) for child in reversed(children)]

    def find(self, *kinds: type[N]) -> list[N]:
        return [node for node in self.nodes if isinstance(node, kinds)]


def body_of(tree: Tree) -> list[nodes.Node]:
    """The statements of a template."""
    return cast(nodes.Template, tree.root).body


def children_of(node: nodes.Node) -> list[nodes.Node]:
    """What Jinja's `iter_child_nodes` gives, in a third of its time."""
    found: list[nodes.Node] = []
    for name in node.fields:
        value = getattr(node, name, None)
        if isinstance(value, nodes.Node):
            found.append(value)
        elif isinstance(value, list):
            found += [inner for inner in value if isinstance(inner, nodes.Node)]
    return found


def _is_plain(node: nodes.Node) -> bool:
    if type(node) not in _PLAIN:
        return False
    match node:
        case nodes.Name(name="loop", ctx="store"):
            return False
        case nodes.If():
            return len(node.elif_) <= _MOST_BRANCHES
        case nodes.Filter() | nodes.Test() if node.kwargs:
            names = [pair.key for pair in node.kwargs]
            return len(set(names)) == len(names)
    return True
