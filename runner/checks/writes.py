"""Files that a workflow writes: `save` and tables."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.checks.media import shown_files
from runner.core.problem import Problem
from runner.core.span import Span
from runner.core.workflow import OutputTable, Template


def check_writes(context: CheckContext) -> Iterator[Problem]:
    """`save` needs a text step; a written file must not be one that is read, nor be written twice."""
    for step in context.linked.workflow.steps.values():
        if step.save is not None and step.schema is not None:
            yield Problem(
                "save-needs-text",
                f"step '{step.name}' saves its answer, but its answer is JSON",
                step.at("save"),
                expected="a step without schema and fields",
                fix="leave the schema out, or write a table under outputs",
            )
        if step.save is not None and step.samples is not None:
            yield Problem(
                "save-needs-text",
                f"step '{step.name}' saves its answer, but it has {step.samples} of them",
                step.at("save"),
                fix="leave samples out",
            )
        if step.save is not None and step.for_each is not None and _is_fixed(step.save):
            yield Problem(
                "written-twice",
                f"step '{step.name}' saves the answer of every item under one name",
                step.at("save"),
                fix="make the name differ by item",
                severity="warning",
            )
    yield from _targets(context)


def _targets(context: CheckContext) -> Iterator[Problem]:
    written: dict[str, tuple[str, Span]] = {}
    told: set[tuple[str, tuple[str, Span]]] = set()
    workflow = context.linked.workflow
    read = {source.file for source in workflow.data.values()} | {spec.from_file for spec in workflow.inputs.values()}
    read |= set(shown_files(workflow))
    for title, name, span in _written(context):
        path = posixpath.normpath(name)
        if path.startswith("/") or path.split("/")[0] == "..":
            message = f"{title} would write '{name}', which lies outside the project"
            yield Problem("outside-root", message, span, "a path below the project root, and relative to it")
        if path in context.files or path in read:
            yield Problem("overwrites", f"{title} would write over '{path}', which this project reads", span)
        if path in written and (title, written[path]) not in told:
            other, place = written[path]
            told.add((title, written[path]))
            yield Problem("written-twice", f"{title} writes '{path}', and {other} ({place}) writes it too", span)
        written.setdefault(path, (title, span))


def _written(context: CheckContext) -> Iterator[tuple[str, str, Span]]:
    for output in context.linked.workflow.outputs.values():
        if isinstance(output, OutputTable):
            yield f"output '{output.name}'", output.file, output.at("file")
            yield f"output '{output.name}'", f"{output.file}.failed.jsonl", output.at("file")
    for step in context.linked.workflow.steps.values():
        if step.save is not None and _is_fixed(step.save):
            yield f"step '{step.name}'", step.save.text.strip(), step.at("save")


def _is_fixed(name: Template) -> bool:
    """Whether a file's name is known before anything is rendered."""
    return "{" not in name.text
