"""What a workflow declares and nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from runner.checks.context import CheckContext
from runner.core.problem import Problem


def check_unused(context: CheckContext) -> Iterator[Problem]:
    """Inputs and data sources that no text reads. What an included file declares may be meant for others."""
    linked = context.linked
    if not context.is_whole or any(problem.is_error for problem in linked.problems):
        return  # what is mistaken may be the very text that was to read it
    workflow = linked.workflow
    read = {found.path for text in linked.typing.texts for found in text.readings.references}
    names = {path[:2] for path in read}
    for name, spec in workflow.inputs.items():
        if not {("inputs", name), ("inputs",)} & names and spec.span.file == workflow.span.file:
            fix = f"read it as inputs.{name}, or leave it out"
            yield Problem("unused-input", f"nothing reads input '{name}'", spec.span, fix=fix, severity="warning")
    for name, source in workflow.data.items():
        if ("data", name) not in names and source.span.file == workflow.span.file:
            fix = f"walk it with for_each: data.{name}, or leave it out"
            yield Problem(
                "unused-data", f"nothing reads data source '{name}'", source.span, fix=fix, severity="warning"
            )
