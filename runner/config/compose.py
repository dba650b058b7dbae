"""PyYAML's events → nodes.

The C parser gives events without building anything; the composer here is iterative and counts what aliases add, so that
no nesting, alias or tag can do harm. Mistakes become problems; reading goes on where that makes sense.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field

import yaml

from runner.config.flow_cuts import Pair, is_absent, join_cut_items, join_cut_pairs
from runner.config.mending import change, quoted, quoting
from runner.config.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode, Style, mapping_of
from runner.config.scalars import NotANumber, resolve_plain
from runner.config.yaml_mistakes import explain_syntax, unquoted_template
from runner.core.canonical import MAX_DEPTH, Json
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.core.span import Origin, Span

MAX_ADDED_BY_ALIASES = 1_000_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STYLES: dict[str, Style] = {"": "plain", "'": "single", '"': "double", "|": "literal", ">": "folded"}
_BREAK = re.compile("[\n\x85\u2028\u2029]")


def compose(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """The nodes of a text with line feeds as its only line ends, and the mistakes in it."""
    composer = _Composer(file, _BREAK.split(text))
    return composer.compose(text), composer.problems


class _Stopped(Exception):
    """Nothing more can be read from this document."""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet. `size` and `height` are those of the tree with aliases written out."""

    span: Span
    is_mapping: bool
    is_flow: bool
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    key: Node | None = None
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    size: int
    height: int


