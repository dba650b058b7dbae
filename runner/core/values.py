"""Values as a file may spell them: literal, computed by an expression, or taken from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.span import Origin, Span


@dataclass(frozen=True, slots=True)
class Expression:
    """A Jinja expression without braces, and where its first character stands."""

    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Plain:
    """A scalar, or whatever stands under `literal`."""

    json: Json
    span: Span


@dataclass(frozen=True, slots=True)
class Computed:
    """`{from: expression}`."""

    expression: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class FromFile:
    """`{file: path}`: `file` is relative to the root."""

    file: str
    span: Span


@dataclass(frozen=True, slots=True)
class ListOfValues:
    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping; `key_spans` are the places of its keys."""

    entries: Mapping[str, Value]
    span: Span
    key_spans: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)


Value = Plain | Computed | FromFile | ListOfValues | Fields


def leaves(value: Value) -> Iterator[Plain | Computed | FromFile]:
    """The values at the ends of lists and mappings."""
    match value:
        case ListOfValues():
            for item in value.items:
                yield from leaves(item)
        case Fields():
            for inner in value.entries.values():
                yield from leaves(inner)
        case _:
            yield value


def literal(value: Value) -> tuple[Json] | None:
    """The value in a tuple where the file itself says all of it, else None."""
    match value:
        case Plain():
            return (value.json,)
        case ListOfValues():
            items = [literal(item) for item in value.items]
            return None if None in items else ([item[0] for item in items if item],)
        case Fields():
            found = {name: literal(inner) for name, inner in value.entries.items()}
            return None if None in found.values() else ({name: one[0] for name, one in found.items() if one},)
        case _:
            return None
