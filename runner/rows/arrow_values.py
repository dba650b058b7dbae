"""What the types of Arrow are in JSON: one table of how a column is typed, and how its values are spelled.

Nothing is rounded in silence: a decimal that a number of JSON cannot hold is text, and so are moments of time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
from pyarrow import types as kinds

from runner.core.canonical import MAX_DEPTH, Json
from runner.core.frozen import dataclass
from runner.rows.read import BadSource

Values = Callable[[Any], list[Json]]

EXACT_DIGITS = 15
"""As many digits of a decimal come out of a binary number as they went in."""
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True, slots=True)
class Shown:
    """A type in JSON: the schema of its values, how an array of it becomes a list, whether one may be no number."""

    schema: Mapping[str, Json]
    values: Values
    may_be_nan: bool = False


def shown(kind: Any, depth: int = 0) -> Shown | None:
    """How a type is shown; None for bytes, which no text can hold. Raises BadSource for what is nested too deeply."""
    if depth >= MAX_DEPTH:
        raise BadSource(f"a column is nested more than {MAX_DEPTH} deep")
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(kind, depth)
    if kinds.is_dictionary(kind):
        inner = shown(kind.value_type, depth)
        return inner and Shown(inner.schema, lambda array: inner.values(array.dictionary_decode()), inner.may_be_nan)
    if kinds.is_nested(kind):
        return _nested(kind, depth)
    return _scalar(kind)


def _extension(kind: Any, depth: int) -> Shown | None:
    if kind.extension_name == "arrow.uuid":
        return Shown(
            {"type": "string", "format": "uuid"}, lambda array: [one and str(one) for one in array.to_pylist()]
        )
    inner = shown(kind.storage_type, depth)
    return inner and Shown(inner.schema, lambda array: inner.values(array.storage), inner.may_be_nan)


def _scalar(kind: Any) -> Shown | None:
    if kinds.is_null(kind):
        return Shown({"type": "null"}, _as_is)
    if kinds.is_boolean(kind):
        return Shown({"type": "boolean"}, _as_is)
    if kinds.is_integer(kind):
        return Shown({"type": "integer"}, _as_is)
    if kinds.is_floating(kind):
        return Shown({"type": "number"}, _as_is, may_be_nan=True)
    if kinds.is_decimal(kind):
        return _decimal(kind)
    if kinds.is_temporal(kind):
        return _temporal(kind)
    is_text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    return Shown({"type": "string"}, _as_is) if is_text else None


def _as_is(array: Any) -> list[Json]:
    values: list[Json] = array.to_pylist()
    return values


def _decimal(kind: Any) -> Shown:
    if kind.precision > EXACT_DIGITS:
        return Shown({"type": "string"}, lambda array: [_maybe(_plain, one) for one in array.to_pylist()])
    if kind.scale <= 0:
        return Shown({"type": "integer"}, lambda array: [_maybe(int, one) for one in array.to_pylist()])
    return Shown({"type": "number"}, lambda array: [_maybe(float, one) for one in array.to_pylist()])


def _plain(number: Decimal) -> str:
    return f"{number:f}"


def _maybe(convert: Callable[[Any], Json], value: Any) -> Json:
    return None if value is None else convert(value)


def _temporal(kind: Any) -> Shown:
    if kinds.is_date(kind):
        day = pa.date32()
        return Shown({"type": "string", "format": "date"}, lambda array: array.cast(day).cast("string").to_pylist())
    if kinds.is_timestamp(kind) and kind.tz is not None:
        utc = pa.timestamp(kind.unit, "UTC")
        return Shown({"type": "string", "format": "date-time"}, lambda array: _moments(array.cast(utc)))
    if kinds.is_duration(kind):
        per_s = _PER_SECOND[kind.unit]
        return Shown({"type": "number"}, lambda array: [_maybe(_seconds(per_s), one) for one in _whole(array)])
    return Shown({"type": "string"}, _moments)


def _moments(array: Any) -> list[Json]:
    return [_maybe(_moment, text) for text in array.cast("string").to_pylist()]


def _moment(text: str) -> str:
    """As ISO 8601 has it, without the zeros of a fine clock that was set in seconds."""
    whole, _, fraction = text.replace(" ", "T").partition(".")
    digits = fraction.rstrip("Z").rstrip("0")
    zone = "Z" if fraction.endswith("Z") else ""
    return f"{whole}.{digits}{zone}" if digits else f"{whole}{zone}"


def _whole(array: Any) -> list[int | None]:
    values: list[int | None] = array.cast("int64").to_pylist()
    return values


def _seconds(per_s: int) -> Callable[[int], Json]:
    return lambda value: value // per_s if value % per_s == 0 else value / per_s


# --- nested


def _nested(kind: Any, depth: int) -> Shown | None:
    if kinds.is_struct(kind):
        return _struct(kind, depth)
    if kinds.is_map(kind):
        return _map(kind, depth)
    inner = shown(kind.value_type, depth + 1)
    if inner is None or not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        return None
    size = kind.list_size if kinds.is_fixed_size_list(kind) else None
    return Shown(_list_schema(inner.schema), lambda array: _lists(array, inner.values, size), inner.may_be_nan)


def _list_schema(inner: Mapping[str, Json]) -> Mapping[str, Json]:
    """What lies inside of a list or a mapping may be null, and no file says whether any is: nothing is claimed."""
    return {"type": "array", "items": dict(inner)}


def _lists(array: Any, values: Values, size: int | None) -> list[Json]:
    inner = values(array.flatten())
    if size is None:
        lengths = array.value_lengths().to_pylist()
    else:
        lengths = [size if is_there else None for is_there in array.is_valid().to_pylist()]
    found: list[Json] = []
    start = 0
    for length in lengths:
        found.append(None if length is None else inner[start : start + length])
        start += length or 0
    return found


def _struct(kind: Any, depth: int) -> Shown | None:
    fields = {field.name: (index, inner) for index, field in enumerate(kind) if (inner := shown(field.type, depth + 1))}
    if len(fields) == 0:
        return None
    schema = {
        "type": "object",
        "properties": {name: dict(inner.schema) for name, (_, inner) in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }

    def values(array: Any) -> list[Json]:
        children = array.flatten()
        columns = [inner.values(children[index]) for index, inner in fields.values()]
        rows = zip(array.is_valid().to_pylist(), zip(*columns, strict=True), strict=True)
        return [dict(zip(fields, cells, strict=True)) if is_there else None for is_there, cells in rows]

    return Shown(schema, values, any(inner.may_be_nan for _, inner in fields.values()))


def _map(kind: Any, depth: int) -> Shown | None:
    """With keys of text an object, else a list of keys and values."""
    keys, items = shown(kind.key_type, depth + 2), shown(kind.item_type, depth + 2)
    if keys is None or items is None:
        return None
    is_object = kinds.is_string(kind.key_type) or kinds.is_large_string(kind.key_type)
    schema: Mapping[str, Json]
    if is_object:
        schema = {"type": "object", "additionalProperties": dict(items.schema)}
    else:
        pair = {"key": dict(keys.schema), "value": dict(items.schema)}
        schema = _list_schema(
            {"type": "object", "properties": pair, "required": list(pair), "additionalProperties": False}
        )

    def values(array: Any) -> list[Json]:
        first, second = keys.values(array.keys), items.values(array.items)
        found: list[Json] = []
        for is_there, (start, end) in zip(
            array.is_valid().to_pylist(), pairwise(array.offsets.to_pylist()), strict=True
        ):
            pairs = zip(first[start:end], second[start:end], strict=True)
            entry = dict(pairs) if is_object else [{"key": key, "value": value} for key, value in pairs]
            found.append(entry if is_there else None)
        return found

    return Shown(schema, values, keys.may_be_nan or items.may_be_nan)
