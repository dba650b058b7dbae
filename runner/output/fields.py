"""The short form of a schema, `fields`: all named properties required, none other allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field

from runner.core.canonical import MAX_DEPTH, Json, NotJson, ensure_json, escape_pointer
from runner.core.frozen import dataclass
from runner.core.problem import Problem, nearest
from runner.core.slips import renaming
from runner.core.span import Span
from runner.output.problems import SchemaProblems

SIMPLE_TYPES = ("string", "integer", "number", "boolean")
_ALSO_CALLED = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "bool": "boolean",
}
_CONTAINERS = {
    "list": "[string]",
    "array": "[string]",
    "object": "{name: string}",
    "dict": "{name: string}",
    "map": "{name: string}",
    "enum": "[yes, no]",
}
EXPECTED = (
    "string, integer, integer 1..5, number 0..1 or boolean ('?' behind it allows null), a mapping of fields, "
    "[one, of, these] or [type] for a list"
)
_WORD = re.compile(r"(?P<name>[^\s?]+)(?:\s+(?P<range>[^?]*?))?\s*(?P<nullable>\?)?")
_MOST_DIGITS = 400
_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"(?P<low>{_NUMBER})?\s*\.\.\s*(?P<high>{_NUMBER})?")


def _nowhere(pointer: str) -> None:  # noqa: ARG001 - a schema without a file has no places
    return None


def fields_schema(value: Json, at: Callable[[str], Span | None] = _nowhere) -> Json:
    """The JSON Schema that `fields` stands for, in the author's order.

    Raises SchemaProblems with every mistake; `at` gives the place of the value at a JSON pointer.
    """
    reader = _Reader(at)
    schema = reader.mapping(value, "") if isinstance(value, dict) else reader.refuse("", "'fields' is no mapping")
    if reader.problems:
        raise SchemaProblems(reader.problems)
    return schema


@dataclass(slots=True)
class _Reader:
    """Gathers problems while it reads; a misread type becomes `true` and never leaves `fields_schema`."""

    at: Callable[[str], Span | None]
    problems: list[Problem] = field(default_factory=list)

    def refuse(
        self,
        pointer: str,
        message: str,
        *,
        code: str = "invalid-fields",
        near: str = "",
        expected: str = EXPECTED,
        word: str = "",
    ) -> Json:
        """`word` is what stands there, where it may be a misspelt type."""
        span = self.at(pointer)
        edits = renaming(span, word, SIMPLE_TYPES)
        self.problems.append(Problem(code, message, span, expected=expected, nearest=near, edits=edits))
        return True

    def type(self, value: Json, pointer: str) -> Json:
        if pointer.count("/") > MAX_DEPTH:
            return self.refuse(pointer, f"the fields are nested more than {MAX_DEPTH} deep")
        match value:
            case str():
                return self.word(value, pointer)
            case dict():
                return self.mapping(value, pointer)
            case [inner]:
                return {"type": "array", "items": self.element(inner, f"{pointer}/0")}
            case [_, *_]:
                return self.enum(value, pointer)
            case []:
                return self.refuse(pointer, f"{_named(pointer)} is an empty list")
            case _:
                return self.refuse(pointer, f"{_named(pointer)} is {_shown(value)}, which is no type")

    def mapping(self, value: dict[str, Json], pointer: str) -> Json:
        if not value:
            return self.refuse(pointer, "the mapping names no field")
        if "" in value:
            return self.refuse(pointer, "a field has an empty name")
        properties = {name: self.type(inner, f"{pointer}/{escape_pointer(name)}") for name, inner in value.items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def element(self, inner: Json, pointer: str) -> Json:
        if isinstance(inner, str) and _first_word(inner) not in SIMPLE_TYPES and not _meant(_first_word(inner)):
            return self.refuse(
                pointer,
                f"'{inner}' is no type, and a list of one word is a list of that type",
                code="unknown-type",
                expected=f"one of {', '.join(SIMPLE_TYPES)}, or two or more words to choose from",
            )
        return self.type(inner, pointer)

    def word(self, text: str, pointer: str) -> Json:
        found = _WORD.fullmatch(text.strip())
        if not found:
            return self.refuse(pointer, f"{_named(pointer)} has the type '{text}', which is none", code="unknown-type")
        name, bounds = found["name"], found["range"]
        if name not in SIMPLE_TYPES:
            message = f"{_named(pointer)} has the type '{name}', which is none"
            return self.refuse(pointer, message, code="unknown-type", near=_meant(name), word=text)
        schema: dict[str, Json] = {"type": [name, "null"] if found["nullable"] else name}
        return self.bounded(schema, name, bounds, pointer) if bounds else schema

    def bounded(self, schema: dict[str, Json], name: str, bounds: str, pointer: str) -> Json:
        if name not in ("integer", "number"):
            return self.refuse(pointer, f"'{bounds}' follows {name}, which takes no range")
        found = _RANGE.fullmatch(bounds)
        if not found or bounds.strip() == "..":
            return self.refuse(pointer, f"'{bounds}' is no range", expected="a range such as 1..5, 0.. or ..5")
        try:
            limits = {key: _number(found[key]) for key in ("low", "high") if found[key] is not None}
        except NotJson:
            message = f"{_named(pointer)} is bounded by a number that JSON cannot hold"
            return self.refuse(pointer, message, expected="64 bits at most")
        if name == "integer" and any(isinstance(limit, float) for limit in limits.values()):
            return self.refuse(pointer, f"'{bounds}' bounds an integer by a fraction", expected="a range such as 1..5")
        if len(limits) == 2 and limits["low"] > limits["high"]:
            return self.refuse(pointer, f"the range '{bounds}' is empty", expected="the smaller number first")
        return schema | {{"low": "minimum", "high": "maximum"}[key]: limit for key, limit in limits.items()}

    def enum(self, values: list[Json], pointer: str) -> Json:
        for index, value in enumerate(values):
            if isinstance(value, (dict, list, bool)):
                message = f"{_named(pointer)} is a list of several, and {_shown(value)} is no word to choose"
                return self.refuse(f"{pointer}/{index}", message)
            if value in values[:index]:
                message = f"{_named(pointer)} lists {_shown(value)} twice"
                return self.refuse(f"{pointer}/{index}", message, expected="each word once")
        kinds = {_kind(value) for value in values}
        if kinds == {"integer", "number"}:
            kinds = {"number"}
        type_: Json = sorted(kinds - {"null"}) + sorted(kinds & {"null"})
        return {"type": type_[0] if len(type_) == 1 else type_, "enum": list(values)}


def _number(text: str) -> int | float:
    """Raises NotJson."""
    is_fraction = bool(set(text) & set(".eE"))
    if not is_fraction and len(text) > _MOST_DIGITS:
        raise NotJson("", "too many digits")
    number = float(text) if is_fraction else int(text)
    ensure_json(number)
    return number


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case str():
            return "string"
        case int():
            return "integer"
        case _:
            return "number"


def _first_word(text: str) -> str:
    return re.split(r"[\s?]", text.strip(), maxsplit=1)[0]


def _meant(name: str) -> str:
    folded = name.casefold()
    return _ALSO_CALLED.get(folded) or _CONTAINERS.get(folded) or nearest(folded, SIMPLE_TYPES)


def _named(pointer: str) -> str:
    return f"the field '{pointer.strip('/').replace('/', '.').replace('~1', '/').replace('~0', '~')}'"


def _shown(value: Json) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _:
            return f"'{value}'"
