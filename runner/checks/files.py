"""Files that a workflow reads while it runs: rows and inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runner.checks.context import CheckContext
from runner.core.problem import Problem
from runner.core.span import Span


def check_files(context: CheckContext) -> Iterator[Problem]:
    """Files of data sources and inputs that are missing, outside the root or no files."""
    for path, span in _named(context):
        problem = context.find(path)
        if problem is not None:
            yield replace(problem, span=span)


def _named(context: CheckContext) -> Iterator[tuple[str, Span]]:
    workflow = context.linked.workflow
    for name, source in workflow.data.items():
        if source.file not in ("", "-") and name not in context.given:
            yield source.file, source.at("file")
    for name, spec in workflow.inputs.items():
        if spec.from_file and name not in context.given:
            yield spec.from_file, spec.at("from_file")
