"""What a workflow declares and nothing reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.checks.context import CheckContext
from runner.core.problem import Problem
from runner.core.workflow import Located, Workflow
from runner.link.linked import Linked
from runner.link.stages import needs_of


def check_unused(context: CheckContext) -> Iterator[Problem]:
    """Inputs, data sources, steps, names of models and included files that nothing uses.

    What an included file declares may be meant for others.
    """
    linked = context.linked
    if not context.is_whole or any(problem.is_error for problem in linked.problems):
        return  # what is mistaken may be the very text that was to read it
    read = _read_names(linked)
    yield from _inputs_and_data(linked.workflow, read)
    yield from _steps(context)
    yield from _aliases(context)
    yield from _includes(linked.workflow, read)


def _read_names(linked: Linked) -> frozenset[tuple[str, ...]]:
    """The first two parts of all paths that are read."""
    return frozenset(found.path[:2] for text in linked.typing.texts for found in text.readings.references)


def _is_own(one: Located, workflow: Workflow) -> bool:
    return one.span.file == workflow.span.file


def _is_read(section: str, name: str, read: frozenset[tuple[str, ...]]) -> bool:
    return bool({(section, name), (section,)} & read)


def _inputs_and_data(workflow: Workflow, read: frozenset[tuple[str, ...]]) -> Iterator[Problem]:
    for name, spec in workflow.inputs.items():
        if _is_own(spec, workflow) and not _is_read("inputs", name, read):
            yield _unused("input", f"nothing reads input '{name}'", spec, f"read it as inputs.{name}, or leave it out")
    for name, source in workflow.data.items():
        if _is_own(source, workflow) and not _is_read("data", name, read):
            fix = f"walk it with for_each: data.{name}, or leave it out"
            yield _unused("data", f"nothing reads data source '{name}'", source, fix)


def _unused(kind: str, message: str, one: Located, fix: str) -> Problem:
    return Problem(f"unused-{kind}", message, one.span, fix=fix, severity="warning")


# --- steps


def _steps(context: CheckContext) -> Iterator[Problem]:
    """Steps that lead to no declared output and do nothing else that can be meant; told where a chain of them ends."""
    linked = context.linked
    if not linked.workflow.outputs:
        return
    idle = linked.steps.keys() - _reached(linked)
    needed = frozenset[str]().union(*(needs_of(name, linked.steps, linked.lanes) for name in idle))
    for name in linked.steps:
        step = linked.steps[name].step
        if name in idle - needed and _is_own(step, linked.workflow) and not context.is_named_elsewhere(name):
            message = f"nothing reads the answer of step '{name}', and no output needs it: it is paid for nothing"
            yield _unused("step", message, step, "read it under outputs, or leave the step out")


def _reached(linked: Linked) -> frozenset[str]:
    """The steps that outputs, written files, conditions and selections by tag need, over any number of steps."""
    waiting = {use.step for output in linked.outputs for use in output.uses}
    waiting |= {name for output in linked.outputs if output.lane for name in linked.lanes[output.lane].needs}
    waiting |= {name for name, one in linked.steps.items() if one.step.save or one.step.ensure or one.step.tags}
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= needs_of(name, linked.steps, linked.lanes) - found
    return frozenset(found)


# --- names of models and included files


def _used_aliases(workflow: Workflow) -> frozenset[str]:
    waiting = {step.model for step in workflow.asked.values()}
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        if name in workflow.models:
            waiting |= {workflow.models[name].use} - found
    return frozenset(found)


def _aliases(context: CheckContext) -> Iterator[Problem]:
    workflow = context.linked.workflow
    if context.routes.keys() != workflow.asked.keys():
        return  # a model that is not found may be a name of these, misspelt
    used = _used_aliases(workflow)
    for name, alias in workflow.models.items():
        if name not in used and _is_own(alias, workflow) and not context.is_named_elsewhere(name):
            yield _unused("model", f"no step uses the model name '{name}'", alias, f"model: {name}, or leave it out")


def _includes(workflow: Workflow, read: frozenset[tuple[str, ...]]) -> Iterator[Problem]:
    """Included files of which nothing is used; a step of theirs is, since it runs."""
    aliases = _used_aliases(workflow)
    used = {step.span.file for step in workflow.steps.values()}
    used |= {alias.span.file for name, alias in workflow.models.items() if name in aliases}
    sections: tuple[tuple[str, Mapping[str, Located]], ...] = (("inputs", workflow.inputs), ("data", workflow.data))
    for section, named in sections:
        used |= {one.span.file for name, one in named.items() if _is_read(section, name, read)}
    for file, span in workflow.includes.items():
        if file not in used:
            message = f"nothing of the included file {file} is used"
            yield Problem("unused-include", message, span, fix="leave it out", severity="warning")
