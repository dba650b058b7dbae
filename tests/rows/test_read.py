from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.canonical import Json
from runner.rows import read
from runner.rows.read import (
    BadSource,
    ReadRow,
    column_types,
    read_csv,
    read_document,
    read_json,
    read_jsonl,
    with_schema,
)


def jsonl(text: str | bytes) -> list[ReadRow]:
    return list(read_jsonl(_stream(text)))


def cells(text: str | bytes, types: dict[str, tuple[str, ...]] | None = None) -> list[ReadRow]:
    return list(read_csv(_stream(text), types))


def _stream(text: str | bytes) -> io.BytesIO:
    return io.BytesIO(text if isinstance(text, bytes) else text.encode())


def broken(rows: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(BadSource) as caught:
        rows()
    assert str(caught.value) == caught.value.message
    return caught.value.message, caught.value.line


# JSON lines


def test_each_line_is_a_row_with_its_line_number() -> None:
    assert jsonl('{"id": 1}\n[2]\n"three"\n') == [ReadRow({"id": 1}, 1), ReadRow([2], 2), ReadRow("three", 3)]


def test_blank_lines_are_passed_over_and_counted() -> None:
    assert jsonl('\n{"id": 1}\n  \r\n\n{"id": 2}') == [ReadRow({"id": 1}, 2), ReadRow({"id": 2}, 5)]


def test_a_byte_order_mark_before_the_first_line_is_dropped() -> None:
    assert jsonl(b'\xef\xbb\xbf{"id": 1}\r\n') == [ReadRow({"id": 1}, 1)]


def test_a_file_without_a_line_has_no_rows() -> None:
    assert jsonl("") == []


def test_a_line_that_is_no_json_is_a_bad_row_and_the_next_is_read() -> None:
    assert jsonl('{"id": 1,}\n{"id": 2}\n') == [
        ReadRow(None, 1, "not JSON: trailing comma is not allowed (column 9)"),
        ReadRow({"id": 2}, 2),
    ]


def test_nan_is_no_json() -> None:
    (row,) = jsonl('{"score": NaN}')
    assert row == ReadRow(None, 1, "not JSON: unexpected character, expected a JSON value (column 11)")


def test_half_a_character_is_a_bad_row() -> None:
    (row,) = jsonl('{"text": "\\ud800"}')
    assert row == ReadRow(None, 1, "not JSON: no low surrogate in string (column 11)")


def test_bytes_that_are_no_utf8_are_a_bad_row() -> None:
    (row,) = jsonl(b'{"text": "\xff"}')
    assert row == ReadRow(None, 1, "not UTF-8 text (byte 0xff)")


def test_a_line_nested_beyond_all_sense_is_a_bad_row() -> None:
    (row,) = jsonl("[" * 70 + "]" * 70)
    pointer = "/0" * 65
    assert row == ReadRow(None, 1, f"not usable as JSON: {pointer}: nested too deeply")


def test_a_line_nested_deeper_than_the_parser_goes_is_a_bad_row() -> None:
    (row,) = jsonl("[" * 50_000)
    assert row == ReadRow(None, 1, "not JSON: depth limit exceeded (column 1026)")


def test_a_line_that_is_too_long_is_a_bad_row_and_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_ROW_BYTES", 2**20)
    long = b'"' + b"x" * 3 * 2**20 + b'"'
    rows = jsonl(b"1\n" + long + b"\n3\n")
    assert rows == [ReadRow(1, 1), ReadRow(None, 2, "longer than 1 MB"), ReadRow(3, 3)]


def test_a_last_line_that_is_too_long_and_has_no_end_is_a_bad_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_ROW_BYTES", 2**20)
    assert jsonl(b"x" * (2**20 + 5)) == [ReadRow(None, 1, "longer than 1 MB")]


def test_a_line_just_above_the_bound_does_not_swallow_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_ROW_BYTES", 2**20)
    long = b'"' + b"x" * (2**20 - 1) + b'"\n'
    assert jsonl(long + b"2\n") == [ReadRow(None, 1, "longer than 1 MB"), ReadRow(2, 2)]


def test_lines_are_read_as_they_are_asked_for() -> None:
    stream = _stream("1\n2\n3\n")
    rows = read_jsonl(stream)
    assert next(rows) == ReadRow(1, 1)
    assert stream.tell() == 2


_VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(_VALUES))
def test_what_is_written_as_json_lines_is_read_back(values: list[Json]) -> None:
    rows = jsonl(b"\n".join(map(orjson.dumps, values)))
    assert rows == [ReadRow(value, number) for number, value in enumerate(values, 1)]


