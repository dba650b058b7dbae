"""A YAML document as frozen nodes: every key and value with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Literal, TypeAlias

from runner.core.canonical import Json, escape_pointer
from runner.core.frozen import dataclass
from runner.core.span import Origin, Span

Style = Literal["plain", "single", "double", "literal", "folded"]


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One value: `raw` is its text after YAML's own unfolding, `value` what the core rules make of it."""

    span: Span
    raw: str
    value: Json
    style: Style
    origin: Origin

    @property
    def is_text(self) -> bool:
        return isinstance(self.value, str)


@dataclass(frozen=True, slots=True)
class SequenceNode:
    span: Span
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    key: str
    key_span: Span
    value: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Keys in the author's order, each once; `index` finds them by name."""

    span: Span
    entries: tuple[Entry, ...] = ()
    index: dict[str, Entry] = field(default_factory=dict, compare=False, repr=False)

    def get(self, key: str) -> Node | None:
        entry = self.index.get(key)
        return entry.value if entry else None


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def mapping_of(span: Span, entries: tuple[Entry, ...]) -> MappingNode:
    """A mapping with its index."""
    return MappingNode(span, entries, {entry.key: entry for entry in entries})


def to_value(node: Node) -> Json:
    """The plain JSON value of a node."""
    match node:
        case ScalarNode():
            return node.value
        case SequenceNode():
            return [to_value(item) for item in node.items]
        case _:
            return {entry.key: to_value(entry.value) for entry in node.entries}


def dotted_spans(node: MappingNode, *, leave_out: frozenset[str] = frozenset()) -> dict[str, Span]:
    """The places of all values below a mapping by dotted path (`cache.salt`, `ensure.0`).

    Below the top keys in `leave_out` nothing is listed but the key itself.
    """
    spans: dict[str, Span] = {}
    for entry in node.entries:
        spans[entry.key] = entry.value.span
        if entry.key not in leave_out:
            spans.update((f"{entry.key}.{path}", span) for path, span in _dotted_below(entry.value))
    return spans


def _dotted_below(node: Node) -> Iterator[tuple[str, Span]]:
    for name, inner in _children(node):
        yield name, inner.span
        for path, span in _dotted_below(inner):
            yield f"{name}.{path}", span


def pointer_spans(node: Node, pointer: str = "") -> dict[str, Span]:
    """The places of a node and of all values inside it by JSON pointer."""
    spans = {pointer: node.span}
    for name, inner in _children(node):
        spans.update(pointer_spans(inner, f"{pointer}/{escape_pointer(name)}"))
    return spans


def _children(node: Node) -> Iterator[tuple[str, Node]]:
    match node:
        case ScalarNode():
            return
        case SequenceNode():
            yield from ((str(index), item) for index, item in enumerate(node.items))
        case _:
            yield from ((entry.key, entry.value) for entry in node.entries)
