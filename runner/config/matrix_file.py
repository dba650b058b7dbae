"""The matrix and the comparison of a suite, from checked nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.config.keys import Keys
from runner.config.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode, to_value
from runner.config.step_file import StepReader
from runner.config.suite_grammar import AXIS_WORDS
from runner.config.suite_values import ValueReader
from runner.core.canonical import Json, canonical
from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.suite import Axis, CellPattern, Change, Comparison, InputChange, Matrix, Option, StepChange

_INPUTS = "inputs."


@dataclass(frozen=True, slots=True)
class MatrixReader:
    values: ValueReader
    steps: StepReader

    def matrix(self, keys: Keys) -> Matrix | None:
        inner = keys.below("matrix")
        if inner is None:
            return None
        entries = [entry for entry in inner.node.entries if entry.key not in AXIS_WORDS]
        found = (self._axis(entry) for entry in entries)
        axes = {axis.name: axis for axis in found if axis is not None}
        return Matrix(
            span=keys.place("matrix"),
            spans={entry.key: entry.key_span for entry in inner.node.entries},
            axes=axes,
            exclude=tuple(_cell(node) for node in inner.mappings("exclude")),
            include=tuple(_cell(node) for node in inner.mappings("include")),
            added=tuple(self._added(node, axes) for node in inner.mappings("include")),
        )

    def _added(self, node: MappingNode, axes: Mapping[str, Axis]) -> dict[str, Option]:
        """The options of an added cell: those of the axes, or values of its own."""
        options: dict[str, Option] = {}
        for entry in node.entries:
            written = to_value(entry.value)
            known = axes[entry.key].options if entry.key in axes else ()
            option = next((one for one in known if one.written == written), None)
            change = self._change(entry.key, entry.value, entry.key_span) if "." in entry.key else None
            if option is None and change is not None:
                option = Option(_name(entry.value), written, (change,), entry.value.span)
            if option is not None:
                options[entry.key] = option
        return options

    def _axis(self, entry: Entry) -> Axis | None:
        options = tuple(self._options(entry))
        spans = {option.name: option.span for option in options}
        return Axis(span=entry.key_span, spans=spans, name=entry.key, options=options) if options else None

    def _options(self, entry: Entry) -> Iterator[Option]:
        node = entry.value
        if isinstance(node, SequenceNode):
            for item in node.items:
                change = self._change(entry.key, item, item.span)
                if change is not None:
                    yield Option(_name(item), to_value(item), (change,), item.span)
        elif isinstance(node, MappingNode) and "." not in entry.key:
            for variant in node.entries:
                inner = variant.value.entries if isinstance(variant.value, MappingNode) else ()
                changes = (self._change(one.key, one.value, one.key_span) for one in inner)
                found = tuple(change for change in changes if change is not None)
                yield Option(variant.key, variant.key, found, variant.key_span)

    def _change(self, target: str, node: Node, span: Span) -> Change | None:
        if id(node) in self.values.rejected:
            return None
        if target.startswith(_INPUTS):
            value = self.values.value(node)
            return None if value is None else InputChange(target.removeprefix(_INPUTS), value, span)
        step, _, key = target.partition(".")
        part = self.steps.part(step, Entry(key, node.span, node))
        return StepChange(step, key, part, span)

    def comparison(self, keys: Keys) -> Comparison | None:
        inner = keys.below("compare")
        baseline = inner.mapping("baseline") if inner else None
        if inner is None or baseline is None:
            return None
        file = Keys(baseline, self.values.rejected).get("file")
        path = self.values.reading.resolve(file.raw, file.span) if isinstance(file, ScalarNode) else None
        least = inner.number("significance")
        return Comparison(
            span=keys.place("compare"),
            spans={"baseline": baseline.span},
            cell=None if file is not None else _cell(baseline),
            file=path or "",
            fail_if=inner.expression("fail_if"),
            significance=0.05 if least is None else least,
        )


def _cell(node: MappingNode) -> CellPattern:
    spans: dict[str, Span] = {}
    values: dict[str, tuple[Json, ...]] = {}
    for entry in node.entries:
        items = entry.value.items if isinstance(entry.value, SequenceNode) else (entry.value,)
        spans[entry.key] = entry.key_span
        spans |= {f"{entry.key}.{index}": item.span for index, item in enumerate(items)}
        values[entry.key] = tuple(to_value(item) for item in items)
    return CellPattern(span=node.span, spans=spans, values=values)


def _name(node: Node) -> str:
    """What an option is called: its text, or its JSON."""
    return node.raw if isinstance(node, ScalarNode) else canonical(to_value(node)).decode()
