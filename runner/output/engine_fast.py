"""jsonschema-rs as an engine: microseconds, linear-time patterns, all formats of the standard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import jsonschema_rs as rs

from runner.core.canonical import Json
from runner.output.keywords import value_at
from runner.output.misfit import Misfit, Unusable, pointer_of

META_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
# Patterns with look-around or back-references may backtrack; past this they count as not matching.
_BACKTRACK_LIMIT = 100_000


class FastEngine:
    """A schema whose every `$ref` is local, compiled; nothing is ever fetched."""

    def __init__(self, schema: Json) -> None:
        self._root = schema
        try:
            self._validator = _compiled(schema)
        except rs.ValidationError as error:
            raise Unusable(pointer_of(error.instance_path)) from None

    def is_valid(self, value: Json) -> bool:
        return self._validator.is_valid(value)

    def misfits(self, value: Json) -> Iterator[Misfit]:
        return (self._misfit(error) for error in self._validator.iter_errors(value))

    def _misfit(self, error: rs.ValidationError) -> Misfit:
        kind, path = error.kind, tuple(error.instance_path)
        match kind:
            case rs.ValidationErrorKind.FalseSchema():
                is_name = error.schema_path[-1:] == ["propertyNames"] and path[-1:] != ("propertyNames",)
                return Misfit("false", path, False, error.instance, is_name=is_name)
            case rs.ValidationErrorKind.PropertyNames(inner):
                at_name = self._misfit(inner)
                return Misfit(at_name.keyword, path, at_name.schema, at_name.instance, at_name.branches, is_name=True)
        *place, keyword = error.schema_path
        schema = value_at(self._root, pointer_of(place))
        branches: tuple[tuple[Misfit, ...], ...] = ()
        unexpected: tuple[str, ...] = ()
        match kind:
            case rs.ValidationErrorKind.AnyOf(context) | rs.ValidationErrorKind.OneOfNotValid(context):
                branches = tuple(tuple(self._misfit(inner) for inner in branch) for branch in context)
            case rs.ValidationErrorKind.AdditionalProperties(names):
                unexpected = tuple(names)
        return Misfit(str(keyword), path, schema, error.instance, branches, unexpected=unexpected)


def _compiled(schema: Json) -> rs.Draft202012Validator:
    return rs.Draft202012Validator(
        schema,
        offline=True,
        validate_formats=True,
        pattern_options=rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT),
    )


def meta_errors(schema: Json) -> Iterator[str]:
    """JSON pointers of everything in a schema that the standard does not allow."""
    return (pointer_of(error.instance_path) for error in _standard().iter_errors(schema))


@cache
def _standard() -> rs.Draft202012Validator:
    return _compiled({"$ref": META_SCHEMA})
