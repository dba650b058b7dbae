"""Typed access to the keys of a checked mapping: what was found wrong reads as if it were not there."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import field

from runner.config.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode, mapping_of, to_value
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.workflow import Expression


@dataclass(frozen=True, slots=True)
class Keys:
    """The usable keys of one mapping."""

    node: MappingNode
    rejected: Collection[int] = field(default=())

    def get(self, key: str) -> Node | None:
        """The value of a key, if it is there and good."""
        node = self.node.get(key)
        return None if node is None or id(node) in self.rejected else node

    def has(self, key: str) -> bool:
        """Whether the key is written, good or not."""
        return key in self.node.index

    def text(self, key: str) -> str | None:
        return as_text(self.get(key))

    def number(self, key: str) -> float | None:
        value = _scalar_value(self.get(key))
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return value if is_number else None

    def whole(self, key: str) -> int | None:
        value = self.number(key)
        return None if value is None else int(value)

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(item.raw for item in self.scalars(key))

    def scalars(self, key: str) -> tuple[ScalarNode, ...]:
        return tuple(item for item in self.items(key) if isinstance(item, ScalarNode))

    def mappings(self, key: str) -> tuple[MappingNode, ...]:
        return tuple(item for item in self.items(key) if isinstance(item, MappingNode))

    def items(self, key: str) -> tuple[Node, ...]:
        """The good elements of a list."""
        node = self.get(key)
        items = node.items if isinstance(node, SequenceNode) else ()
        return tuple(item for item in items if id(item) not in self.rejected)

    def mapping(self, key: str) -> MappingNode | None:
        node = self.get(key)
        return node if isinstance(node, MappingNode) else None

    def entries(self, key: str) -> tuple[Entry, ...]:
        node = self.mapping(key)
        return node.entries if node else ()

    def value(self, key: str) -> Json:
        node = self.get(key)
        return None if node is None else to_value(node)

    def expression(self, key: str) -> Expression | None:
        return as_expression(self.get(key))

    def below(self, key: str) -> Keys | None:
        node = self.mapping(key)
        return Keys(node, self.rejected) if node else None

    def place(self, key: str) -> Span:
        """The place of the key itself, else of the mapping."""
        entry = self.node.index.get(key)
        return entry.key_span if entry else self.node.span

    def without(self, names: Collection[str]) -> MappingNode:
        """The mapping with some keys left out."""
        return mapping_of(self.node.span, tuple(entry for entry in self.node.entries if entry.key not in names))


def as_text(node: Node | None) -> str | None:
    return node.raw if isinstance(node, ScalarNode) and node.is_text else None


def as_expression(node: Node | None) -> Expression | None:
    """A scalar as the author spelt it: `when: true` is an expression too."""
    if not isinstance(node, ScalarNode) or node.value is None:
        return None
    return Expression(node.raw, node.origin)


def _scalar_value(node: Node | None) -> Json:
    return node.value if isinstance(node, ScalarNode) else None
