"""Values from checked nodes: literal ones, and the forms that stand for one."""

from __future__ import annotations

from collections.abc import Collection

from runner.config.keys import as_expression
from runner.config.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode, to_value
from runner.config.reading import Reading
from runner.config.verify import value_form
from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.values import Computed, Fields, FromFile, ListOfValues, Plain, Value

DOCUMENTS = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class PlainValueReader:
    """What was found wrong reads as if it were not there. With `reads_files` a file is taken in, else named."""

    reading: Reading
    rejected: Collection[int]
    reads_files: bool = False

    def value(self, node: Node) -> Value | None:
        """A literal, or one of the forms that stand for a value."""
        if id(node) in self.rejected:
            return None
        match node:
            case ScalarNode():
                return Plain(node.value, node.span)
            case SequenceNode():
                items = (self.value(item) for item in node.items)
                return ListOfValues(tuple(item for item in items if item is not None), node.span)
            case _:
                return self._mapping(node)

    def _mapping(self, node: MappingNode) -> Value | None:
        form = value_form(node)
        if not form:
            return Fields(self.values(node.entries), node.span, key_spans(node.entries))
        inner = node.entries[0].value
        if form == "literal":
            return Plain(to_value(inner), inner.span)
        if form == "from":
            expression = as_expression(inner)
            return Computed(expression, inner.span) if expression else None
        return self._file(inner) if isinstance(inner, ScalarNode) else None

    def _file(self, node: ScalarNode) -> Value | None:
        if not self.reads_files:
            path = self.reading.resolve(node.raw, node.span)
            return FromFile(path, node.span) if path else None
        if node.raw.endswith(DOCUMENTS):
            _, document = self.reading.named_document(node.raw, node.span, "a value")
            return None if document is None else Plain(to_value(document), node.span)
        text = self.reading.template_file(node.raw, node.span)
        return None if text is None else Plain(text.text.replace("\r\n", "\n").removesuffix("\n"), node.span)

    def values(self, entries: tuple[Entry, ...]) -> dict[str, Value]:
        found = ((entry.key, self.value(entry.value)) for entry in entries)
        return {name: value for name, value in found if value is not None}


def key_spans(entries: tuple[Entry, ...]) -> dict[str, Span]:
    return {entry.key: entry.key_span for entry in entries}
