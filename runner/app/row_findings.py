"""What is wrong with the rows of a workflow's data files: read as a run reads them, before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import field
from functools import partial
from typing import BinaryIO

from runner.app.data import open_rows
from runner.app.keyless import no_key_at_all
from runner.config.load import ProjectFiles
from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import DataSource, Workflow
from runner.plan.items import Row, name_of
from runner.rows.aside import OnDisk
from runner.rows.repeats import Names, Repeated

MOST_TOLD = 10
LONGEST_NAME = 60
STANDARD_INPUT = "-"


def check_rows(workflow: Workflow, used: Iterable[str], files: ProjectFiles) -> Iterator[Problem]:
    """Bad rows, repeated keys and empty files of the sources that are used; standard input is left to the run.

    A file that is missing is told by the checks.
    """
    for name in sorted(set(used)):
        source = workflow.data[name]
        if source.file != STANDARD_INPUT and (source.glob or _is_there(source, files)):
            yield from _Source(source, files).findings()


def _is_there(source: DataSource, files: ProjectFiles) -> bool:
    try:
        files.locate(source.file)
    except FileError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Finding:
    line: int
    problem: Problem


@dataclass(slots=True)
class _Told:
    """Findings of one kind: all are counted, and the first are put into words."""

    count: int = 0
    first: list[_Finding] = field(default_factory=list)

    def add(self, line: int, problem: Callable[[], Problem]) -> None:
        self.count += 1
        if len(self.first) <= MOST_TOLD:
            self.first.append(_Finding(line, problem()))


@dataclass(slots=True)
class _Walk:
    """What one walk over the rows has found. `mappings` counts the rows that are one, `lacking` those without the key's
    field; `columns` are the fields of the first of these. `trouble` ended the file before its time.
    """

    rows: int = 0
    mappings: int = 0
    lacking: int = 0
    columns: tuple[str, ...] = ()
    bad: _Told = field(default_factory=_Told)
    keyless: _Told = field(default_factory=_Told)
    trouble: FileError | None = None

    @property
    def has_no_key_at_all(self) -> bool:
        return 0 < self.lacking == self.mappings


@dataclass(frozen=True, slots=True)
class _Source:
    """One data source, whose file may be walked twice: for its rows, and for keys that are known to come again."""

    source: DataSource
    files: ProjectFiles

    @property
    def title(self) -> str:
        return f"data.{self.source.name}"

    def findings(self) -> Iterator[Problem]:
        names = Names(OnDisk())
        walk = self._walk(names)
        repeated = names.repeated()
        if not walk.rows and walk.trouble is None:
            yield self._no_rows()
        if walk.has_no_key_at_all:
            yield no_key_at_all(self.source, self.title, self.source.file, walk.columns)
        keyless = _Told() if walk.has_no_key_at_all else walk.keyless
        found = [*walk.bad.first, *keyless.first]
        if repeated.rows:
            with suppress(FileError):  # it ends the walk here as it did before
                found.extend(self._repeats(repeated))
        found.sort(key=lambda one: one.line)
        yield from (one.problem for one in found[:MOST_TOLD])
        more = walk.bad.count + keyless.count + repeated.rows - MOST_TOLD
        if more > 0:
            yield self._more(more, found[MOST_TOLD].line)
        if walk.trouble is not None:
            yield from walk.trouble.problems

    def _walk(self, names: Names) -> _Walk:
        walk, key = _Walk(), self.source.key
        try:
            with open_rows(self.source, None, _no_input, self.files) as rows:
                for row in rows:
                    walk.rows += 1
                    if key:
                        self._take_key(row, names, walk)
                    elif row.problem:
                        walk.bad.add(row.line, partial(self._bad_row, row, ""))
        except FileError as error:
            walk.trouble = error
        return walk

    def _take_key(self, row: Row, names: Names, walk: _Walk) -> None:
        name, keyless = name_of(row, self.source.key)
        is_lacking = False
        if isinstance(row.value, dict):
            walk.mappings += 1
            is_lacking = self.source.key not in row.value
        if is_lacking:
            walk.lacking += 1
            walk.columns = walk.columns or tuple(row.value)
        if row.problem:
            walk.bad.add(row.line, partial(self._bad_row, row, "" if keyless else name))
        elif keyless:
            (walk.keyless if is_lacking else walk.bad).add(row.line, partial(self._without_key, row))
        else:
            names.add(name)

    def _repeats(self, repeated: Repeated) -> Iterator[_Finding]:
        """The first rows whose key came before: the file is read again, and only these keys are kept."""
        first: dict[str, int] = {}
        told = 0
        with open_rows(self.source, None, _no_input, self.files) as rows:
            for row in rows:
                name, keyless = name_of(row, self.source.key)
                if keyless or row.problem or hash(name) not in repeated.hashes:
                    continue
                if name in first:
                    yield _Finding(row.line, self._repeated(row, name, first[name]))
                    told += 1
                    if told > MOST_TOLD:
                        return
                first.setdefault(name, row.line)

    # --- findings

    def _place(self, line: int) -> Span:
        """The row's line, or where the file is named when its rows are not lines."""
        return (
            Span(self.source.file, line, 1)
            if self._has_lines
            else self.source.at("glob" if self.source.glob else "file")
        )

    @property
    def _has_lines(self) -> bool:
        return not self.source.glob and self.source.format in ("jsonl", "csv")

    def _row(self, row: Row, name: str) -> str:
        shown = f"'{name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + '…'}'"
        if not name:
            shown = str(row.line)
        elif not self._has_lines:
            shown = f"{row.line} ({shown})"
        return f"row {shown} of {self.title}"

    def _declared(self) -> tuple[tuple[str, str], ...]:
        return (("read by", f"{self.title}, {self.source.span}"),) if self._has_lines else ()

    def _bad_row(self, row: Row, name: str) -> Problem:
        message = f"{self._row(row, name)} is bad: {row.problem}"
        return Problem("bad-row", message, self._place(row.line), notes=self._declared())

    def _without_key(self, row: Row) -> Problem:
        key = self.source.key
        if not isinstance(row.value, dict):
            reason = f"it is no mapping, so it has no field '{key}'"
        elif key not in row.value:
            reason = f"the field '{key}' is missing"
        else:
            reason = f"the field '{key}' holds neither text nor a number"
        message = f"{self._row(row, '')} has no key: {reason}"
        return Problem("row-without-key", message, self._place(row.line), notes=self._declared())

    def _repeated(self, row: Row, name: str, first: int) -> Problem:
        where = f"{self.source.file}:{first}" if self._has_lines else f"row {first}"
        return Problem(
            "repeated-key",
            f"{self._row(row, name)} has a key that came before",
            self._place(row.line),
            notes=(("first", where), *self._declared()),
            fix="make the keys differ, or leave key out: a row is then named by a digest of it",
        )

    def _more(self, count: int, line: int) -> Problem:
        rows = "row" if count == 1 else "rows"
        verb = "is" if count == 1 else "are"
        message = f"{count:,} more {rows} of {self.title} {verb} bad"
        return Problem("bad-row", message, self._place(line))

    def _no_rows(self) -> Problem:
        return Problem(
            "no-rows",
            f"{self.title} has no rows: "
            + (f"no file is found by '{self.source.glob}'" if self.source.glob else f"'{self.source.file}' is empty"),
            self.source.at("glob" if self.source.glob else "file"),
            severity="warning",
        )


def _no_input(_: str) -> BinaryIO:
    """Rows from standard input are put aside before they are looked at, and never come here: to be asked is a defect."""
    raise NotImplementedError
