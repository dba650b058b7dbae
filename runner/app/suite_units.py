"""A checked suite made ready to walk: its cases with their inputs, in every cell, as programs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path
from typing import BinaryIO

from runner.app.data import open_rows, scan
from runner.app.inputs import resolve_inputs, typed
from runner.app.keyless import with_some_key
from runner.app.media import MediaFiles
from runner.app.preparing import asked_of
from runner.app.project import Project
from runner.app.routes import complete_route
from runner.app.suite_files import DOCUMENTS, document, text_of
from runner.app.suites import OpenedSuite, Variant, open_suite
from runner.app.types import RunOptions
from runner.config.load import ProjectFiles, load_values
from runner.core.canonical import Json
from runner.core.errors import FileError, NothingSelected, RunnerError, UsageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem
from runner.core.suite import CaseSource, Suite
from runner.core.values import FromFile, Value
from runner.core.workflow import DataSource, OutputTable, Workflow
from runner.link.linked import Linked
from runner.plan.compiling import compile_whole
from runner.plan.items import Item, Items, Row, identify
from runner.plan.program import Policy, Program, StepProgram
from runner.suites.cases import Unit, cases_of, units_of
from runner.suites.cells import inputs_of
from runner.suites.similarity import is_vector, vector_steps, without_vectors
from runner.suites.values import Seen, Texts


@dataclass(frozen=True, slots=True)
class PreparedSuite:
    """A suite whose cases can be walked; nothing has been called or looked up."""

    suite: Suite
    project: Project
    sources: Mapping[str, str]
    units: tuple[Unit, ...]
    variants: Mapping[str, Variant]
    steps: Mapping[str, Mapping[str, StepProgram]]
    data: Mapping[str, Items]
    texts: Texts
    environ: Mapping[str, str]
    narrowed: dict[tuple[str, frozenset[str]], Linked] = field(default_factory=dict)
    """The workflow of a cell with some of its vectors only, as they were wanted."""

    @property
    def place(self) -> str:
        """What the suite is called where its answers are kept."""
        return f"{self.suite.name}.suite"

    @property
    def workflow(self) -> Workflow:
        """The workflow with the judges, under the name of the suite's place."""
        whole = next(iter(self.variants.values())).linked.workflow
        return replace(whole, name=self.place)

    def program(self, unit: Unit) -> Program:
        """The workflow of a unit with its inputs. Raises RunnerError for inputs that are no good."""
        cell = unit.cell.name
        linked = self._linked(unit)
        steps = {
            name: step.renewed(first_sample=unit.sample * (step.linked.step.samples or 1))
            if unit.sample and not is_vector(name)
            else step
            for name, step in self.steps[cell].items()
            if name in linked.steps
        }
        return Program(linked, steps, self._inputs(unit), {"case": unit.case.row})

    def _linked(self, unit: Unit) -> Linked:
        """The workflow of the unit's cell, with the vectors that its case compares."""
        linked = self.variants[unit.cell.name].linked
        if not any(map(is_vector, linked.steps)):
            return linked
        kept = frozenset(vector_steps(unit.case.assertions, self.texts.load))
        if (unit.cell.name, kept) not in self.narrowed:
            self.narrowed[unit.cell.name, kept] = without_vectors(linked, kept)
        return self.narrowed[unit.cell.name, kept]

    def programs(self) -> Iterator[Program]:
        """The programs of all cells, without the inputs of a case."""
        for name, steps in self.steps.items():
            yield Program(self.variants[name].linked, steps)

    def _inputs(self, unit: Unit) -> dict[str, Json]:
        if unit.case.problem:
            raise UsageError(Problem("bad-row", f"case '{unit.case.name}': {unit.case.problem}", unit.case.span))
        assert self.project.workflow is not None
        seen = Seen(self.texts, {"case": unit.case.row})
        replaced = {name: change.value for name, change in inputs_of(unit.cell).items()}
        values = {name: self._value(name, value, seen) for name, value in {**unit.case.values, **replaced}.items()}
        options = RunOptions(inputs=values)
        return resolve_inputs(self.project.workflow, options, self.environ, self.project.files.read, load_values)

    def _value(self, name: str, value: Value, seen: Seen) -> Json:
        """A file is text where the input may be text, else what it spells."""
        if not isinstance(value, FromFile):
            return seen.value(value)
        assert self.project.workflow is not None
        spec = self.project.workflow.inputs[name]
        text = text_of(self.project.files, value.file)
        schema = spec.schema.value if isinstance(spec.schema.value, dict) else {}
        wanted = schema.get("type")
        if value.file.endswith(DOCUMENTS) and wanted is not None and "string" not in (wanted, *_each(wanted)):
            return self.texts.load(value.file)
        return typed(text, schema)


