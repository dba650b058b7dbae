"""The type of a path through a schema: the one place that says what a value can hold.

A schema is spread into alternatives: lists of plain schemas that hold together, without references and choices. A part
of a path is then looked for in each. What cannot be known is `any`; a claim is made only where every alternative
bears it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.link.alternatives import (
    ALL_TYPES,
    MOST_ALTERNATIVES,
    Alternative,
    Plain,
    TooMany,
    joined,
    spread,
    types_of,
    words_of,
)
from runner.link.choices import Choice, choice_between, is_possible
from runner.link.members import Member, is_decided_elsewhere, member_of, names_of
from runner.templates.trail import ELEMENT

Kind = Literal["any", "value", "missing", "list", "not-a-mapping"]
_IN_WORDS = {"string": "text", "number": "a number", "boolean": "true or false", "null": "null", "array": "a list"}


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a path, by its index, that may find nothing: a field left out, or a value that may be null.

    `is_end`: the whole path leads to what may be null, and a value is needed there. With a `choice` only some
    alternatives of the schema have the field.
    """

    index: int
    is_null: bool = False
    is_end: bool = False
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands at a path.

    `alternatives` say what the value may be (of kind `value`). For the other kinds `index` is the part that cannot be
    followed and `names` the fields that there are; `found` says what is there instead of a mapping. `unlisted` are
    parts that an open mapping does not name, each with the names that it does. Where it `is_mixed`, the alternatives
    are those of several positions of a list, and which is meant may be known.
    """

    kind: Kind
    alternatives: tuple[Alternative, ...] = ()
    index: int = 0
    names: tuple[str, ...] = ()
    found: str = ""
    gaps: tuple[Gap, ...] = ()
    unlisted: tuple[tuple[int, tuple[str, ...]], ...] = ()
    is_mixed: bool = False

    @property
    def is_optional(self) -> bool:
        """Whether some part of the path may find nothing."""
        return bool(self.gaps)


ANY = Typed("any")


def type_at(schema: Json, path: Sequence[str], root: Json) -> Typed:
    """What stands at a path below a value of this schema; its references lead into `root`.

    In the path, "[]" is an element of a list and digits are an index.
    """
    found = type_of(schema, root)
    for index, part in enumerate(path):
        found = type_inside(found, part, index, root)
    return found


def type_of(schema: Json, root: Json) -> Typed:
    """What a value of this schema is."""
    try:
        return Typed("value", tuple(spread(schema, root)))
    except (TooMany, RecursionError):
        return ANY


def type_inside(found: Typed, part: str, index: int, root: Json) -> Typed:
    """What stands one part further, the part at this index of its path; what cannot be followed stays as it is."""
    if found.kind != "value":
        return found
    try:
        return _into(found, part, index, root)
    except (TooMany, RecursionError):
        return ANY


def types_at(found: Typed) -> frozenset[str]:
    """The JSON types that a value can have, integers being numbers; all where nothing is known."""
    if found.kind != "value":
        return ALL_TYPES
    return frozenset[str]().union(*map(types_of, found.alternatives))


def may_be_null(found: Typed) -> bool:
    """Whether a schema allows null in so many words, and something else as well."""
    kinds = [types_of(alternative) for alternative in found.alternatives] if found.kind == "value" else []
    return any("null" in types and types != ALL_TYPES for types in kinds) and any(types != {"null"} for types in kinds)


def words_at(found: Typed) -> tuple[Json, ...] | None:
    """All values that a value can have, where its schema lists them, else None."""
    return words_of(found.alternatives) if found.kind == "value" else None


def most_elements(found: Typed) -> int | None:
    """How many elements a list has at most; None where nothing bounds it, or it may be no list."""
    most: list[int] = []
    for alternative in found.alternatives if found.kind == "value" else ():
        if "array" not in types_of(alternative):
            continue
        bounds = [schema["maxItems"] for schema in alternative if "maxItems" in schema]
        if not bounds:
            return None
        most.append(int(min(bounds)))
    return max(most) if most else None


# --- one part further


def _into(value: Typed, part: str, index: int, root: Json) -> Typed:
    if part == ELEMENT or part.lstrip("-").isdigit():
        return _into_list(value, part, root)
    kinds = frozenset[str]().union(*(_kinds(alternative) for alternative in value.alternatives))
    mappings = [alternative for alternative in value.alternatives if "object" in _kinds(alternative)]
    steps = [member_of(alternative, part) for alternative in mappings]
    found = [step for step in steps if step.is_there]
    if not kinds:
        return ANY
    if not found:
        return _nothing(value, kinds, mappings, index)
    gaps = value.gaps
    if "null" in kinds:
        gaps = (*gaps, Gap(index - 1, is_null=True))
    gaps = (*gaps, *_lacking(value, part, index, root))
    unlisted = value.unlisted
    names = names_of(mappings)
    if names and not any(step.is_described for step in found):
        unlisted = (*unlisted, (index, names))
    return replace(_union(found, root), gaps=gaps, unlisted=unlisted, is_mixed=value.is_mixed)


def _lacking(value: Typed, part: str, index: int, root: Json) -> Iterator[Gap]:
    """A field that an alternative may leave out or does not have; nothing where it cannot be told."""
    is_alone = len(value.alternatives) == 1
    possible = [one for one in value.alternatives if is_alone or is_possible(one, root)]
    mappings = [one for one in possible if "object" in _kinds(one)]
    members = [(one, member_of(one, part)) for one in mappings]
    named = [member for _, member in members if member.is_there and member.is_named]
    if not named or any(is_decided_elsewhere(one) or _is_unknown(one, member) for one, member in members):
        return
    holding = [one for one, member in members if member.is_there and member.is_sure]
    others = _in_words(frozenset[str]().union(*map(_kinds, possible)) - {"object", "null"})
    if len(named) == len(members) and not (holding or others):
        yield Gap(index)
    elif others and not value.is_mixed:
        yield Gap(index, choice=Choice(others))
    elif len(holding) < len(mappings) and not value.is_mixed:
        lacking = [one for one in mappings if one not in holding]
        yield Gap(index, choice=choice_between(holding, lacking, root))


def _is_unknown(alternative: Alternative, member: Member) -> bool:
    """Whether an alternative may well have a field that it does not name."""
    return member.is_there and not member.is_named and (member.is_described or not names_of([alternative]))


def _kinds(alternative: Alternative) -> frozenset[str]:
    """The types that matter where a field is read: a schema without any is that of a mapping."""
    types = types_of(alternative)
    return frozenset(("object",)) if types == ALL_TYPES else types


def _nothing(value: Typed, kinds: frozenset[str], mappings: Sequence[Alternative], index: int) -> Typed:
    """Why no alternative has the field."""
    if mappings:
        return replace(value, kind="missing", index=index, names=names_of(mappings))
    if "array" in kinds:
        return replace(value, kind="list", index=index)
    return replace(value, kind="not-a-mapping", index=index, found=_in_words(kinds))


def _in_words(kinds: frozenset[str]) -> str:
    return " or ".join(word for kind, word in _IN_WORDS.items() if kind in kinds)


def _into_list(value: Typed, part: str, root: Json) -> Typed:
    """An element. What is no list for sure says nothing: texts and mappings have elements too."""
    kinds = [types_of(alternative) - {"null"} for alternative in value.alternatives]
    lists = [alternative for alternative, types in zip(value.alternatives, kinds, strict=True) if types]
    if not lists or not all(types == {"array"} for types in kinds if types):
        return ANY
    steps = [Member(schemas) for alternative in lists for schemas in _elements(alternative, part)]
    is_mixed = value.is_mixed or (part == ELEMENT and any("prefixItems" in one for each in lists for one in each))
    return replace(_union(steps, root), gaps=value.gaps, unlisted=value.unlisted, is_mixed=is_mixed)


def _elements(alternative: Alternative, part: str) -> Iterator[tuple[Json, ...]]:
    """The schemas that hold together for an element, once for each kind of element."""
    firsts = max((len(schema.get("prefixItems", ())) for schema in alternative), default=0)
    positions = [int(part)] if part.isdigit() else range(firsts + 1)
    for position in positions:
        yield tuple(_element(schema, position) for schema in alternative)


def _element(schema: Plain, position: int) -> Json:
    firsts = schema.get("prefixItems", ())
    return firsts[position] if position < len(firsts) else schema.get("items", True)


def _union(steps: Iterable[Member], root: Json) -> Typed:
    """What a value is that has one of several types; `any` where one of them says nothing."""
    found = [alternative for step in steps for alternative in joined([spread(one, root) for one in step.schemas])]
    if len(found) > MOST_ALTERNATIVES:
        raise TooMany
    return Typed("value", tuple(found)) if found and all(found) else ANY
