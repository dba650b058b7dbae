"""The nodes of a workflow file and its includes → `Workflow`."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from runner.config.derived_file import read_derivation
from runner.config.including import included, is_suite_name, merged, stem, verified, without_echoes
from runner.config.keys import Keys, as_expression
from runner.config.nodes import Entry, MappingNode, Node, ScalarNode, dotted_spans, mapping_of, pointer_spans, to_value
from runner.config.reading import Reading, base_of
from runner.config.step_file import StepReader, read_schema, thinking_of
from runner.config.verify import Findings
from runner.config.workflow_grammar import INCLUDED, WORKFLOW
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import (
    Budget,
    DataFormat,
    DataSource,
    InputSpec,
    ModelAlias,
    Output,
    OutputTable,
    OutputValue,
    SchemaSource,
    Step,
    Workflow,
)

FORMATS: Mapping[str, DataFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_SECTIONS = {"models": "model", "inputs": "input", "data": "data source", "steps": "step"}
_NOT_SCHEMA = ("default", "from_env", "from_file")


def read_workflow(node: Node, file: str, reading: Reading) -> Workflow | None:
    """What the author meant, as far as it can be read; all that is wrong goes to `reading.problems`.

    With problems the workflow is there to look for further mistakes, not to be run. None when the text is not a
    workflow at all.
    """
    if (suite := _suite(node, file)) is not None:
        reading.problems.append(suite)
        return None
    findings = Findings()
    top = verified(node, WORKFLOW, "the workflow", findings)
    if top is None:
        reading.problems += findings.problems
        return None
    keys = Keys(top, findings.rejected)
    others = tuple(included(keys, INCLUDED, (file, "the workflow"), reading, findings))
    tops = [top, *(other for _, other in others)]
    reading.problems += without_echoes(findings.problems, reading.problems)
    sections = {name: merged(name, noun, tops, findings, reading) for name, noun in _SECTIONS.items()}
    reader = _Reader(reading, findings)
    steps = StepReader(reading, findings.rejected, keys.mapping("defaults"))
    return Workflow(
        span=Span(file, 1, 1),
        spans={entry.key: entry.value.span for entry in top.entries},
        file=file,
        name=keys.text("name") or stem(file),
        description=keys.text("description") or "",
        models=read_models(sections["models"], findings),
        inputs={entry.key: reader.input(entry) for entry in sections["inputs"]},
        data={entry.key: reader.data(entry) for entry in sections["data"]},
        steps=_steps(sections["steps"], steps),
        outputs={entry.key: output for entry in keys.entries("outputs") if (output := reader.output(entry))},
        includes={other.span.file: span for span, other in others},
        budget=read_budget(keys),
    )


def read_budget(keys: Keys) -> Budget | None:
    """The budget of a workflow or of the settings."""
    budget = keys.below("budget")
    if budget is None:
        return None
    return Budget(
        span=keys.place("budget"),
        spans=dotted_spans(budget.node),
        usd=budget.number("usd"),
        calls=budget.whole("calls"),
        tokens=budget.whole("tokens"),
    )


def read_models(entries: Sequence[Entry], findings: Findings) -> dict[str, ModelAlias]:
    """Model aliases of a workflow or of the settings."""
    found = ((entry, _alias(entry, findings)) for entry in entries)
    return {entry.key: alias for entry, alias in found if alias is not None}


def _alias(entry: Entry, findings: Findings) -> ModelAlias | None:
    node = entry.value
    if isinstance(node, MappingNode):
        keys = Keys(node, findings.rejected)
        use = keys.text("use") or ""
        spans = dotted_spans(node)
        return ModelAlias(span=entry.key_span, spans=spans, name=entry.key, use=use, thinking=thinking_of(keys))
    if isinstance(node, ScalarNode) and id(node) not in findings.rejected:
        return ModelAlias(span=entry.key_span, spans={"use": node.span}, name=entry.key, use=node.raw)
    return None


def _steps(entries: Sequence[Entry], reader: StepReader) -> dict[str, Step]:
    steps = {entry.key: reader.read(entry.key, entry.key_span, entry.value) for entry in entries}
    reader.report_missing_models(len(steps))
    return steps


def _suite(node: Node, file: str) -> Problem | None:
    """A suite where a workflow is asked for."""
    if not isinstance(node, MappingNode) or "cases" not in node.index or "steps" in node.index:
        return None
    span = node.index["cases"].key_span
    if is_suite_name(file):
        message = "this is a suite, and not the workflow that it is of"
        return Problem(
            "not-a-workflow", message, span, "a workflow, which has the key 'steps'", fix=f"runner test {file}"
        )
    message = "this is a suite, and the name of a suite's file ends in .suite.yaml"
    fix = f"rename the file to {stem(file)}.suite.yaml"
    return Problem("suite-name", message, span, "a workflow, which has the key 'steps'", fix=fix)


# --- inputs, data and outputs


class _Reader:
    def __init__(self, reading: Reading, findings: Findings) -> None:
        self.reading = reading
        self.findings = findings

    def _keys(self, entry: Entry) -> Keys:
        node = entry.value if isinstance(entry.value, MappingNode) else mapping_of(entry.value.span, ())
        return Keys(node, self.findings.rejected)

    def input(self, entry: Entry) -> InputSpec:
        keys = self._keys(entry)
        default = keys.get("default")
        return InputSpec(
            span=entry.key_span,
            spans=dotted_spans(keys.node),
            name=entry.key,
            schema=_input_schema(keys),
            description=keys.text("description") or "",
            default=None if default is None else (to_value(default),),
            from_env=keys.text("from_env") or "",
            from_file=self._path(keys, "from_file"),
        )

    def data(self, entry: Entry) -> DataSource:
        keys = self._keys(entry)
        is_stdin = keys.text("file") == "-"
        glob = keys.get("glob")
        if isinstance(glob, ScalarNode):
            self.reading.resolve(glob.raw, glob.span)  # a pattern cannot lie outside the root either
        file = "-" if is_stdin else self._path(keys, "file")
        return DataSource(
            span=entry.key_span,
            spans=dotted_spans(keys.node, leave_out=frozenset({"schema"})),
            name=entry.key,
            file=file,
            format=FORMATS.get(posixpath.splitext(file)[1], "jsonl"),
            key=keys.text("key") or "",
            schema=read_schema(keys, self.reading, f"data source '{entry.key}'") or _file_rows(glob),
            glob=keys.text("glob") or "",
            base=base_of(keys.node.span),
            made=read_derivation(keys),
        )

    def output(self, entry: Entry) -> Output | None:
        if id(entry.value) in self.findings.rejected:
            return None
        if isinstance(entry.value, MappingNode):
            return self._table(entry)
        expression = as_expression(entry.value)
        return OutputValue(span=entry.value.span, name=entry.key, expression=expression) if expression else None

    def _table(self, entry: Entry) -> OutputTable | None:
        keys = self._keys(entry)
        rows, file = keys.expression("rows"), keys.get("file")
        columns = {column.key: as_expression(column.value) for column in keys.entries("columns")}
        if rows is None or not isinstance(file, ScalarNode):
            return None
        return OutputTable(
            span=entry.key_span,
            spans=dotted_spans(keys.node),
            name=entry.key,
            rows=rows,
            file=self.reading.resolve_in_root(file.raw, file.span) or "",
            columns={name: column for name, column in columns.items() if column is not None},
        )

    def _path(self, keys: Keys, key: str) -> str:
        node = keys.get(key)
        return (self.reading.resolve(node.raw, node.span) or "") if isinstance(node, ScalarNode) else ""


def _file_rows(glob: Node | None) -> SchemaSource | None:
    """The rows of a source with `glob`: what is known of a file by its name."""
    if glob is None:
        return None
    columns = ("path", "name", "stem", "suffix")
    properties = {name: {"type": "string"} for name in columns}
    closed = {"required": list(columns), "additionalProperties": False}
    return SchemaSource({"type": "object", "properties": properties, **closed}, glob.span)


def _input_schema(keys: Keys) -> SchemaSource:
    free = [entry.key for entry in keys.node.entries if entry.key.startswith("x-")]
    node = keys.without((*_NOT_SCHEMA, *free))
    return SchemaSource(to_value(node), node.span, base=base_of(node.span), spans=pointer_spans(node))
