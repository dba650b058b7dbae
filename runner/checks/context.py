"""What the checks read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from runner.core.model import Route
from runner.core.ports import Dialect
from runner.link.linked import Linked


@dataclass(frozen=True, slots=True)
class CheckContext:
    """A linked workflow, the route of each step whose model is known, and the files that the project reads."""

    linked: Linked
    routes: Mapping[str, Route]
    dialect_of: Callable[[Route], Dialect]
    files: frozenset[str] = field(default_factory=frozenset)
