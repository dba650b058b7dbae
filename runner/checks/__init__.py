"""Static findings over a linked workflow. Checks return problems and never raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runner.checks.budget import check_budget
from runner.checks.conditions import check_conditions
from runner.checks.context import CheckContext
from runner.checks.contexts import check_contexts
from runner.checks.derived import check_derived
from runner.checks.effects import check_effects
from runner.checks.files import check_files
from runner.checks.inputs import check_inputs
from runner.checks.letters import check_letters
from runner.checks.lists import check_lists
from runner.checks.loops import check_loops
from runner.checks.media import check_media
from runner.checks.models import check_models
from runner.checks.outputs import check_outputs
from runner.checks.own_tools import check_own_tools
from runner.checks.references import check_references
from runner.checks.schemas import check_schemas
from runner.checks.sizes import check_sizes
from runner.checks.tools import check_tools
from runner.checks.unused import check_unused
from runner.checks.writes import check_writes
from runner.core.problem import Problem

ALL_CHECKS: tuple[Callable[[CheckContext], Iterator[Problem]], ...] = (
    check_models,
    check_schemas,
    check_sizes,
    check_files,
    check_media,
    check_writes,
    check_inputs,
    check_references,
    check_derived,
    check_conditions,
    check_loops,
    check_unused,
    check_effects,
    check_budget,
    check_letters,
    check_lists,
    check_outputs,
    check_tools,
    check_own_tools,
    check_contexts,
)


def check(context: CheckContext) -> tuple[Problem, ...]:
    """All findings, in the order of the checks."""
    return tuple(problem for run in ALL_CHECKS for problem in run(context))
