"""Rows from Parquet files, a batch of records at a time: every value as JSON has it, by the type of its column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO

from runner.core.canonical import Json, NotJson, ensure_json
from runner.core.problem import Problem
from runner.core.span import Span
from runner.rows.read import BadSource, ReadRow

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

    from runner.rows.arrow_values import Shown

BATCH_BYTES = 1024 * 1024
BATCH_ROWS = 1024
_PACKAGE = "pyarrow"


def missing_library(title: str, span: Span | None = None) -> Problem | None:
    """What a file of Parquet lacks to be read or written here; `title` says which file it is."""
    if find_spec(_PACKAGE) is not None:
        return None
    message = f"{title} is a Parquet file, which needs the library {_PACKAGE}, which is not installed"
    return Problem("missing-library", message, span, fix="pip install 'runner[parquet]'")


def read_parquet(stream: BinaryIO) -> Iterator[ReadRow]:
    """A mapping per record, without the columns that hold bytes. Raises BadSource."""
    with _opened(stream) as file:
        columns = _columns(file)
        may_be_nan = any(column.may_be_nan for column in columns.values())
        number = 0
        for batch in file.iter_batches(_batch_rows(file), columns=list(columns), use_threads=False):
            cells = [column.values(batch.column(name)) for name, column in columns.items()]
            for row in zip(*cells, strict=True):
                number += 1
                value = dict(zip(columns, row, strict=True))
                yield _checked(value, number) if may_be_nan else ReadRow(value, number)


def schema_of(stream: BinaryIO) -> Json:
    """What the file says of its rows, as a JSON Schema, read from its end alone. Raises BadSource.

    That a column may be null is said only where nulls were counted in it: most writers allow them everywhere.
    """
    with _opened(stream) as file:
        with_nulls = _with_nulls(file)
        properties = {
            name: _nullable(column.schema) if name in with_nulls else dict(column.schema)
            for name, column in _columns(file).items()
        }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@contextmanager
def _opened(stream: BinaryIO) -> Iterator[ParquetFile]:
    """The file, of which no more is read ahead than what is walked now."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        yield ParquetFile(stream, pre_buffer=False, buffer_size=2**16)
    except (ArrowException, OSError) as error:  # a page that cannot be unpacked is an OSError
        raise BadSource(_told(error)) from None
    except UnicodeDecodeError as error:
        raise BadSource(f"not UTF-8 text (byte {error.object[error.start]:#04x})") from None


def _told(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    if "magic bytes" in text or "file size is" in text:
        return "it does not end as a Parquet file does; is it cut off, or of another kind?"
    return f"it is damaged: {text[:200]}"


def _columns(file: ParquetFile) -> dict[str, Shown]:
    """The columns that can be shown, by name."""
    from runner.rows.arrow_values import shown

    names = file.schema_arrow.names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BadSource(f"two columns are called '{repeated[0]}'")
    found = {field.name: shown(field.type) for field in file.schema_arrow}
    columns = {name: column for name, column in found.items() if column is not None}
    if not columns:
        raise BadSource("none of its columns holds what a text can show")
    return columns


def _with_nulls(file: ParquetFile) -> frozenset[str]:
    """The plain columns in which nulls were counted."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    parts = [group.column(number) for group in groups for number in range(group.num_columns)]
    counted = [(part.path_in_schema, part.statistics) for part in parts if part.is_stats_set]
    return frozenset(name for name, figures in counted if figures.has_null_count and figures.null_count)


def _nullable(schema: Mapping[str, Json]) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


def _batch_rows(file: ParquetFile) -> int:
    """So many rows that a batch is a few megabytes, as the widest part of the file has them."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    widest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    return int(max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, widest))))


def _checked(row: dict[str, Json], number: int) -> ReadRow:
    try:
        ensure_json(row)
    except NotJson as error:
        return ReadRow(None, number, f"not usable as JSON: {error}")
    return ReadRow(row, number)
