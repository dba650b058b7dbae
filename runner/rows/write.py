"""Tables to files: built aside, replaced at the end, whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import orjson

from runner.core.canonical import Json
from runner.rows.column_kinds import Kind
from runner.rows.whole_file import discard, open_beside, unwritable

# A cell that a spreadsheet would run begins with a sign, be it full-width, and be it behind blanks, controls or
# characters without a shape; one that begins with a tab or an end of line may be split or trimmed into such a cell.
FORMULA_SIGNS = frozenset("=+-@")
SPLITTING = ("\t", "\r", "\n")
SHAPELESS = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))


class Table(Protocol):
    """A table that is being written: rows one by one, and in the end the whole file. Raises StorageError."""

    rows: int

    def write(self, cells: Mapping[str, Json]) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None, /) -> None: ...


def open_table(path: Path, columns: tuple[str, ...], declared: Mapping[str, Kind]) -> Table:
    """A table of the format that the file's name says. Of what columns are `declared` to hold, Parquet makes its types."""
    if path.suffix != ".parquet":
        return TableWriter(path, columns)
    from runner.rows.parquet_table import ParquetTable

    return ParquetTable(path, columns, declared)


class TableWriter:
    """Writes rows to a temporary file beside the target; `close` replaces the target, leaving the block early does not."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._path = path
        self._columns = columns
        self._is_csv = path.suffix == ".csv"
        self.rows = 0
        try:
            self._temporary, self._file = open_beside(path)
        except OSError as error:
            raise unwritable(path, error) from None
        if self._is_csv:
            self._append(csv_line(list(columns)))

    def write(self, cells: Mapping[str, Json]) -> None:
        """Append one row. Raises StorageError."""
        if self._is_csv:
            line = csv_line([csv_cell(cells.get(name)) for name in self._columns])
        else:
            line = orjson.dumps({name: cells.get(name) for name in self._columns}, option=orjson.OPT_APPEND_NEWLINE)
        self._append(line)
        self.rows += 1

    def _append(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            discard(self._temporary, self._file)
            raise unwritable(self._path, error) from None

    def close(self) -> None:
        """Replace the target. Raises StorageError."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
        except OSError as error:
            discard(self._temporary, self._file)
            raise unwritable(self._path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is None:
            self.close()
            return
        discard(self._temporary, self._file)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, by temporary file and rename. Raises StorageError."""
    try:
        temporary, file = open_beside(path)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        with file:
            file.write(text.encode("utf-8", "surrogatepass"))
        temporary.replace(path)
    except OSError as error:
        discard(temporary, file)
        raise unwritable(path, error) from None


def csv_cell(value: Json) -> str:
    """A cell: text as it is, null empty, all else as JSON. Text that a spreadsheet would run gets a leading quote."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if _is_run(value) and not _is_number(value) else value
    return orjson.dumps(value).decode()


def _is_run(text: str) -> bool:
    if text.startswith(SPLITTING):
        return True
    first = next((char for char in text if unicodedata.category(char) not in SHAPELESS), "")
    return unicodedata.normalize("NFKC", first) in FORMULA_SIGNS


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text[1:2].isdigit() or text[1:2] == "."


def csv_line(cells: list[str]) -> bytes:
    text = io.StringIO()
    # The library quotes what its line end holds: without the \r, one in a cell would begin a row, and maybe a formula.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return f"{text.getvalue()[:-2]}\n".encode("utf-8", "surrogatepass")
