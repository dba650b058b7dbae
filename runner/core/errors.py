"""What the user can act on. Anything else that is raised is our bug.

Errors carry facts and format nothing; `cli/main.py` turns them into text and an exit code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from runner.core.problem import Problem


class RunnerError(Exception):
    """Something the user can act on: one or more problems, and the texts their places point into."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Problem | Sequence[Problem], sources: Mapping[str, str] | None = None) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.sources: Mapping[str, str] = sources or {}
        super().__init__("; ".join(problem.message for problem in self.problems))


class UsageError(RunnerError):
    """A wrong option, argument or input; nothing was called."""


class FileError(RunnerError):
    """A file that is missing, unreadable, outside the root, or wrong inside; nothing was called."""


class OverBudget(RunnerError):
    """The run must cost more than it may; nothing was called."""

    exit_code = 4


class NothingSelected(RunnerError):
    """The selection matches nothing."""

    exit_code = 5


class CallNeeded(RunnerError):
    """A call would be needed where none is allowed (`--offline`, a stale lock)."""

    exit_code = 6


class ProviderError(RunnerError):
    """Provider or network trouble that no retry heals."""

    exit_code = 3


class StorageError(RunnerError):
    """The cache or the run record cannot be read or written."""

    exit_code = 3
