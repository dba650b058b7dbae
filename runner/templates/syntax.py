"""Jinja's parser and code generator, with our rules: what a template may say, and what its code asks us at run time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, cast

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import Environment
from jinja2.parser import Parser

from runner.core.long_text import Piece, Stretch
from runner.core.problem import nearest
from runner.templates.places import Place, place_of
from runner.templates.quick import LONG_TEXT
from runner.templates.tree import Tree

# Filters that only the code generator writes: a name with a blank cannot be written in a template.
EACH = "each element"
WEIGHED = "weighed operand"


_TAGS = ("for", "if", "set", "macro", "call", "filter", "raw", "block", "include", "import", "from", "with", "extends")


class OurParser(Parser):
    """Jinja's parser without `autoescape`, and with the place of the tag that was left open."""

    def __init__(
        self, environment: Environment, source: str, name: str | None = None, state: str | None = None
    ) -> None:
        super().__init__(environment, source, name, name, state)
        self._open: list[Place] = []

    def parse(self) -> nodes.Template:
        return nodes.Template(self.subparse(), lineno=1)

    def parse_statement(self) -> nodes.Node | list[nodes.Node]:
        self._open.append(cast(Place, self.stream.current.lineno))
        parsed = super().parse_statement()
        self._open.pop()
        return parsed

    def parse_autoescape(self) -> NoReturn:
        self.fail("'autoescape' is not available: text is inserted as it is", self.stream.current.lineno)

    def fail_unknown_tag(self, name: str, lineno: int | None = None) -> NoReturn:
        if name.startswith("end") or name in ("else", "elif"):
            self.fail(f"'{name}' closes nothing that is open here", lineno)
        near = nearest(name, _TAGS)
        self.fail(f"there is no tag '{name}'" + (f"; '{near}' is one" if near else ""), lineno)

    def fail_eof(self, end_tokens: tuple[str, ...] | None = None, lineno: int | None = None) -> NoReturn:  # noqa: ARG002
        opened = self._open[-1]
        end = f": {{% end{opened.text} %}} is missing" if opened.text in _TAGS else ""
        self.fail(f"'{opened.text}' is never closed{end}", opened)

    def parse_whole_expression(self) -> nodes.Expr:
        """One expression and nothing after it."""
        parsed = self.parse_expression()
        if not self.stream.eos:
            found = self.stream.current.value
            if found == "=":
                self.fail("'=' sets a value, and an expression has none to set: '==' compares")
            self.fail(f"'{found}' is one too many: the expression ends before it")
        return parsed


def spell(node: nodes.Node) -> str:
    """A path as its author wrote it, such as `steps.tag.output["a b"]`; parts that are computed become "…"."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{spell(node.node)}.{node.attr}"
        case nodes.Getitem(arg=nodes.Const(value=str() as key)):
            return f"{spell(node.node)}.{key}" if key.isidentifier() else f'{spell(node.node)}["{key}"]'
        case nodes.Getitem(arg=nodes.Const(value=int() as index)):
            return f"{spell(node.node)}[{index}]"
        case nodes.Getitem():
            return f"{spell(node.node)}[…]"
        case _:
            return "(…)"


class OurCodeGenerator(CodeGenerator):
    """Jinja's code generator, made to ask the environment for every access, loop, join and deep comparison."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802 -- Jinja names it so
        tree = Tree(node)
        loops = [(loop, loop.iter) for loop in tree.find(nodes.For)]
        operands = [(holder, holder.expr) for one in tree.find(nodes.Compare) for holder in _weighed(one)]
        for loop, items in loops:
            loop.iter = _ask(EACH, cast(nodes.Expr, items))
        for holder, operand in operands:
            holder.expr = _ask(WEIGHED, operand)
        try:
            super().visit_Template(node, frame)
        finally:  # others read the tree too
            for loop, items in loops:
                loop.iter = items
            for holder, operand in operands:
                holder.expr = operand

    def write_commons(self) -> None:
        super().write_commons()
        self.writeline("reach = environment.reach")
        # Jinja's own undefined would let `x if y` without an else pass for a value.
        self.writeline("cond_expr_undefined = environment.without_else")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 -- Jinja names it so
        self.write("reach(")
        self.visit(node.node, frame)
        self.write(f", {node.attr!r}, {spell(node)!r})")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802 -- Jinja names it so
        self.write("environment.cut(" if isinstance(node.arg, nodes.Slice) else "reach(")
        self.visit(node.node, frame)
        self.write(", ")
        self.visit(node.arg, frame)
        self.write(f", {spell(node)!r})")

    def visit_Slice(self, node: nodes.Slice, frame: Frame) -> None:  # noqa: N802 -- Jinja names it so
        self.write("slice(")
        for part in (node.start, node.stop, node.step):
            if part is None:
                self.write("None")
            else:
                self.visit(part, frame)
            self.write(", ")
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 -- Jinja names it so
        self.write("environment.join((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> Any:
        """Only plain text is settled while compiling: anything computed has to stay within the bounds of a rendering."""
        if isinstance(node, nodes.TemplateData):
            data: object = node.data
            if isinstance(data, Stretch):
                return data
            return super()._output_child_to_const(node, frame, finalize)
        raise nodes.Impossible

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        """A long text stays out of the code: written into it, it would be held several times while that is compiled."""
        pieces = list(group)
        text = pieces[0] if len(pieces) == 1 else "".join(map(str, pieces))
        if len(text) <= LONG_TEXT:
            return repr(str(text))
        texts: list[Piece] = cast(Any, self.environment).long_texts
        texts.append(text)
        return f"environment.long_texts[{len(texts) - 1}]"


def _ask(name: str, node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _weighed(comparison: nodes.Compare) -> list[nodes.Compare | nodes.Operand]:
    """Whose operands are charged for: comparing may be deep or long; with a constant it never is."""
    holders: list[nodes.Compare | nodes.Operand] = [comparison, *comparison.ops]
    is_shallow = any(isinstance(holder.expr, nodes.Const) for holder in holders)
    if is_shallow and all(operand.op not in ("in", "notin") for operand in comparison.ops):
        return []
    return [holder for holder in holders if not isinstance(holder.expr, nodes.Const)]


def first_place(node: nodes.Node) -> Place:
    """Where a path or a filtered value begins: the place of its innermost part."""
    while True:
        match node:
            case nodes.Getattr() | nodes.Getitem() | nodes.Filter() | nodes.Test() | nodes.Call() if (
                node.node is not None
            ):
                node = node.node
            case _:
                return place_of(node)
