"""Rows from JSONL, CSV, JSON and YAML, streamed where the format allows it.

A bad row is not the end: it comes with what is wrong with it.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

import orjson

from runner.core.canonical import MAX_DEPTH, Json, NotJson, ensure_json
from runner.core.frozen import dataclass

MAX_ROW_BYTES = 64 * 1024 * 1024
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row, the line that it starts on (from 1), and what is wrong with it ("" when nothing is)."""

    value: Json
    line: int
    problem: str = ""


class BadSource(Exception):
    """The file as a whole cannot be read as rows; `line` is 0 where no line is to blame."""

    def __init__(self, message: str, line: int = 0) -> None:
        self.message = message
        self.line = line
        super().__init__(message)


def read_jsonl(stream: BinaryIO) -> Iterator[ReadRow]:
    """One JSON value per line; blank lines are passed over."""
    number = 0
    while line := _line(stream):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.isspace() or not line:
            continue
        if len(line) > MAX_ROW_BYTES:
            row = ReadRow(None, number, f"longer than {MAX_ROW_BYTES // 2**20} MB")
        else:
            row = _json_row(line, number)
        del line  # it may be long, and is not kept while its row is used
        yield row


def _line(stream: BinaryIO) -> bytes:
    """The next line, cut off past the limit, so that one endless line does not fill the memory."""
    line = stream.readline(MAX_ROW_BYTES + 2)
    if len(line) > MAX_ROW_BYTES and not line.endswith(b"\n"):
        while (rest := stream.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
            pass
    return line


def _json_row(line: bytes, number: int) -> ReadRow:
    try:
        value = orjson.loads(line)
        if line.count(b"{") + line.count(b"[") > MAX_DEPTH:  # all else that is no JSON was refused while parsing
            ensure_json(value)
    except orjson.JSONDecodeError as error:
        if broken := _not_utf8(line):
            return ReadRow(None, number, broken)
        return ReadRow(None, number, f"not JSON: {error.msg} (column {error.colno})")
    except NotJson as error:
        return ReadRow(None, number, f"not usable as JSON: {error}")
    return ReadRow(value, number)


def _not_utf8(line: bytes) -> str:
    """What is wrong with the encoding of a line, in the words that are used for CSV too; else ""."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8 text (byte {line[error.start]:#04x})"
    return ""


def read_csv(stream: BinaryIO, types: Mapping[str, tuple[str, ...]] | None = None) -> Iterator[ReadRow]:
    """A mapping per record, named by the header. Cells are text unless `types` (column → JSON types) says otherwise."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="", errors="strict")
    csv.field_size_limit(MAX_ROW_BYTES)
    reader = csv.reader(text, strict=True)
    try:
        header = next(filter(None, reader), None)
        if header is None:
            return
        _check_header(header, reader.line_num)
        start = reader.line_num + 1
        for record in reader:
            if record:
                yield _csv_row(header, record, start, types or {})
            start = reader.line_num + 1
    except csv.Error as error:
        raise BadSource(f"not CSV: {error}", reader.line_num) from None
    except UnicodeDecodeError as error:
        # The text before the bad byte was read, but its lines were not handed out yet.
        line = reader.line_num + 1 + error.object.count(b"\n", 0, error.start)
        raise BadSource(f"not UTF-8 text (byte {error.object[error.start]:#04x})", line) from None
    finally:
        if not stream.closed:  # it is, where the reader stopped early
            text.detach()


def _check_header(header: list[str], line: int) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise BadSource(f"column '{repeated[0]}' stands twice in the header", line)
    if "" in header:
        raise BadSource("a column of the header has no name", line)


def _csv_row(header: list[str], record: list[str], line: int, types: Mapping[str, tuple[str, ...]]) -> ReadRow:
    if len(record) != len(header):
        return ReadRow(None, line, f"{len(record)} cells where the header has {len(header)}")
    value: dict[str, Json] = {}
    for name, cell in zip(header, record, strict=True):
        if name in types:
            typed, problem = _typed(cell, types[name])
            if problem:
                return ReadRow(None, line, f"column '{name}': {problem}")
            value[name] = typed
        else:
            value[name] = cell
    return ReadRow(value, line)


def _typed(cell: str, types: tuple[str, ...]) -> tuple[Json, str]:
    """A cell as the first of the types that it spells. An empty cell is null where null is allowed."""
    if "null" in types and cell == "":
        return None, ""
    for name in types:
        match name:
            case "string":
                return cell, ""
            case "boolean" if cell.lower() in ("true", "false"):
                return cell.lower() == "true", ""
            case "integer" | "number":
                try:
                    number = orjson.loads(cell.strip())
                except orjson.JSONDecodeError:
                    continue
                if isinstance(number, int) and not isinstance(number, bool):
                    return number, ""
                if isinstance(number, float) and name == "number":
                    return number, ""
    return None, f"'{cell[:40]}' is not {' or '.join(types)}"


def read_document(value: Json) -> Iterator[ReadRow]:
    """Rows of a JSON or YAML document that is a list; `line` is the position in it."""
    if not isinstance(value, list):
        raise BadSource("a list of rows is needed at the top")
    for number, row in enumerate(value, 1):
        try:
            ensure_json(row)
        except NotJson as error:
            yield ReadRow(None, number, f"not usable as JSON: {error}")
        else:
            yield ReadRow(row, number)


def read_json(stream: BinaryIO) -> Iterator[ReadRow]:
    data = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadSource(f"larger than {MAX_DOCUMENT_BYTES // 2**20} MB; write it as .jsonl, one row per line")
    try:
        value = orjson.loads(data.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise BadSource(f"not JSON: {error.msg} (column {error.colno})", error.lineno) from None
    return read_document(value)


def with_schema(rows: Iterable[ReadRow], judge: Callable[[Json], str]) -> Iterator[ReadRow]:
    """Rows with what their schema finds wrong with them."""
    for row in rows:
        if row.problem:
            yield row
            continue
        problem = judge(row.value)
        yield ReadRow(row.value, row.line, problem) if problem else row


def column_types(schema: Json) -> dict[str, tuple[str, ...]]:
    """Column → JSON types, read from the properties of a row schema. Columns without a type stay text."""
    found: dict[str, tuple[str, ...]] = {}
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    for name, inner in properties.items():
        types = inner.get("type") if isinstance(inner, dict) else None
        if isinstance(types, str):
            found[name] = (types,)
        elif isinstance(types, list):
            found[name] = tuple(sorted(types, key=lambda name: name == "string"))
    return found
