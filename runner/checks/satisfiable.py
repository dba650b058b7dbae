"""Whether any value fits a schema, as far as that is certain: contradictions, and values inside themselves without end.

A schema is alive when some finite value may fit it. What is alive is found from the inside out, in rounds, until nothing
is added; what is left is dead. Everything that is not looked at counts as alive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.checks.reach import schema_at, target_pointer
from runner.core.canonical import Json, escape_pointer
from runner.core.frozen import dataclass
from runner.output.describe import TYPE_WORDS, show
from runner.output.keywords import every_schema
from runner.output.validate import Validator

Node = dict[str, Json]

_KINDS = ("null", "boolean", "number", "string", "array", "object")
_SIMPLE = frozenset(
    (
        *("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems"),
        *("minProperties", "maxProperties", "required", "dependentRequired"),
    )
)


@dataclass(frozen=True, slots=True)
class Dead:
    """Why nothing fits: in words with the pointer to point at, or the dead schemas that it comes from."""

    message: str = ""
    pointer: str = ""
    names: tuple[str, ...] = ()
    blame: tuple[str, ...] = ()


def is_never(schema: Json) -> bool:
    """A schema that says outright that nothing fits; in a property it is the way to forbid it."""
    return schema is False or (isinstance(schema, dict) and "not" in schema and schema["not"] in (True, {}))


def dead_schemas(root: Json) -> dict[str, Dead]:
    """The schemas that nothing fits, by pointer."""
    return _Search(root).run()


class _Search:
    def __init__(self, root: Json) -> None:
        self.root = root
        self.schemas = dict(every_schema(root))
        self.alive: set[str] = set()

    def run(self) -> dict[str, Dead]:
        waiting = list(reversed(self.schemas))
        while waiting:
            dead = {pointer: why for pointer in waiting if (why := self._judged(pointer)) is not None}
            if len(dead) == len(waiting):
                return dead
            waiting = list(dead)
        return {}

    def _judged(self, pointer: str) -> Dead | None:
        why = self._why(pointer)
        if why is None:
            self.alive.add(pointer)
        return why

    def _why(self, pointer: str) -> Dead | None:
        schema = self.schemas[pointer]
        if is_never(schema):
            return Dead("nothing fits this", pointer)
        if schema is True:
            return None
        parts = self._parts(pointer)
        blame = self._blame(parts)
        if blame:
            return Dead(blame=tuple(blame))
        listed = _listed(parts)
        if listed is not None:
            return _no_value(parts, listed)
        kinds, clash = _kinds(parts)
        if clash is not None:
            return clash
        reasons = [self._why_kind(kind, parts) for kind in kinds]
        return None if None in reasons else next(reason for reason in reasons if reason is not None)

    def _parts(self, pointer: str) -> list[tuple[str, Node]]:
        """The schemas that hold together at one value, the schema itself first."""
        found: dict[str, Node] = {}
        waiting = [pointer]
        while waiting:
            place = waiting.pop(0)
            schema = self.schemas[place]
            if place in found or not isinstance(schema, dict):
                continue
            found[place] = schema
            waiting += [f"{place}/allOf/{index}" for index in range(len(schema.get("allOf", ())))]
            waiting += [target_pointer(schema)] if "$ref" in schema else []
        return list(found.items())

    def _blame(self, parts: Sequence[tuple[str, Node]]) -> list[str]:
        """Dead schemas that would have to hold at the same value."""
        dead: list[str] = []
        for place, schema in parts:
            needed = [f"{place}/allOf/{index}" for index in range(len(schema.get("allOf", ())))]
            needed += [target_pointer(schema)] if "$ref" in schema else []
            dead += [pointer for pointer in needed if pointer not in self.alive]
            for keyword in ("anyOf", "oneOf"):
                branches = [f"{place}/{keyword}/{index}" for index in range(len(schema.get(keyword, ())))]
                dead += branches if branches and not self.alive.intersection(branches) else []
        return dead

    def _why_kind(self, kind: str, parts: Sequence[tuple[str, Node]]) -> Dead | None:
        match kind:
            case "number":
                return _no_number(parts)
            case "string":
                return _crossed(parts, "minLength", "maxLength", "no text fits")
            case "array":
                return _crossed(parts, "minItems", "maxItems", "no list fits") or self._no_list(parts)
            case "object":
                return _crossed(parts, "minProperties", "maxProperties", "no object fits") or self._no_object(parts)
            case _:
                return None

    def _no_list(self, parts: Sequence[tuple[str, Node]]) -> Dead | None:
        least = max((schema.get("minItems", 0) for _, schema in parts), default=0)
        for place, schema in parts:
            firsts = len(schema.get("prefixItems", ()))
            needed = [f"{place}/prefixItems/{index}" for index in range(min(least, firsts))]
            needed += [f"{place}/items"] if least > firsts and "items" in schema else []
            if "contains" in schema and schema.get("minContains", 1) > 0:
                needed.append(f"{place}/contains")
            for pointer in needed:
                if pointer not in self.alive:
                    return self._needs(pointer, "the list needs an element for which nothing fits")
        return None

    def _no_object(self, parts: Sequence[tuple[str, Node]]) -> Dead | None:
        for place, schema in parts:
            for index, name in enumerate(schema.get("required", ())):
                why = self._no_property(name, f"{place}/required/{index}", parts)
                if why is not None:
                    return why
        return None

    def _no_property(self, name: str, required: str, parts: Sequence[tuple[str, Node]]) -> Dead | None:
        for place, schema in parts:
            if name in schema.get("properties", {}):
                pointer = f"{place}/properties/{escape_pointer(name)}"
            elif schema.get("patternProperties"):
                continue
            elif schema.get("additionalProperties") is False:
                message = f"the property '{name}' is required, and additionalProperties: false does not allow it"
                return Dead(message, required, names=tuple(schema.get("properties", ())))
            elif "additionalProperties" in schema:
                pointer = f"{place}/additionalProperties"
            else:
                continue
            if pointer not in self.alive:
                return self._needs(pointer, f"the required property '{name}' is one for which nothing fits", required)
        return None

    def _needs(self, pointer: str, message: str, place: str = "") -> Dead:
        is_told_here = is_never(schema_at(self.root, pointer))
        return Dead(message, place or pointer) if is_told_here else Dead(blame=(pointer,))


# --- values that are listed


def _listed(parts: Sequence[tuple[str, Node]]) -> tuple[str, list[Json]] | None:
    for place, schema in parts:
        if "const" in schema:
            return f"{place}/const", [schema["const"]]
        if "enum" in schema:
            return f"{place}/enum", schema["enum"]
    return None


def _no_value(parts: Sequence[tuple[str, Node]], listed: tuple[str, list[Json]]) -> Dead | None:
    pointer, values = listed
    if not values:
        return Dead("the enum is empty, so nothing fits", pointer)
    if any(all(fits_simply(value, simple_part(schema)) for _, schema in parts) for value in values):
        return None
    if pointer.endswith("/const"):
        return Dead(f"the constant {show(values[0])} does not fit the rest of its schema, so nothing fits", pointer)
    return Dead("no value of the enum fits the rest of its schema, so nothing fits", pointer)


def simple_part(schema: Node, without: str = "") -> Node:
    """The keywords of a schema that speak of a value without other schemas."""
    kept = _SIMPLE | {"enum", "const"}
    return {keyword: value for keyword, value in schema.items() if keyword in kept and keyword != without}


def fits_simply(value: Json, part: Node) -> bool:
    if part.keys() == {"type"}:
        return value_kind(value) in kinds_of(part) and (
            not _is_whole(part) or not isinstance(value, float) or value.is_integer()
        )
    return Validator(part).fits(value)


def value_kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


# --- types and limits


def kinds_of(schema: Node) -> frozenset[str]:
    written = schema.get("type")
    names = _KINDS if written is None else [written] if isinstance(written, str) else written
    return frozenset("number" if name == "integer" else name for name in names)


def _kinds(parts: Sequence[tuple[str, Node]]) -> tuple[list[str], Dead | None]:
    found = frozenset(_KINDS)
    for place, schema in parts:
        left = found & kinds_of(schema)
        if not left:
            first = " or ".join(TYPE_WORDS[kind] for kind in _KINDS if kind in found)
            other = " or ".join(TYPE_WORDS[kind] for kind in _KINDS if kind in kinds_of(schema))
            message = f"one part of the schema asks for {first}, another for {other}, so nothing fits"
            return [], Dead(message, f"{place}/type")
        found = left
    return [kind for kind in _KINDS if kind in found], None


def _limits(parts: Sequence[tuple[str, Node]], *keywords: str) -> Iterator[tuple[float, str, str]]:
    for place, schema in parts:
        for keyword in keywords:
            if keyword in schema:
                yield schema[keyword], keyword, f"{place}/{keyword}"


def _crossed(parts: Sequence[tuple[str, Node]], low: str, high: str, so: str) -> Dead | None:
    lows, highs = list(_limits(parts, low)), list(_limits(parts, high))
    if not lows or not highs:
        return None
    least, most = max(lows), min(highs)
    if least[0] <= most[0]:
        return None
    return Dead(f"{low} {show(least[0])} is more than {high} {show(most[0])}, so {so}", least[2])


def _no_number(parts: Sequence[tuple[str, Node]]) -> Dead | None:
    lows = sorted(_limits(parts, "minimum", "exclusiveMinimum"), key=lambda limit: (limit[0], limit[1] != "minimum"))
    highs = sorted(_limits(parts, "maximum", "exclusiveMaximum"), key=lambda limit: (limit[0], limit[1] == "maximum"))
    if not lows or not highs:
        return None
    (least, low, place), (most, high, _) = lows[-1], highs[0]
    is_open = low == "exclusiveMinimum" or high == "exclusiveMaximum"
    if least > most:
        return Dead(f"{low} {show(least)} is more than {high} {show(most)}, so no number fits", place)
    if least == most and is_open:
        return Dead(f"no number fits between {low} {show(least)} and {high} {show(most)}", place)
    if any(_is_whole(schema) for _, schema in parts) and not _holds_whole(least, low, most, high):
        return Dead(f"no integer fits between {low} {show(least)} and {high} {show(most)}", place)
    return None


def _is_whole(schema: Node) -> bool:
    written = schema.get("type")
    return written == "integer" or (isinstance(written, list) and "number" not in written)


def _holds_whole(least: float, low: str, most: float, high: str) -> bool:
    first = -(-least // 1) if low == "minimum" else least // 1 + 1
    last = most // 1 if high == "maximum" else -(-most // 1) - 1
    return first <= last
