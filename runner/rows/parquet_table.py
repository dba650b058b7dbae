"""Tables to Parquet files. What a column holds is known after its last row only: until then the rows lie aside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from runner.core.aside import pack, pack_list, unpack
from runner.core.canonical import Json
from runner.rows.aside import Spool
from runner.rows.column_kinds import Cell, FieldsOf, Kind, ListOf, cell_for, kind_of, settled, widened
from runner.rows.whole_file import discard, open_beside, unwritable

PIECE_BYTES = 2**16
GROUP_BYTES = 2**22


class ParquetTable:
    """Fills `rows.write.Table`. `declared` is what columns are to hold, as far as it is known before the rows."""

    def __init__(self, path: Path, columns: tuple[str, ...], declared: Mapping[str, Kind]) -> None:
        self._path = path
        self._kinds: dict[str, Kind] = {name: declared.get(name, "nothing") for name in columns}
        try:
            self._temporary, self._file = open_beside(path)
        except OSError as error:
            raise unwritable(path, error) from None
        self._aside = Spool(path.parent)
        self._pieces: list[tuple[int, int]] = []
        self._some: list[bytes] = []
        self._size = 0
        self.rows = 0

    def write(self, cells: Mapping[str, Json]) -> None:
        """Take one row. Raises StorageError."""
        row = [cells.get(name) for name in self._kinds]
        for name, value in zip(self._kinds, row, strict=True):
            self._kinds[name] = widened(self._kinds[name], kind_of(value))
        self._some.append(pack(row))
        self._size += len(self._some[-1])
        self.rows += 1
        if self._size >= PIECE_BYTES:
            self._put()

    def _put(self) -> None:
        piece = pack_list(self._some)
        self._pieces.append((self._aside.put(piece), len(piece)))
        self._some, self._size = [], 0

    def close(self) -> None:
        """Write the file and replace the target. Raises StorageError."""
        from pyarrow import ArrowException

        try:
            self._write_all(self._file)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
        except ArrowException as error:
            discard(self._temporary, self._file)
            raise unwritable(self._path, OSError(str(error))) from None
        except OSError as error:
            discard(self._temporary, self._file)
            raise unwritable(self._path, error) from None

    def _write_all(self, file: IO[bytes]) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        kinds = {name: settled(kind) for name, kind in self._kinds.items()}
        schema = pa.schema([(name, _arrow_type(kind)) for name, kind in kinds.items()])
        cells = [cell_for(kind) for kind in kinds.values()]
        with ParquetWriter(file, schema, compression="zstd") as writer:
            some: list[Any] = []
            for rows in self._rows_again():
                some.append(_batch(rows, cells, schema))
                if sum(one.nbytes for one in some) >= GROUP_BYTES:
                    writer.write_table(pa.Table.from_batches(some, schema))
                    some = []
            writer.write_table(pa.Table.from_batches(some, schema))

    def _rows_again(self) -> Iterator[list[list[Json]]]:
        if self._some:
            self._put()
        for place, length in self._pieces:
            yield unpack(self._aside.get(place, length))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is None:
            self.close()
            return
        discard(self._temporary, self._file)


def _batch(rows: list[list[Json]], cells: Sequence[Cell | None], schema: Any) -> Any:
    """Rows as columns, which take a fraction of their room."""
    import pyarrow as pa

    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(column if cell is None else map(cell, column), type=field.type)
        for column, cell, field in zip(columns, cells, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def _arrow_type(kind: Kind) -> Any:
    import pyarrow as pa

    match kind:
        case ListOf():
            return pa.list_(_arrow_type(kind.items))
        case FieldsOf():
            return pa.struct([(name, _arrow_type(inner)) for name, inner in kind.fields.items()])
        case "boolean":
            return pa.bool_()
        case "integer":
            return pa.int64()
        case "number":
            return pa.float64()
        case _:
            return pa.string()
