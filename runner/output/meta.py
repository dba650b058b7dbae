"""What the standard does not allow in a schema, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.core.canonical import Json
from runner.core.problem import Problem, nearest
from runner.core.span import Span
from runner.output.describe import TYPE_WORDS, show
from runner.output.engines import meta_errors
from runner.output.keywords import HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, value_at

_COUNT = "a whole number, 0 or more"
_BOUND = "a number"
_EXPECTED = {
    "type": f"one of {', '.join(sorted(TYPE_WORDS))}, or a list of these, each once",
    "enum": "a list of values",
    "required": "a list of property names, each once",
    "dependentRequired": "a mapping from property names to lists of property names",
    "minimum": _BOUND,
    "maximum": _BOUND,
    "exclusiveMinimum": _BOUND,
    "exclusiveMaximum": _BOUND,
    "multipleOf": "a number more than 0",
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "minItems": _COUNT,
    "maxItems": _COUNT,
    "minProperties": _COUNT,
    "maxProperties": _COUNT,
    "minContains": _COUNT,
    "maxContains": _COUNT,
    "uniqueItems": "true or false",
    "deprecated": "true or false",
    "readOnly": "true or false",
    "writeOnly": "true or false",
    "pattern": "a regular expression",
    "patternProperties": "a mapping from regular expressions to schemas",
    "examples": "a list",
    "$ref": "a reference such as '#/$defs/name'",
    "$anchor": "a name of letters, digits, '-', '_' and '.'",
    "$dynamicAnchor": "a name of letters, digits, '-', '_' and '.'",
    "$id": "an address without '#'",
    "$vocabulary": "a mapping from addresses to true or false",
}


def meta_problems(value: Json, schemas: Mapping[str, Json], at: Callable[[str], Span]) -> list[Problem]:
    """Every value that its keyword does not take, once each; `schemas` maps pointers to the schemas inside."""
    pointers = dict.fromkeys(meta_errors(value))
    return [_problem(pointer, value_at(value, pointer), schemas, at(pointer)) for pointer in pointers]


def _problem(pointer: str, value: Json, schemas: Mapping[str, Json], place: Span) -> Problem:
    if pointer in schemas:
        return Problem("invalid-schema", f"{show(value)} is no schema", place, expected="a mapping, or true or false")
    keyword = _keyword(pointer, schemas)
    message = f"'{keyword}' does not take {show(value)}"
    near = nearest(value, TYPE_WORDS) if keyword == "type" and isinstance(value, str) else ""
    return Problem("invalid-schema", message, place, expected=_expected(keyword, pointer), nearest=near)


def _keyword(pointer: str, schemas: Mapping[str, Json]) -> str:
    """The keyword of the innermost schema around the place."""
    path, _, keyword = pointer.rpartition("/")
    while path not in schemas:
        path, _, keyword = path.rpartition("/")
    return keyword


def _expected(keyword: str, pointer: str) -> str:
    if keyword in ("required", "dependentRequired") and not pointer.endswith(keyword):
        return "a property name"
    if keyword in _EXPECTED:
        return _EXPECTED[keyword]
    if keyword in HOLDS_LIST:
        return "a list of at least one schema"
    if keyword in HOLDS_NAMED:
        return "a mapping from names to schemas"
    return "a schema" if keyword in HOLDS_ONE else "text"
