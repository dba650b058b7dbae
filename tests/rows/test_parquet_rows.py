"""Rows of Parquet files: every value as JSON has it, or not at all."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from runner.core.canonical import Json
from runner.rows import parquet
from runner.rows.parquet import missing_library, read_parquet, schema_of
from runner.rows.read import BadSource, ReadRow


def file_of(table: pa.Table, **options: Any) -> io.BytesIO:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    stream.seek(0)
    return stream


def rows_of(columns: dict[str, Any]) -> list[Json]:
    rows = list(read_parquet(file_of(pa.table(columns))))
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))
    assert not any(row.problem for row in rows)
    return [row.value for row in rows]


def column(array: Any) -> list[Json]:
    return [row["c"] for row in rows_of({"c": array})]


def schema(array: Any) -> Json:
    return schema_of(file_of(pa.table({"c": array})))["properties"]["c"]


def told(stream: io.BytesIO) -> str:
    with pytest.raises(BadSource) as caught:
        list(read_parquet(stream))
    with pytest.raises(BadSource) as again:
        schema_of(io.BytesIO(stream.getvalue()))
    assert caught.value.message == again.value.message
    return caught.value.message


# Values and their types

NANO = pa.array([1_700_000_000_000_000_001, None], pa.timestamp("ns"))
ONE = uuid.UUID("0ac6a821-bf3c-41c3-8ac0-7f008ed2acef")


@pytest.mark.parametrize(
    ("array", "values", "kind"),
    [
        (pa.array([True, None]), [True, None], {"type": ["boolean", "null"]}),
        (pa.array([1, -2], pa.int8()), [1, -2], {"type": "integer"}),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1], {"type": "integer"}),
        (pa.array([1.5, 2], pa.float16()), [1.5, 2.0], {"type": "number"}),
        (pa.array(["a", None]), ["a", None], {"type": ["string", "null"]}),
        (pa.array(["a"], pa.large_string()), ["a"], {"type": "string"}),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"], {"type": "string"}),
        (pa.nulls(2), [None, None], {"type": "null"}),
        # Decimals: a number as long as it holds all digits
        (pa.array([Decimal("1.50"), None]), [1.5, None], {"type": ["number", "null"]}),
        (pa.array([Decimal(7)], pa.decimal128(5, 0)), [7], {"type": "integer"}),
        (pa.array([Decimal("12345678901234.567")]), ["12345678901234.567"], {"type": "string"}),
        # Time
        (NANO, ["2023-11-14T22:13:20.000000001", None], {"type": ["string", "null"]}),
        (
            pa.array([0], pa.timestamp("us", "Europe/Berlin")),
            ["1970-01-01T00:00:00Z"],
            {"type": "string", "format": "date-time"},
        ),
        (
            pa.array([1500], pa.timestamp("ms", "UTC")),
            ["1970-01-01T00:00:01.5Z"],
            {"type": "string", "format": "date-time"},
        ),
        (pa.array([1], pa.timestamp("s", "UTC")), ["1970-01-01T00:00:01Z"], {"type": "string", "format": "date-time"}),
        (pa.array([dt.date(2024, 2, 29)]), ["2024-02-29"], {"type": "string", "format": "date"}),
        (pa.array([dt.time(7, 30)]), ["07:30:00"], {"type": "string"}),
        (pa.array([1500, 2000, None], pa.duration("ms")), [1.5, 2, None], {"type": ["number", "null"]}),
        # Types of their own
        (pa.array([ONE.bytes, None], pa.uuid()), [str(ONE), None], {"type": ["string", "null"], "format": "uuid"}),
        (pa.array(['{"a":1}'], pa.json_()), ['{"a":1}'], {"type": "string"}),
        # Nested: nulls inside are not counted, so nothing is said of them
        (pa.array([[1, None], None, []]), [[1, None], None, []], {"type": "array", "items": {"type": "integer"}}),
        (
            pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
            [[1, 2], None],
            {"type": "array", "items": {"type": "integer"}},
        ),
        (
            pa.array([{"x": 1, "b": b"-"}, None]),
            [{"x": 1}, None],
            {
                "type": "object",
                "properties": {"x": {"type": "integer"}},
                "required": ["x"],
                "additionalProperties": False,
            },
        ),
        (
            pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int8())),
            [{"k": 1}, None, {}],
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        (
            pa.array([[(3, 1)]], pa.map_(pa.int8(), pa.int8())),
            [[{"key": 3, "value": 1}]],
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"key": {"type": "integer"}, "value": {"type": "integer"}},
                    "required": ["key", "value"],
                    "additionalProperties": False,
                },
            },
        ),
    ],
)
def test_every_type_of_column_has_its_values_and_its_schema(array: Any, values: list[Json], kind: Json) -> None:
    assert column(array) == values
    assert schema(array) == kind


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"bytes"]),
        pa.array([[b"bytes"]]),
        pa.array([{"b": b"bytes"}]),
        pa.array([[("k", b"bytes")]], pa.map_(pa.string(), pa.binary())),
        pa.array([b"1234"], pa.binary(4)),
        pa.array([b"bytes"]).dictionary_encode(),
    ],
)
def test_a_column_of_bytes_is_left_out(array: Any) -> None:
    assert rows_of({"id": ["a"], "raw": array}) == [{"id": "a"}]
    assert list(schema_of(file_of(pa.table({"id": ["a"], "raw": array})))["properties"]) == ["id"]


def test_the_schema_names_all_columns_and_no_others() -> None:
    found = schema_of(file_of(pa.table({"a": [1], "b": ["x"]})))
    assert (found["required"], found["additionalProperties"]) == (["a", "b"], False)


def test_a_column_is_nullable_where_any_group_of_rows_counts_a_null() -> None:
    stream = file_of(pa.table({"a": [1, 2, None], "b": [1, 2, 3]}), row_group_size=2)
    properties = schema_of(stream)["properties"]
    assert properties == {"a": {"type": ["integer", "null"]}, "b": {"type": "integer"}}


def test_nothing_is_claimed_of_nulls_that_nobody_counted() -> None:
    stream = file_of(pa.table({"a": [1, None]}), write_statistics=False)
    assert schema_of(stream)["properties"] == {"a": {"type": "integer"}}


def test_numbers_that_json_lacks_make_a_bad_row() -> None:
    rows = list(read_parquet(file_of(pa.table({"c": [1.0, float("nan"), 2.0], "d": [[0.0], [1.0], [float("inf")]]}))))
    assert rows == [
        ReadRow({"c": 1.0, "d": [0.0]}, 1),
        ReadRow(None, 2, "not usable as JSON: /c: nan is not a JSON number"),
        ReadRow(None, 3, "not usable as JSON: /d/0: inf is not a JSON number"),
    ]


def test_a_file_is_read_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    stream = file_of(pa.table({"c": [1, 2, 3, 4, 5], "l": [[1], [2, 3], None, [], [4]]}), row_group_size=3)
    assert [row.value for row in read_parquet(stream)] == [
        {"c": 1, "l": [1]},
        {"c": 2, "l": [2, 3]},
        {"c": 3, "l": None},
        {"c": 4, "l": []},
        {"c": 5, "l": [4]},
    ]


def test_wide_rows_come_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = pa.table({"c": [f"{number}{'x' * 5000}" for number in range(40)]})
    batches: list[int] = []
    read = pq.ParquetFile.iter_batches

    def counted(self: Any, size: int, **options: Any) -> Iterator[Any]:
        batches.append(size)
        return iter(read(self, size, **options))

    monkeypatch.setattr(parquet, "BATCH_BYTES", 20_000)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    assert len(list(read_parquet(file_of(wide)))) == 40
    assert batches == [3]


def test_a_file_without_rows_has_none() -> None:
    stream = file_of(pa.table({"c": pa.array([], pa.string())}))
    assert list(read_parquet(stream)) == []


def _struct(fields: dict[str, Any]) -> Any:
    return pa.struct(list(fields.items()))


SCALARS = st.none() | st.integers(-(2**63), 2**63 - 1)
TREES = st.recursive(
    st.just(pa.int64()) | st.just(pa.string()),
    lambda inner: inner.map(pa.list_) | st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(_struct),
    max_leaves=5,
)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: _values(field.type) for field in kind})
    if pa.types.is_list(kind):
        return st.none() | st.lists(_values(kind.value_type), max_size=3)
    return SCALARS if kind == pa.int64() else st.none() | st.text("aé", max_size=3)


@given(st.data())
def test_nested_values_come_as_they_were_put(data: st.DataObject) -> None:
    kind = data.draw(TREES)
    values = data.draw(st.lists(_values(kind), max_size=6))
    assert column(pa.array(values, kind)) == values


# What is no such file


@pytest.mark.parametrize("content", [b"", b"PAR1", b"id,text\n1,this is CSV\n"])
def test_what_does_not_end_as_parquet_is_told(content: bytes) -> None:
    expected = "it does not end as a Parquet file does; is it cut off, or of another kind?"
    assert told(io.BytesIO(content)) == expected


def test_a_broken_footer_is_told() -> None:
    content = file_of(pa.table({"c": [1, 2]})).getvalue()
    broken = io.BytesIO(content[:-60] + b"\xff" * 52 + content[-8:])
    assert told(broken).startswith("it is damaged: ")


def test_a_broken_page_is_told_where_it_is_read() -> None:
    content = bytearray(
        file_of(pa.table({"c": ["x" * 50 + str(n) for n in range(500)]}), compression="zstd").getvalue()
    )
    content[30:90] = b"\xff" * 60
    with pytest.raises(BadSource) as caught:
        list(read_parquet(io.BytesIO(bytes(content))))
    assert caught.value.message.startswith("it is damaged: ")


def test_text_that_is_no_utf8_is_told() -> None:
    array = _unchecked(b"b\xe9d")
    with pytest.raises(BadSource) as caught:
        list(read_parquet(file_of(pa.table({"c": array}))))
    assert caught.value.message == "not UTF-8 text (byte 0xe9)"


def _unchecked(data: bytes) -> Any:
    """An array of text whose bytes nobody looked at."""
    offsets = pa.array([0, len(data)], pa.int32()).buffers()[1]
    return pa.StringArray.from_buffers(1, offsets, pa.py_buffer(data))


def test_two_columns_of_one_name_are_told() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["c", "c"])
    assert told(file_of(table)) == "two columns are called 'c'"


def test_a_file_of_bytes_alone_is_told() -> None:
    assert told(file_of(pa.table({"c": [b"x"]}))) == "none of its columns holds what a text can show"


def test_a_column_that_is_nested_too_deeply_is_told() -> None:
    kind = pa.int64()
    for _ in range(64):
        kind = pa.struct([("c", kind)])
    assert told(file_of(pa.table({"c": pa.nulls(1, kind)}))) == "a column is nested more than 64 deep"


def test_a_missing_library_is_named_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_library("'rows.parquet'") is None
    monkeypatch.setattr(parquet, "find_spec", lambda _: None)
    problem = missing_library("'rows.parquet'")
    assert problem is not None
    assert (problem.code, problem.message, problem.fix) == (
        "missing-library",
        "'rows.parquet' is a Parquet file, which needs the library pyarrow, which is not installed",
        "pip install 'runner[parquet]'",
    )
