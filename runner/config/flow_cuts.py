"""Expressions that flow style cut at a comma: `{rows: f(1, 2)}` is two keys, `[f(1, 2)]` two elements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TypeAlias

from runner.config.mending import change, quoted
from runner.config.nodes import Node, ScalarNode
from runner.core.problem import Problem
from runner.core.span import Origin, Span

Pair: TypeAlias = tuple[Node, Node]

_CLOSERS = {")": "(", "]": "[", "}": "{"}


def join_cut_pairs(pairs: Sequence[Pair], lines: Sequence[str]) -> tuple[list[Pair], list[Problem]]:
    """The pairs of a flow mapping with cut values joined again, and a problem for each."""
    whole: list[Pair] = []
    problems: list[Problem] = []
    at = 0
    while at < len(pairs):
        key, value = pairs[at]
        count, joined = _join(value, _keys_without_value(pairs[at + 1 :]), lines)
        if joined is not None:
            problems.append(_cut(joined, key.raw if isinstance(key, ScalarNode) else ""))
        whole.append((key, joined or value))
        at += 1 + count
    return whole, problems


def join_cut_items(items: Sequence[Node], lines: Sequence[str]) -> tuple[list[Node], list[Problem]]:
    """The elements of a flow sequence with cut values joined again, and a problem for each."""
    whole: list[Node] = []
    problems: list[Problem] = []
    at = 0
    while at < len(items):
        count, joined = _join(items[at], items[at + 1 :], lines)
        if joined is not None:
            problems.append(_cut(joined, ""))
        whole.append(joined or items[at])
        at += 1 + count
    return whole, problems


def is_absent(node: Node) -> bool:
    """A key without a value, as in `{a, b}`."""
    return isinstance(node, ScalarNode) and node.style == "plain" and not node.raw


def is_open(text: str) -> bool:
    """Whether a bracket or quote in the text is still open at its end."""
    brackets: list[str] = []
    quote = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            brackets.append(character)
        elif character in _CLOSERS and brackets and brackets[-1] == _CLOSERS[character]:
            brackets.pop()
    return bool(quote or brackets)


def _keys_without_value(pairs: Sequence[Pair]) -> list[Node]:
    """The keys at the start of the pairs that have no value."""
    return [key for key, _ in takewhile(lambda pair: is_absent(pair[1]), pairs)]


def _join(first: Node, pieces: Sequence[Node], lines: Sequence[str]) -> tuple[int, ScalarNode | None]:
    """How many of the pieces belong to the first value, and the value that they make together."""
    if not isinstance(first, ScalarNode) or first.style != "plain" or not is_open(first.raw):
        return 0, None
    for count, piece in enumerate(pieces, 1):
        if not isinstance(piece, ScalarNode) or piece.span.line != first.span.line:
            return 0, None
        start, end = first.span.column - 1, piece.span.column - 1 + piece.span.length
        text = lines[first.span.line - 1][start:end]
        if not is_open(text):
            span = Span(first.span.file, first.span.line, first.span.column, len(text))
            return count, ScalarNode(span, text, text, "plain", Origin(span.file, span.line, span.column))
    return 0, None


def _cut(joined: ScalarNode, key: str) -> Problem:
    spelling = f"{key}: " if key else ""
    return Problem(
        "cut-expression",
        f"inside brackets YAML cuts {joined.raw} at its comma",
        joined.span,
        expected="the whole value in quotes, or block style",
        fix=f"{spelling}{quoted(joined.raw)}",
        edits=change(joined.span, joined.raw, quoted(joined.raw)),
    )