# CSV


def test_cells_are_text() -> None:
    assert cells("id,stars\nr1,5\nr2,\n") == [
        ReadRow({"id": "r1", "stars": "5"}, 2),
        ReadRow({"id": "r2", "stars": ""}, 3),
    ]


def test_cells_get_the_types_of_the_row_schema() -> None:
    types = {
        "stars": ("integer",),
        "score": ("number",),
        "sure": ("boolean",),
        "note": ("null", "string"),
        "any": ("integer", "string"),
    }
    rows = cells("stars,score,sure,note,any,rest\n 5,0.5,TRUE,,7,1\n-1,3,false,x,y,2\n", types)
    assert [row.value for row in rows] == [
        {"stars": 5, "score": 0.5, "sure": True, "note": None, "any": 7, "rest": "1"},
        {"stars": -1, "score": 3, "sure": False, "note": "x", "any": "y", "rest": "2"},
    ]


@pytest.mark.parametrize(
    ("types", "cell", "problem"),
    [
        (("integer",), "five", "'five' is not integer"),
        (("integer",), "5.0", "'5.0' is not integer"),
        (("integer",), "true", "'true' is not integer"),
        (("integer",), "007", "'007' is not integer"),
        (("number",), "", "'' is not number"),
        (("number",), "NaN", "'NaN' is not number"),
        (("boolean",), "yes", "'yes' is not boolean"),
        (("boolean", "integer"), "no", "'no' is not boolean or integer"),
        (("null",), "x", "'x' is not null"),
        (("array",), "[1]", "'[1]' is not array"),
        (("integer",), "x" * 50, f"'{'x' * 40}' is not integer"),
    ],
)
def test_a_cell_that_does_not_spell_its_type_is_a_bad_row(types: tuple[str, ...], cell: str, problem: str) -> None:
    rows = cells(f"id,it\nr1,{cell}\nr2,{cell}\n", {"it": types})
    assert rows == [ReadRow(None, 2, f"column 'it': {problem}"), ReadRow(None, 3, f"column 'it': {problem}")]


def test_quoted_cells_keep_commas_quotes_and_line_ends() -> None:
    rows = cells('id,text\nr1,"a, ""b""\nc"\nr2,d\n')
    assert rows == [ReadRow({"id": "r1", "text": 'a, "b"\nc'}, 2), ReadRow({"id": "r2", "text": "d"}, 4)]


def test_a_record_with_another_number_of_cells_is_a_bad_row() -> None:
    assert cells("a,b\n1\n1,2,3\n1,2\n") == [
        ReadRow(None, 2, "1 cells where the header has 2"),
        ReadRow(None, 3, "3 cells where the header has 2"),
        ReadRow({"a": "1", "b": "2"}, 4),
    ]


def test_blank_lines_between_records_and_before_the_header_are_passed_over() -> None:
    assert cells("\r\na,b\r\n\r\n1,2\r\n") == [ReadRow({"a": "1", "b": "2"}, 4)]


def test_a_byte_order_mark_before_the_header_is_dropped() -> None:
    assert cells(b"\xef\xbb\xbfid\n1\n") == [ReadRow({"id": "1"}, 2)]


@pytest.mark.parametrize("text", ["", "\n\n", "id,text\n"])
def test_a_file_without_records_has_no_rows(text: str) -> None:
    assert cells(text) == []


def test_a_header_with_a_name_twice_cannot_be_read() -> None:
    assert broken(lambda: cells("id,b,id,b\n1,2,3,4\n")) == ("column 'b' stands twice in the header", 1)


def test_a_header_with_an_empty_name_cannot_be_read() -> None:
    assert broken(lambda: cells("\nid,\n1,2\n")) == ("a column of the header has no name", 2)


