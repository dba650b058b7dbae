"""What a file may say, as data: from this the check of a file, its words on hover and its JSON Schema all come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import TypeAlias

from runner.core.frozen import dataclass

NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"
NAME_IN_WORDS = "a letter or _, then letters, digits, _ and -"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
VARIABLE_IN_WORDS = "a letter or _, then letters, digits and _"
TEMPLATE_MARK = r"\{\{|\{%"
FREE_KEY = "x-"
_MOST_KEYS_TOLD = 8


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text. `pattern` must be found in it and is told as `says`; `taken` are words it may not be.

    `later` holds (pattern, what it is) of spellings that a later version reads; `hints` maps a likely mistake to
    the word that is meant.
    """

    choices: tuple[str, ...] = ()
    pattern: str = ""
    says: str = ""
    taken: tuple[str, ...] = ()
    later: tuple[tuple[str, str], ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds; `above` is a bound that does not belong to the range, `says` tells it in words."""

    is_whole: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Expr:
    """A Jinja expression without braces."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Jinja text, or `{file: path}`."""


@dataclass(frozen=True, slots=True)
class AnyValue:
    """Any literal value; `may_hold_braces` where text is data or a pattern."""

    may_hold_braces: bool = False


@dataclass(frozen=True, slots=True)
class AnyMapping:
    """A mapping of literal values. With `is_schema` texts that are data or patterns may hold braces."""

    is_schema: bool = False
    is_filled: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """Literal YAML, in which `{from: expression}`, `{file: path}` and `{literal: …}` may stand for a value."""


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Kind
    minimum: int = 0


@dataclass(frozen=True, slots=True)
class Names:
    """A mapping whose keys the author chooses; `noun` is what each of them names.

    Among the `others` of a record, `description` is the words of its keys for an editor, and `ending` is how all of
    them end.
    """

    noun: str
    item: Kind
    pattern: str = NAME
    says: str = NAME_IN_WORDS
    minimum: int = 0
    taken: tuple[str, ...] = ()
    description: str = ""
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record, with its words for an editor."""

    name: str
    kind: Kind
    description: str
    is_required: bool = False


@dataclass(frozen=True)
class Record:
    """A closed mapping. `noun` says what it is ("a step"); `main` is the key that is meant by a lone scalar.

    `later` are keys of later versions; `either` pairs of keys that exclude each other; `says` tells the keys in words
    where they are too many to list; `hints` maps a key that may be looked for here to what is written instead.
    `others` are further keys, which the author chooses within patterns that exclude each other. Of `exactly_one` and
    `at_least_one` so many must be there, with `is_single` one of all keys; a key of `needs` makes sense beside one of its keys only.
    """

    noun: str
    keys: tuple[Key, ...]
    later: tuple[str, ...] = ()
    either: tuple[tuple[str, str], ...] = ()
    has_free_keys: bool = False
    main: str = ""
    says: str = ""
    hints: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Names, ...] = ()
    exactly_one: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_single: bool = False

    @cached_property
    def by_name(self) -> Mapping[str, Key]:
        return {key.name: key for key in self.keys}

    def other(self, name: str) -> Names | None:
        """What a key that is not listed names here, if it may be there at all."""
        return next((names for names in self.others if holds(names.pattern, name) and name not in names.taken), None)


@dataclass(frozen=True, slots=True)
class Shapes:
    """One of several kinds, told apart by the shape of what stands there: text, a number, a list or a mapping."""

    text: Text | Expr | None = None
    number: Number | None = None
    sequence: ListOf | None = None
    mapping: Record | AnyMapping | Names | None = None


@dataclass(frozen=True, slots=True)
class Variants:
    """`special` where the mapping has the key `when`, else `usual`."""

    when: str
    special: Record
    usual: Record


Kind: TypeAlias = (
    Text | Number | Flag | Expr | Prompt | AnyValue | AnyMapping | Value | ListOf | Names | Record | Shapes | Variants
)

PATH = Text(pattern=r"\S", says="a path")
FILE = Record("a file", (Key("file", PATH, "A file, relative to the file that names it.", is_required=True),))


def holds(pattern: str, text: str) -> bool:
    """Whether a pattern of this grammar is found in a text; `$` is the very end, as in JSON Schema."""
    if pattern.endswith("$"):
        pattern = pattern[:-1] + r"\Z"
    return re.search(pattern, text, re.ASCII) is not None


def kind_in_words(kind: Kind) -> str:
    """What is expected, for a message."""
    match kind:
        case Text(choices=()):
            return kind.says or "text"
        case Text():
            return f"one of {', '.join(kind.choices)}" + (f"; {kind.says}" if kind.says else "")
        case Number():
            return _number_in_words(kind)
        case Flag():
            return "true or false"
        case Expr():
            return "an expression without braces"
        case Prompt():
            return "text, or {file: path}"
        case AnyValue() | Value():
            return "a value"
        case ListOf():
            return "a list"
        case AnyMapping():
            return "a mapping"
        case Names():
            return f"a mapping with a name for each {kind.noun}"
        case Record() | Variants():
            record = kind.usual if isinstance(kind, Variants) else kind
            if len(record.keys) > _MOST_KEYS_TOLD:
                return f"a mapping with the keys of {record.noun}"
            return f"a mapping with {', '.join(key.name for key in record.keys)}"
        case _:
            parts = (kind.text, kind.number, kind.sequence, kind.mapping)
            return ", or ".join(kind_in_words(part) for part in parts if part is not None)


def _number_in_words(kind: Number) -> str:
    if kind.says:
        return kind.says
    noun = "a whole number" if kind.is_whole else "a number"
    if kind.above is not None:
        return f"{noun} above {_plain(kind.above)}"
    if kind.minimum is not None and kind.maximum is not None:
        return f"{noun} from {_plain(kind.minimum)} to {_plain(kind.maximum)}"
    return noun if kind.minimum is None else f"{noun}, at least {_plain(kind.minimum)}"


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
