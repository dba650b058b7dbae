"""What the checks read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from runner.core.frozen import dataclass
from runner.core.media import MediumKind
from runner.core.model import Route
from runner.core.ports import Dialect, FindMedium, ReadFile
from runner.core.problem import Problem
from runner.core.workflow import Budget, Step
from runner.link.linked import Linked


@dataclass(frozen=True, slots=True)
class CheckContext:
    """A linked workflow, the route of each step whose model is known, and the files that the project reads.

    `find` says what is wrong with a file to be read, or None; `read` reads one, for schemas (None: not looked into); `given` names the data sources and inputs that the
    command line replaces. `is_whole` is false where parts of the file could not be read. `is_named_elsewhere` says
    whether a name of the workflow may be used by files that are no workflows, such as suites; `settings_budget` is that of
    `runner.yaml`. `look` looks at the files that a step shows (None: nobody does). `takers` names the models that see a
    kind of file, those of a provider first.
    """

    linked: Linked
    routes: Mapping[str, Route]
    dialect_of: Callable[[Route], Dialect]
    find: Callable[[str], Problem | None]
    files: frozenset[str] = field(default_factory=frozenset)
    given: frozenset[str] = field(default_factory=frozenset)
    read: ReadFile | None = None
    is_whole: bool = True
    settings_budget: Budget | None = None
    look: Callable[[Step], FindMedium] | None = None
    is_named_elsewhere: Callable[[str], bool] = lambda name: False  # noqa: ARG005
    takers: Callable[[MediumKind, str], Sequence[str]] = lambda kind, provider: ()  # noqa: ARG005