class _Composer:
    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self.file = file
        self.lines = lines
        self.problems: list[Problem] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.added = 0
        self.root: Node | None = None
        self.documents = 0

    def compose(self, text: str) -> Node | None:
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                self._take(event)
        except yaml.YAMLError as error:
            problem = explain_syntax(error, self.lines, self.file)
            self.problems = [p for p in self.problems if not _is_same_place(p, problem)] + [problem]
            return None
        except _Stopped:
            return None if self.stack else self.root
        if self.root is None or is_absent(self.root):
            is_commented = any(line.lstrip().startswith("#") for line in self.lines)
            what = "holds nothing but comments" if is_commented else "is empty"
            self.problems.append(Problem("empty-file", f"{self.file} {what}", Span(self.file, 1, 1)))
            return None
        return self.root

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._refuse_tag(event, event.tag)
                node = self._scalar(event)
                self._place(node, size=len(node.raw) + 1, height=0, anchor=event.anchor)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event, event.tag)
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close(event)
            case yaml.DocumentStartEvent():
                self._start_document(event)

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            span = Span(self.file, _start(event).line + 1, _start(event).column + 1, 3)
            fix = "put it in a file of its own"
            self.problems.append(
                Problem(
                    "second-document", "a second document starts here", span, expected="one document per file", fix=fix
                )
            )
            raise _Stopped

    # --- places

    def _line(self, index: int) -> str:
        return self.lines[index] if index < len(self.lines) else ""

    def _span(self, event: yaml.Event) -> Span:
        start, end = _start(event), _end(event)
        column = start.column
        last = end.column if end.line == start.line else len(self._line(start.line))
        return Span(self.file, start.line + 1, column + 1, last - column if last > column else 1)

    def _block_origin(self, event: yaml.ScalarEvent) -> Origin:
        """The text of a block starts on the line below its `|`; its indent shows on its first line that has text."""
        first = _start(event).line + 1
        for offset, text in enumerate(event.value.split("\n")):
            line = self._line(first + offset)
            if text and line.endswith(text):
                indent = len(line) - len(text)
                return Origin(self.file, first + 1, indent + 1, indent)
        return Origin(self.file, first, _start(event).column + 1, is_exact=False)

    # --- values

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        start, end = _start(event), _end(event)
        style = _STYLES[event.style or ""]
        text, line, column = event.value, start.line + 1, start.column + 1
        if style == "literal":
            return ScalarNode(Span(self.file, line, column), text, text, style, self._block_origin(event))
        if style == "folded":
            return ScalarNode(
                Span(self.file, line, column), text, text, style, Origin(self.file, line, column, 0, False)
            )
        span = self._span(event)
        if style == "plain":
            # Folding, escapes and anchors all make the source longer than the text.
            is_exact = start.line == end.line and span.length == len(text)
            return ScalarNode(span, text, self._plain(text, span), style, Origin(self.file, line, column, 0, is_exact))
        is_exact = start.line == end.line and span.length == len(text) + 2
        return ScalarNode(span, text, text, style, Origin(self.file, line, column + 1, 0, is_exact))

    def _plain(self, text: str, span: Span) -> Json:
        try:
            return resolve_plain(text)
        except NotANumber as error:
            self.problems.append(Problem("bad-number", str(error), span, fix=f'as text: "{text[:40]}"'))
            return text

    def _refuse_tag(self, event: yaml.Event, tag: str | None) -> None:
        if tag is None:
            return
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append(
            Problem(
                "tag",
                f"the tag {shown} is not allowed",
                Span(self.file, _start(event).line + 1, _start(event).column + 1, len(shown)),
                expected="a plain value; text that looks like a number goes in quotes",
                fix="remove the tag",
            )
        )

    def _alias(self, event: yaml.AliasEvent) -> None:
        span = self._span(event)
        name = event.anchor or ""
        if any(frame.anchor == name for frame in self.stack):
            self.problems.append(Problem("alias-cycle", f"*{name} stands inside the value that it repeats", span))
            raise _Stopped
        known = self.anchors.get(name)
        if known is None:
            self.problems.append(
                Problem("unknown-alias", f"*{name} repeats a value, but no &{name} stands before it", span)
            )
            self._place(
                ScalarNode(span, "", None, "plain", Origin(self.file, span.line, span.column)), size=1, height=0
            )
            return
        self.added += known.size
        if self.added > MAX_ADDED_BY_ALIASES:
            self.problems.append(
                Problem(
                    "alias-bomb",
                    f"with its aliases written out the file is more than {MAX_ADDED_BY_ALIASES:,} characters longer",
                    span,
                )
            )
            raise _Stopped
        self._refuse_depth(span, known.height)
        self._place(known.node, size=known.size, height=known.height)

    # --- collections

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        span = self._span(event)
        self._refuse_depth(span, 1)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self.stack.append(_Open(span, is_mapping, bool(event.flow_style), event.anchor))

    def _refuse_depth(self, span: Span, height: int) -> None:
        if len(self.stack) + height > MAX_DEPTH:
            self.problems.append(Problem("too-deep", f"values are nested more than {MAX_DEPTH} levels deep", span))
            raise _Stopped

    def _close(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> None:
        frame = self.stack.pop()
        span = frame.span
        if frame.is_flow and _end(event).line + 1 == span.line:
            span = Span(self.file, span.line, span.column, _end(event).column - span.column + 1)
        node: Node
        if not frame.is_mapping:
            node = SequenceNode(span, tuple(self._items(frame)))
        elif self._is_template(frame):
            node = self._template_text(span)
        else:
            node = mapping_of(span, tuple(self._entries(frame)))
        self._place(node, size=frame.size, height=frame.height, anchor=frame.anchor)

    def _items(self, frame: _Open) -> list[Node]:
        if not frame.is_flow:
            return frame.items
        items, problems = join_cut_items(frame.items, self.lines)
        self.problems += problems
        return items

    def _entries(self, frame: _Open) -> list[Entry]:
        pairs = frame.pairs
        if frame.is_flow and self._is_inside_template(frame):
            return []
        if frame.is_flow:
            pairs, problems = join_cut_pairs(pairs, self.lines)
            self.problems += problems
        seen: dict[str, Span] = {}
        return [entry for key, value in pairs if (entry := self._entry(key, value, seen))]

    def _place(self, node: Node, *, size: int, height: int, anchor: str | None = None) -> None:
        """Hand a finished node to the collection around it."""
        if anchor:
            self.anchors[anchor] = _Anchored(node, size, height)
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            key, frame.key = frame.key, None
            frame.pairs.append((key, node))

    def _entry(self, key: Node, value: Node, seen: dict[str, Span]) -> Entry | None:
        if not isinstance(key, ScalarNode) or not key.is_text:
            fix = f'"{key.raw}": …' if isinstance(key, ScalarNode) and key.raw else ""
            edits = quoting(key) if isinstance(key, ScalarNode) else ()
            self.problems.append(Problem("key-not-text", "a key must be text", key.span, fix=fix, edits=edits))
        elif key.raw == "<<" and key.style == "plain":
            self.problems.append(_merge_key(key.span))
        elif key.raw in seen:
            self.problems.append(_duplicate(key, seen[key.raw]))
        else:
            seen[key.raw] = key.span
            return Entry(key.raw, key.span, value)
        return None

    # --- `{{ x }}` without quotes is a mapping in a mapping

    def _is_template(self, frame: _Open) -> bool:
        key = frame.pairs[0][0] if frame.pairs else None
        return isinstance(key, MappingNode) and frame.is_flow and _follows(key.span, frame.span)

    def _is_inside_template(self, frame: _Open) -> bool:
        around = self.stack[-1] if self.stack else None
        return (
            around is not None
            and around.is_mapping
            and around.is_flow
            and not around.pairs
            and around.key is None
            and _follows(frame.span, around.span)
        )

    def _template_text(self, span: Span) -> ScalarNode:
        text = self.lines[span.line - 1][span.column - 1 : span.column - 1 + span.length]
        around = self.stack[-1] if self.stack else None
        key = around.key.raw if around and isinstance(around.key, ScalarNode) else ""
        is_whole = text.endswith("}}")
        edits = change(span, text, quoted(text)) if is_whole else ()
        self.problems.append(unquoted_template(span, text, key, edits))
        return ScalarNode(span, text, text, "plain", Origin(self.file, span.line, span.column))


def _start(event: yaml.Event) -> yaml.Mark:
    # Events of a parser always have marks; only hand-made ones do not.
    return event.start_mark  # type: ignore[return-value]


def _end(event: yaml.Event) -> yaml.Mark:
    # As above.
    return event.end_mark  # type: ignore[return-value]


def _follows(inner: Span, outer: Span) -> bool:
    return (inner.line, inner.column) == (outer.line, outer.column + 1)


def _is_same_place(one: Problem, other: Problem) -> bool:
    """Whether two problems start at the same character."""
    return (
        one.span is not None
        and other.span is not None
        and one.span.file == other.span.file
        and ((one.span.line, one.span.column) == (other.span.line, other.span.column))
    )


def _merge_key(span: Span) -> Problem:
    return Problem(
        "merge-key",
        "merge keys (<<) are not allowed",
        span,
        expected="keys written out; what steps share stands once under 'defaults'",
        fix="move the shared keys to 'defaults'",
    )


def _duplicate(key: ScalarNode, first: Span) -> Problem:
    return Problem(
        "duplicate-key",
        f"the key '{key.raw}' is there twice",
        key.span,
        fix="keep one of the two",
        notes=(("first", str(first)),),
    )