def _each(wanted: Json) -> tuple[Json, ...]:
    return tuple(wanted) if isinstance(wanted, list) else ()


def open_checked(path: Path, options: RunOptions) -> OpenedSuite:
    """A suite file with its workflow. Raises FileError with all that is wrong."""
    environ = os.environ if options.environ is None else options.environ
    opened = open_suite(path, options.models, lambda route, files: complete_route(route, files, environ))
    if opened.has_errors:
        raise FileError([problem for problem in opened.problems if problem.is_error], opened.sources)
    return opened


def prepare_suite(path: Path, options: RunOptions) -> PreparedSuite:
    """Load, check, and read rows. Raises RunnerError with all that is wrong; nothing has been called."""
    opened = open_checked(path, options)
    suite, project, environment = opened.suite, opened.project, opened.environment
    assert suite is not None
    assert project is not None
    assert project.workflow is not None
    assert environment is not None
    files = opened.files
    environ = os.environ if options.environ is None else options.environ
    if not opened.variants:
        raise NothingSelected(Problem("no-cases", "the matrix leaves no cell", (suite.matrix or suite).span))
    _refuse_later(suite, opened.variants[0].linked, opened.sources)
    cases = tuple(cases_of(suite, _rows(suite.cases_from, files)))
    suite = replace(suite, samples=options.samples or suite.samples)
    units = units_of(cases, [variant.cell for variant in opened.variants], suite.samples)
    if not units:
        raise NothingSelected(Problem("no-cases", f"{suite.file} has no cases", suite.span))
    used = {name for variant in opened.variants for name in variant.linked.files_walked}
    try:
        data = scan(project.workflow, used, {}, _no_stdin, files)
    except RunnerError as error:
        raise type(error)(error.problems, {**opened.sources, **error.sources}) from None
    media = MediaFiles(files, project.workflow)
    return PreparedSuite(
        suite=suite,
        project=project,
        sources=opened.sources,
        units=units,
        variants={variant.cell.name: variant for variant in opened.variants},
        steps={variant.cell.name: _steps(variant, options, media) for variant in opened.variants},
        data=data,
        texts=Texts(environment, lambda path: document(files, path)),
        environ=environ,
    )


def _refuse_later(suite: Suite, linked: Linked, sources: Mapping[str, str]) -> None:
    """What this version cannot judge is refused, never passed over. Raises FileError."""
    found: list[Problem] = []
    tables = {one.output.name for one in linked.outputs if isinstance(one.output, OutputTable)}
    for text in linked.typing.texts:
        if text.place.owner not in suite.judges and not is_vector(text.place.owner):
            continue
        for reference in text.readings.references:
            if reference.path[0] == "outputs" and (len(reference.path) == 1 or reference.path[1] in tables) and tables:
                message = (
                    f"{text.place.title} reads '{'.'.join(reference.path[:2])}', and a table is not seen before the end"
                )
                fix = "read what its columns read: steps.NAME.outputs"
                found.append(Problem("later-key", message, reference.span, fix=fix))
    if found:
        raise FileError(found, sources)


def _no_stdin(name: str) -> BinaryIO:
    raise UsageError(Problem("no-stdin", f"data source '{name}' reads standard input, which a suite does not have"))


def _steps(variant: Variant, options: RunOptions, media: MediaFiles) -> dict[str, StepProgram]:
    """A suite settles failures: what came out before is what is judged, until `--refresh` asks anew."""
    policy = Policy(is_final=True, refresh=options.refresh, use_cache=options.use_cache)
    asked = {name: asked_of(variant.routes[name], one.step) for name, one in variant.linked.asked.items()}
    lanes = variant.linked.lanes
    return {
        name: compile_whole(linked, asked, policy, media.of_linked(linked, lanes))
        for name, linked in variant.linked.steps.items()
    }


# --- rows


def _rows(source: CaseSource | None, files: ProjectFiles) -> tuple[Item, ...]:
    if source is None:
        return ()
    if source.glob:
        return tuple(identify(_files(source.glob, files), source.key or "name"))
    declared = DataSource(
        span=source.span,
        spans=source.spans,
        name="cases_from",
        file=source.file,
        format=source.format,
        key=source.key,
        schema=source.schema,
    )
    with open_rows(declared, None, _no_stdin, files) as rows:
        return tuple(identify(with_some_key(rows, declared, "cases_from", source.file), source.key))


def _files(pattern: str, files: ProjectFiles) -> Iterator[Row]:
    """A row for each file that fits, in the order of their paths."""
    found = sorted(path for path in files.root.glob(pattern) if path.is_file())
    for line, path in enumerate(found, 1):
        shown = path.relative_to(files.root).as_posix()
        with suppress(FileError):  # outside the project, by a link
            files.locate(shown)
            yield Row({"path": shown, "name": path.name, "stem": path.stem, "suffix": path.suffix}, line)