def test_an_open_quote_is_told_where_the_file_ends() -> None:
    assert broken(lambda: cells('id\n"open\nstill\n')) == ("not CSV: unexpected end of data", 3)


def test_text_after_a_closed_quote_is_told_at_its_line() -> None:
    assert broken(lambda: cells('id\nx\n"a"b\n')) == ("not CSV: ',' expected after '\"'", 3)


def test_bytes_that_are_no_utf8_are_told_at_their_line() -> None:
    assert broken(lambda: cells(b"id\nfine\nal\xffso\n")) == ("not UTF-8 text (byte 0xff)", 3)


def test_bytes_that_are_no_utf8_far_inside_are_told_at_their_line() -> None:
    lines = b"".join(b"%d,some text to fill the buffers\n" % number for number in range(5000))
    assert broken(lambda: cells(b"id,text\n" + lines + b"x,\xe4\n")) == ("not UTF-8 text (byte 0xe4)", 5002)


def test_rows_before_a_broken_line_were_handed_out() -> None:
    rows = read_csv(_stream('id\n1\n"open\n'))
    assert next(rows) == ReadRow({"id": "1"}, 2)
    assert broken(lambda: next(rows)) == ("not CSV: unexpected end of data", 3)


def test_the_stream_stays_open_for_its_owner() -> None:
    stream = _stream("id\n1\n")
    assert len(list(read_csv(stream))) == 1
    assert not stream.closed


# Documents


def test_the_elements_of_a_document_are_rows() -> None:
    assert list(read_document([{"id": 1}, None])) == [ReadRow({"id": 1}, 1), ReadRow(None, 2)]


def test_an_element_that_json_cannot_say_is_a_bad_row() -> None:
    assert list(read_document([{"score": float("nan")}, 2])) == [
        ReadRow(None, 1, "not usable as JSON: /score: nan is not a JSON number"),
        ReadRow(2, 2),
    ]


@pytest.mark.parametrize("value", [{"rows": []}, "text", None, 3])
def test_a_document_that_is_no_list_cannot_be_read(value: Json) -> None:
    assert broken(lambda: list(read_document(value))) == ("a list of rows is needed at the top", 0)


def test_a_json_file_is_a_list_of_rows() -> None:
    assert list(read_json(_stream(b'\xef\xbb\xbf[{"id": 1},\n {"id": 2}]'))) == [
        ReadRow({"id": 1}, 1),
        ReadRow({"id": 2}, 2),
    ]


def test_a_json_file_with_a_mistake_is_told_at_its_line() -> None:
    assert broken(lambda: list(read_json(_stream('[\n {"id": 1}\n {"id": 2}]')))) == (
        "not JSON: unexpected character, expected ',' or ']' (column 2)",
        3,
    )


def test_a_json_file_that_is_too_large_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_DOCUMENT_BYTES", 2**20)
    assert broken(lambda: list(read_json(_stream("[" + " " * 2**20 + "]")))) == (
        "larger than 1 MB; write it as .jsonl, one row per line",
        0,
    )


# Row schemas


def test_rows_get_what_their_schema_finds_and_bad_rows_keep_what_they_had() -> None:
    def judge(value: Json) -> str:
        return "" if isinstance(value, int) else "a number is needed"

    def rows() -> Iterator[ReadRow]:
        yield from (ReadRow(1, 1), ReadRow("x", 2), ReadRow(None, 3, "not JSON"))

    assert list(with_schema(rows(), judge)) == [
        ReadRow(1, 1),
        ReadRow("x", 2, "a number is needed"),
        ReadRow(None, 3, "not JSON"),
    ]


def test_the_types_of_columns_are_read_from_a_row_schema_with_text_last() -> None:
    schema = {
        "properties": {
            "id": {"type": "string"},
            "stars": {"type": ["string", "integer", "null"]},
            "any": {"enum": [1, 2]},
            "all": True,
        }
    }
    assert column_types(schema) == {"id": ("string",), "stars": ("integer", "null", "string")}


@pytest.mark.parametrize("schema", [True, {"type": "object"}])
def test_a_row_schema_without_properties_types_no_column(schema: Json) -> None:
    assert column_types(schema) == {}
