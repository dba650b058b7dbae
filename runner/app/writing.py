"""Outputs of a run: the document for standard output, tables, and saved texts."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runner.app.column_kinds import declared_kinds
from runner.checks.media import shown_files
from runner.core.canonical import Json
from runner.core.errors import StorageError
from runner.core.frozen import dataclass
from runner.core.outcome import Outcome, Status
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import OutputTable, Workflow
from runner.link.linked import LinkedOutput
from runner.plan.advance import Scope, view_of
from runner.plan.items import ROOT_ITEM, Item
from runner.plan.output_values import output_value
from runner.plan.outputs import TableRow, answers, table_rows
from runner.plan.program import StepProgram
from runner.plan.selection import unstored_steps
from runner.plan.stages import RunState
from runner.rows.parquet import missing_library
from runner.rows.write import TableWriter, open_table, write_text
from runner.templates.problems import RenderFailed


@dataclass(frozen=True, slots=True)
class Outputs:
    """The document for standard output, what could not be evaluated, and what could not be written."""

    value: Json = None
    problems: tuple[Problem, ...] = ()
    unwritten: tuple[Problem, ...] = ()
    left_out: tuple[str, ...] = ()
    failed_files: tuple[str, ...] = ()


def write_outputs(state: RunState, root: Path) -> Outputs:
    """Evaluate the outputs and write the tables. One that cannot be written does not take the others with it."""
    scope = state.scope()
    linked = state.program.linked.outputs
    unstored = unstored_steps(state)
    if not linked:
        return Outputs(answers(state, scope, unstored), left_out=_without(state, unstored))
    problems: list[Problem] = []
    unwritten: list[Problem] = []
    left_out: list[str] = []
    found: dict[str, Json] = {}
    for output in linked:
        missing = sorted(_reads(output, state) & unstored.keys())
        if missing:
            left_out.append(f"output '{output.output.name}' is left out: {unstored[missing[0]]}")
            continue
        found[output.output.name] = None
        try:
            if isinstance(output.output, OutputTable):
                found[output.output.name] = _write_table(output, output.output, state, scope, root)
            else:
                found[output.output.name] = output_value(output, scope, state.program.inputs)
        except RenderFailed as error:
            problems.append(error.problem)
        except StorageError as error:
            unwritten += error.problems
    return Outputs(found, tuple(problems), tuple(unwritten), tuple(left_out), _failed_files(linked, found))


def _failed_files(linked: Sequence[LinkedOutput], found: Mapping[str, Json]) -> tuple[str, ...]:
    """The files of the rows that tables lack because they failed."""
    tables = [output.output for output in linked if isinstance(output.output, OutputTable)]
    written = [found[table.name] for table in tables if found.get(table.name)]
    return tuple(failed_file(one["file"]) for one in written if one["failed"])


def failed_file(table: str) -> str:
    return f"{table}.failed.jsonl"


def _reads(output: LinkedOutput, state: RunState) -> frozenset[str]:
    """The steps that an output reads, also for its rows."""
    lane = state.program.linked.lanes.get(output.lane)
    return frozenset(use.step for use in output.uses) | (lane.needs if lane else frozenset())


def _without(state: RunState, unstored: Mapping[str, str]) -> tuple[str, ...]:
    """What a workflow without `outputs` does not print."""
    final = state.program.linked.final_steps
    return tuple(f"the answer of '{name}' is left out: {unstored[name]}" for name in final if name in unstored)


def _write_table(output: LinkedOutput, table: OutputTable, state: RunState, scope: Scope, root: Path) -> Json:
    path = below(root, table.file)
    failed_path = below(root, failed_file(table.file))
    failed: list[TableRow] = []
    kinds = declared_kinds(table, state.program.linked) if path.suffix == ".parquet" else {}
    with open_table(path, tuple(table.columns), kinds) as writer:
        for row in table_rows(output, state, scope):
            if row.problem:
                failed.append(row)
            else:
                writer.write(row.cells)
    if failed:
        with TableWriter(failed_path, ("id", "row", "problem", "item")) as failed_writer:
            for row in failed:
                cells = {"id": row.item.id, "row": row.item.index + 1, "problem": row.problem, "item": row.item.value}
                failed_writer.write(cells)
    elif failed_path.is_file():
        failed_path.unlink()  # ours, of an earlier run: nothing failed now
    return {"file": table.file, "rows": writer.rows, "failed": len(failed)}


def write_saved(state: RunState, root: Path, protected: frozenset[str]) -> Outputs:
    """Write the texts of steps with `save`. Problems name files that may not be written, or are written twice."""
    problems: list[Problem] = []
    unwritten: list[Problem] = []
    written = _tables(state, root)
    for step in state.program.steps.values():
        if step.linked.save is None:
            continue
        for item, outcomes in _texts(step, state):
            try:
                problem = _save(step, item, outcomes, state, root, protected, written)
            except StorageError as error:
                unwritten += error.problems
                continue
            if problem is not None:
                problems.append(problem)
    return Outputs(None, tuple(problems), tuple(unwritten))


def _tables(state: RunState, root: Path) -> dict[Path, str]:
    """Where the tables go, each with what writes it."""
    targets: dict[Path, str] = {}
    for output in state.program.linked.outputs:
        if isinstance(output.output, OutputTable):
            with suppress(StorageError):
                targets[below(root, output.output.file)] = f"output '{output.output.name}'"
    return targets


def check_targets(workflow: Workflow, root: Path, protected: frozenset[str]) -> tuple[Problem, ...]:
    """The files whose names are known before the run and that it may not write, as the disk is now."""
    tables = tuple(output for output in workflow.outputs.values() if isinstance(output, OutputTable))
    steps = ((step, step.save.text) for step in workflow.steps.values() if step.save is not None)
    found = [
        *(_lacks(table) for table in tables),
        *(_check_target(table.file, f"output '{table.name}'", table.at("file"), root, protected) for table in tables),
        *(
            _check_target(name.strip(), f"step '{step.name}'", step.at("save"), root, protected)
            for step, name in steps
            if "{" not in name
        ),
    ]
    return tuple(problem for problem in found if problem is not None)


def _lacks(table: OutputTable) -> Problem | None:
    """What keeps a table of this format from being written here."""
    return missing_library(f"'{table.file}'", table.at("file")) if table.file.endswith(".parquet") else None


def _check_target(name: str, where: str, span: Span, root: Path, protected: frozenset[str]) -> Problem | None:
    try:
        relative = below(root, name).relative_to(root.resolve()).as_posix()
    except StorageError as error:
        return Problem("outside-root", f"{where}: {error.problems[0].message}", span)
    if relative.casefold() in protected or _is_kept(relative):
        return Problem("overwrites", f"{where} would write over '{relative}', which this project reads", span)
    return None


def protected_files(workflow: Workflow, read: Iterable[str]) -> frozenset[str]:
    """The files that no answer may replace, in lower case: a file system may not tell `Flow.yaml` from `flow.yaml`."""
    data = (source.file for source in workflow.data.values())
    inputs = (spec.from_file for spec in workflow.inputs.values())
    return frozenset(
        posixpath.normpath(name).casefold() for name in (*read, *data, *inputs, *shown_files(workflow)) if name
    )


def _texts(step: StepProgram, state: RunState) -> Iterator[tuple[Item, Mapping[str, Outcome]]]:
    """The items whose answer is good, with all that they came to."""
    lane = step.linked.lane
    for item, outcomes in state.walked(lane) if lane else [(ROOT_ITEM, state.root)]:
        if step.name in outcomes and outcomes[step.name].status is Status.GOOD:
            yield item, outcomes


def _save(
    step: StepProgram,
    item: Item,
    own: Mapping[str, Outcome],
    state: RunState,
    root: Path,
    protected: frozenset[str],
    written: dict[Path, str],
) -> Problem | None:
    assert step.linked.save is not None
    span = step.linked.step.at("save")
    where = f"{step.name}[{item.id}]" if item.id else step.name
    views = {name: view_of(other, state.program.steps[name].linked.step) for name, other in own.items()}
    fan_out = step.linked.step.for_each
    names: dict[str, Json] = {"item": item.value, fan_out.name: item.value} if fan_out else {}
    names |= {"group": item.group} if item.group is not None else {}
    scope = state.scope()
    views |= scope.own_views(step.linked.below, step.linked.lane, item.index)
    try:
        name = step.linked.save.render({"inputs": state.program.inputs, "steps": {**scope.views, **views}, **names})
    except RenderFailed as error:
        return error.problem
    problem = _check_target(name.strip(), where, span, root, protected)
    if problem is not None:
        return problem
    path = below(root, name.strip())
    if path in written:
        message = (
            f"{where} would write '{path.relative_to(root.resolve()).as_posix()}', which {written[path]} has written"
        )
        return Problem("written-twice", message, span, fix="make the name differ by item")
    written[path] = where
    write_text(path, str(own[step.name].output))
    return None


def _is_kept(relative: str) -> bool:
    """Files that no answer may replace, whatever the workflow reads."""
    relative = relative.casefold()
    top = relative.partition("/")[0]
    return top in (".git", ".runner", "cache", ".github") or relative in (
        "runner.yaml",
        "runner.lock",
        "pyproject.toml",
    )


def below(root: Path, name: str) -> Path:
    """The resolved path of a file to write, which must lie below the root. Raises StorageError."""
    base = root.resolve()
    if not name or name.endswith("/") or "\0" in name:
        raise StorageError(Problem("outside-root", f"'{name}' is no file name"))
    try:
        path = (base / name).resolve()
        is_folder = path.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # too long, half a character, a circle of links
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no file can be called so"
        raise StorageError(Problem("outside-root", f"'{name[:200]}' is no file name: {reason}")) from None
    if path == base or not path.is_relative_to(base) or is_folder:
        raise StorageError(Problem("outside-root", f"'{name}' is not a file below the project's root"))
    return path
