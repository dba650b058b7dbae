"""Things from a file, with the places of what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.span import Origin, Span


@dataclass(frozen=True, slots=True)
class Located:
    """A thing from a file: its place, and the places of its keys."""

    span: Span
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)

    def at(self, path: str) -> Span:
        return self.spans.get(path, self.span)


@dataclass(frozen=True, slots=True)
class Template:
    """Jinja text and where its first line stands. `file` is the prompt file (relative to the root) or ""."""

    text: str
    origin: Origin
    file: str = ""


@dataclass(frozen=True, slots=True)
class SchemaSource:
    """A JSON Schema (2020-12) or, with `is_fields`, the short form, as the author wrote it.

    `file` is the schema file relative to the root, "" for an inline one; relative `$ref`s start at `base`, the
    folder (relative to the root, "" for the root itself) of the file that holds the schema. `spans` maps the JSON
    pointer of a value inside to its place, where the text is YAML or JSON that was read with places.
    """

    value: Json
    span: Span
    file: str = ""
    base: str = ""
    is_fields: bool = False
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)

    def at(self, pointer: str) -> Span:
        """The place of the value at a JSON pointer, or of the nearest value around it."""
        while pointer and pointer not in self.spans:
            pointer = pointer.rpartition("/")[0]
        return self.spans.get(pointer, self.span)
