"""A key that no row has is told once, where it is named: it is no matter of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.core.errors import FileError
from runner.core.problem import Problem, listed, nearest
from runner.core.workflow import DataSource
from runner.plan.items import Row


def with_some_key(rows: Iterator[Row], source: DataSource, title: str, file: str) -> Iterator[Row]:
    """The rows. Raises FileError at their end when all that are mappings lack the field that is to be their key."""
    columns: tuple[str, ...] = ()
    is_lacking = False
    for row in rows:
        yield row
        if isinstance(row.value, dict) and source.key in row.value:
            yield from rows
            return
        if isinstance(row.value, dict):
            is_lacking, columns = True, columns or tuple(row.value)
    if source.key and is_lacking:
        raise FileError(no_key_at_all(source, title, file, columns))


def no_key_at_all(source: DataSource, title: str, file: str, columns: Iterable[str]) -> Problem:
    near = nearest(source.key, columns)
    return Problem(
        "row-without-key",
        f"no row of {title} has the field '{source.key}', which is to be its key",
        source.at("key"),
        expected=f"a field of {file or 'a file that is found'}: {listed(columns)}" if columns else "",
        nearest=near,
        fix=f"key: {near}" if near else "",
    )
