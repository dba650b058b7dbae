"""The rows of a run's data sources, scanned once before the first call."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runner.app.keyless import with_some_key
from runner.app.source_items import items_of
from runner.config.load import ProjectFiles, dangling, load_values
from runner.core.aside import Aside
from runner.core.canonical import Json
from runner.core.errors import FileError, UsageError
from runner.core.problem import Problem, listed, nearest
from runner.core.span import Span
from runner.core.workflow import DataFormat, DataSource, Workflow
from runner.output.schema import CompiledSchema, compile_schema
from runner.output.validate import Validator
from runner.plan.items import Items, Row
from runner.rows.aside import OnDisk
from runner.rows.parquet import missing_library, read_parquet
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

RUN_FOLDER = ".runner"
_TITLES = {"parquet": "Parquet"}
FORMATS: Mapping[str, DataFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
}


def scan(
    workflow: Workflow,
    used: Iterable[str],
    given: Mapping[str, Path],
    stdin: Callable[[str], BinaryIO],
    files: ProjectFiles,
) -> dict[str, Items]:
    """The items of the sources that are used, read once. Raises FileError, UsageError or StorageError; a bad row is
    only a bad item.
    """
    for name in given:
        if name not in workflow.data:
            near = nearest(name, workflow.data)
            expected = f"a source under data: {listed(workflow.data)}" if workflow.data else "no data sources"
            raise UsageError(
                Problem(
                    "unknown-data",
                    f"--data names '{name}', but no source has that name",
                    expected=expected,
                    nearest=near,
                )
            )
        if workflow.data[name].made is not None:
            fix = "give the rows that it is made from"
            raise UsageError(
                Problem("usage", f"--data names '{name}', whose rows are made from those of another source", fix=fix)
            )
    aside = aside_of(files.root)
    found: dict[str, Items] = {}
    for name in sorted(set(used)):
        source = workflow.data[name]
        with open_rows(source, given.get(name), stdin, files) as rows:
            keyed = with_some_key(rows, source, f"data.{name}", str(given.get(name, source.file)))
            found[name] = items_of(keyed, source.key, aside)
    return found


def aside_of(root: Path) -> Aside:
    """Where the rows and results of a run in this project are put aside."""
    return OnDisk(root / RUN_FOLDER)


@contextmanager
def open_rows(
    source: DataSource, given: Path | None, stdin: Callable[[str], BinaryIO], files: ProjectFiles
) -> Iterator[Iterator[Row]]:
    """The rows of a source, streamed, each with what is wrong with it. Raises FileError or UsageError.

    What the file itself has wrong is raised while the rows are walked.
    """
    schema = compile_schema(source.schema, files.read) if source.schema is not None else None
    if source.glob and given is None:
        found = (ReadRow(row, number) for number, row in enumerate(found_files(source, files), 1))
        yield (Row(row.value, row.line, row.problem) for row in _checked(found, schema))
        return
    title = str(given) if given is not None else source.file
    form = FORMATS.get(given.suffix.lower(), source.format) if given is not None else source.format
    if form == "parquet" and (missing := missing_library(f"'{title}'", source.at("file"))):
        raise FileError(missing)
    try:
        with _open(source, given, stdin, files) as stream:
            rows = _checked(_rows(form, stream, title, schema), schema)
            yield (Row(row.value, row.line, row.problem) for row in rows)
    except BadSource as error:
        place = f" line {error.line}:" if error.line else ""
        shown = "standard input" if title == "-" else f"'{title}'"
        raise FileError(
            Problem(
                "bad-data",
                f"{shown} cannot be read as {_TITLES.get(form, form.upper())}:{place} {error.message}",
                _place(source, given, error.line),
            )
        ) from None


def found_files(source: DataSource, files: ProjectFiles) -> Iterator[dict[str, Json]]:
    """The files that a pattern finds below the root, in the order of their paths; a link that leaves it finds nothing.

    A path is written as the pattern is: relative to the file that declares the source.
    """
    base = files.root / source.base
    for path in sorted(base.glob(source.glob)):
        shown = Path(os.path.relpath(path, base)).as_posix()
        try:
            files.locate(posixpath.join(source.base, shown))
        except FileError:
            continue
        yield {"path": shown, "name": path.name, "stem": path.stem, "suffix": path.suffix}


def _open(source: DataSource, given: Path | None, stdin: Callable[[str], BinaryIO], files: ProjectFiles) -> BinaryIO:
    if str(given or source.file) == "-":
        return stdin(source.name)
    if given is not None and not given.exists():
        if (link := dangling(given, f"--data {source.name}: {given}")) is not None:
            raise UsageError(link)
        message = f"--data {source.name} names the file '{given}', which does not exist"
        raise UsageError(Problem("missing-file", message, nearest=_beside(given)))
    path = given if given is not None else files.locate(source.file)
    try:
        return path.open("rb")
    except OSError as error:
        title = given if given is not None else source.file
        raise FileError(
            Problem("unreadable", f"'{title}' cannot be read: {error.strerror or error}", _place(source, given))
        ) from None


def _place(source: DataSource, given: Path | None, line: int = 0) -> Span:
    """Where a file is named; one that the command line gives is its own place."""
    is_file = given is not None and str(given) != "-"
    return Span(str(given), max(line, 1), 1) if is_file else source.at("file")


def _beside(path: Path) -> str:
    names = [one.name for one in path.parent.iterdir() if one.is_file()] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    return str(path.with_name(near)) if near else ""


def _rows(form: DataFormat, stream: BinaryIO, title: str, schema: CompiledSchema | None) -> Iterator[ReadRow]:
    match form:
        case "jsonl":
            return read_jsonl(stream)
        case "csv":
            return read_csv(stream, column_types(schema.bundled) if schema else None)
        case "parquet":
            return read_parquet(stream)
        case "json":
            return read_json(stream)
        case "yaml":
            value, problems = load_values(stream.read(), title)
            if problems:
                raise FileError(problems)
            return read_document(value)


def _checked(rows: Iterator[ReadRow], schema: CompiledSchema | None) -> Iterator[ReadRow]:
    if schema is None:
        return rows
    validator = Validator(schema.bundled)

    def judge(value: Json) -> str:
        violations = validator.violations(value)
        if not violations:
            return ""
        first = violations[0]
        found = f"{first.pointer or 'it'} is {first.found}, " if first.found else ""
        return f"{found}expected {first.expected}" + ("" if found or not first.pointer else f" at {first.pointer}")

    return with_schema(rows, judge)
