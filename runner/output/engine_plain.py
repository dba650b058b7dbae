"""jsonschema as an engine, for machines without jsonschema-rs: the same verdicts, slower.

Its patterns backtrack, so a pattern that could take for ever is refused, and of the formats it knows those below and
its own (date, e-mail, IP addresses, UUID, regular expression).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from fractions import Fraction
from functools import partial
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from runner.core.canonical import Json
from runner.output.keywords import HOLDS_LIST, HOLDS_NAMED, HOLDS_ONE, every_schema
from runner.output.misfit import Misfit, Path, Unusable, pointer_of

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.IGNORECASE)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f-\U0010ffff]*")
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]+")
_HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


def _is_date_time(text: str) -> bool:
    day, mark, time = text[:10], text[10:11], text[11:]
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return mark in ("T", "t") and len(day) == 10 and _TIME.fullmatch(time) is not None


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _is_date_time,
    "time": lambda text: _TIME.fullmatch(text) is not None,
    "uri": lambda text: _URI.fullmatch(text) is not None,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": lambda text: _HOSTNAME.fullmatch(text) is not None,
}


def _property_names(validator: Any, names: Json, instance: Json, _schema: Json) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for name in instance:
        errors = list(validator.descend(instance=name, schema=names))
        if errors:
            yield ValidationError("", context=errors)


def _multiple_of(_validator: Any, factor: Json, instance: Json, _schema: Json) -> Iterator[ValidationError]:
    is_number = isinstance(instance, (int, float)) and not isinstance(instance, bool)
    if is_number and Fraction(str(instance)) % Fraction(str(factor)):
        yield ValidationError("")


# With these, `false` has an error of its own, with a path.
_TELLS_OF_FALSE = frozenset(("additionalProperties", "unevaluatedItems", "unevaluatedProperties"))
_OURS = {"propertyNames": _property_names, "multipleOf": _multiple_of}
_Validator: Any = extend(Draft202012Validator, _OURS)  # type: ignore[no-untyped-call]  # the stubs leave it bare


class PlainEngine:
    """A schema whose every `$ref` is local; nothing is ever fetched."""

    def __init__(self, schema: Json) -> None:
        _refuse_slow_patterns(schema)
        try:
            _Validator.check_schema(schema, format_checker=_checker())
        except SchemaError as error:
            raise Unusable(pointer_of(error.absolute_path)) from None
        self._originals: dict[int, Json] = {}
        prepared = _without_false(schema, self._originals)
        self._validator = _Validator(prepared, registry=Registry(), format_checker=_checker())

    def is_valid(self, value: Json) -> bool:
        return bool(self._validator.is_valid(value))

    def misfits(self, value: Json) -> Iterator[Misfit]:
        for error in self._validator.iter_errors(value):
            yield from self._misfits(error)

    def _misfits(self, error: Any) -> Iterator[Misfit]:
        path: Path = tuple(error.absolute_path)
        keyword, instance = error.validator, error.instance
        schema = self._originals.get(id(error.schema), error.schema)
        if schema is False:
            yield Misfit("false", path, False, instance)
        elif keyword == "propertyNames":
            for inner in error.context:
                for named in self._misfits(inner):
                    at = instance if named.schema is False else named.instance
                    yield Misfit(named.keyword, path, named.schema, at, named.branches, is_name=True)
        elif keyword == "additionalProperties":
            yield Misfit(keyword, path, schema, instance, unexpected=_unexpected(schema, instance))
        else:
            branches = self._branches(error) if keyword in ("anyOf", "oneOf") else ()
            yield Misfit(keyword, path, schema, instance, branches)

    def _branches(self, error: Any) -> tuple[tuple[Misfit, ...], ...]:
        found: dict[int, list[Misfit]] = {}
        for inner in error.context:
            found.setdefault(inner.relative_schema_path[0], []).extend(self._misfits(inner))
        return tuple(tuple(found[index]) for index in sorted(found))


def _checker() -> Any:
    checker = FormatChecker(())
    checker.checkers = dict(Draft202012Validator.FORMAT_CHECKER.checkers)
    for name, fits in _FORMATS.items():
        checker.checks(name)(partial(_is_other_or, fits))
    return checker


def _is_other_or(fits: Callable[[str], bool], value: object) -> bool:
    return not isinstance(value, str) or fits(value)


def _without_false(schema: Json, originals: dict[int, Json]) -> Json:
    """The schema with `{"not": {}}` for `false`, whose errors this library reports without a path."""
    if schema is False:
        changed: Json = {"not": {}}
    elif isinstance(schema, dict):
        changed = {keyword: _value_without_false(keyword, value, originals) for keyword, value in schema.items()}
    else:
        return schema
    originals[id(changed)] = schema
    return changed


def _value_without_false(keyword: str, value: Json, originals: dict[int, Json]) -> Json:
    if keyword in HOLDS_ONE and not (value is False and keyword in _TELLS_OF_FALSE):
        return _without_false(value, originals)
    if keyword in HOLDS_LIST:
        return [_without_false(inner, originals) for inner in value]
    if keyword in HOLDS_NAMED:
        return {name: _without_false(inner, originals) for name, inner in value.items()}
    return value


def _unexpected(schema: dict[str, Json], instance: dict[str, Json]) -> tuple[str, ...]:
    patterns = [re.compile(pattern) for pattern in schema.get("patternProperties", {})]
    known = schema.get("properties", {})
    return tuple(name for name in instance if name not in known and not any(p.search(name) for p in patterns))


def meta_errors(schema: Json) -> Iterable[str]:
    """JSON pointers of everything in a schema that the standard does not allow."""
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=_checker())
    return (pointer_of(error.absolute_path) for error in validator.iter_errors(schema))


def _refuse_slow_patterns(schema: Json) -> None:
    for pointer, inner in every_schema(schema):
        if not isinstance(inner, dict):
            continue
        named = inner.get("patternProperties")
        for pattern in (inner.get("pattern"), *(named if isinstance(named, dict) else ())):
            if isinstance(pattern, str) and may_backtrack(pattern):
                raise Unusable(pointer)


def may_backtrack(pattern: str) -> bool:
    """Whether a repeated group holds a repetition or a choice.

    Such patterns can take exponential time in a backtracking engine; it errs on the side of refusing.
    """
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "x", pattern)
    groups = [False]
    for index, char in enumerate(bare):
        if char == "(":
            groups.append(False)
        elif char == ")" and len(groups) > 1:
            is_loose = groups.pop()
            if is_loose and bare[index + 1 : index + 2] in ("*", "+", "{"):
                return True
            groups[-1] = groups[-1] or is_loose
        elif char in "*+{|":
            groups[-1] = True
    return False
