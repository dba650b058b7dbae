"""Columns that are read and that a CSV file does not have: its header is the schema of rows without one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import BinaryIO

from runner.app.data import open_rows
from runner.config.load import ProjectFiles
from runner.core.errors import FileError
from runner.core.problem import Problem, listed, nearest
from runner.core.workflow import DataSource
from runner.link.parts import Linked
from runner.link.readings import ReadText
from runner.templates.trail import Reference


def check_columns(linked: Linked, files: ProjectFiles) -> Iterator[Problem]:
    """One finding for each place that reads such a column without caring for a hole."""
    for lane in linked.lanes.values():
        source = linked.workflow.data.get(lane.data)
        if source is None or source.format != "csv" or source.schema is not None:
            continue
        read = [
            (text, reference)
            for text in linked.typing.texts
            if text.place.lane == lane.name
            for reference in text.readings.references
            if _is_of_row(reference, text) and not _is_partner(reference, text, linked)
        ]
        # A column that is asked for somewhere may be one of another file that is given at times.
        asked = {reference.path[1] for _, reference in read if reference.provided > 1}
        wanted = {reference.path[1] for _, reference in read} - asked
        columns = _columns(source, files) if wanted else frozenset()
        for text, reference in read:
            if columns and reference.path[1] in wanted - columns:
                yield _unknown(reference, text, source, columns)


def _is_of_row(reference: Reference, text: ReadText) -> bool:
    """Whether a column is named here, and not by a name of the text's own that stands for it."""
    names = text.place.item_names - {name for name, _ in text.place.elements}
    is_named = len(reference.path) > 1 and reference.path[0] in names
    return is_named and not reference.is_echo(reference.spans[1])


def _is_partner(reference: Reference, text: ReadText, linked: Linked) -> bool:
    """Whether it is a row of another source, which stands beside this one."""
    made = linked.sources.get(text.place.made)
    return made is not None and reference.path[1] == made.joined


def _columns(source: DataSource, files: ProjectFiles) -> frozenset[str]:
    """The header, nothing where there is no row to show it or the file cannot be read, which is told elsewhere."""
    with suppress(FileError), open_rows(source, None, _no_input, files) as rows:
        first = next(rows, None)
        if first is not None and isinstance(first.value, dict):
            return frozenset(first.value)
    return frozenset()


def _unknown(reference: Reference, text: ReadText, source: DataSource, columns: Collection[str]) -> Problem:
    name, span = reference.path[1], reference.spans[1]
    near = nearest(name, columns)
    return Problem(
        "unknown-field",
        f"a row of '{source.name}' has no field '{name}'",
        span,
        expected=f"a column of {source.file}: {listed(columns)}",
        nearest=near,
        notes=(("used by", f"{text.place.title}, {text.span}"),) if span.file != text.span.file else (),
        fix=f"write '{near}', or add the column '{name}' to {source.file}" if near else "",
    )


def _no_input(_: str) -> BinaryIO:
    raise AssertionError("a CSV file is no standard input")
