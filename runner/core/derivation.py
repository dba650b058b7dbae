"""How rows are made from other rows, as its author meant it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from runner.core.frozen import dataclass
from runner.core.located import Located
from runner.core.values import Expression

DESCENDING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Located):
    """Rows of another source that have the same value in a field; they stand in a row under the name of their source."""

    other: Expression
    on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation(Located):
    """`rows` are joined, spread into elements, sifted, grouped, given columns, sorted and cut off, in this order."""

    rows: Expression
    join: Join | None = None
    each: Expression | None = None
    where: Expression | None = None
    group: tuple[str, ...] = ()
    columns: Mapping[str, Expression] = field(default_factory=dict)
    sort: tuple[str, ...] = ()
    limit: int | None = None

    @property
    def is_barrier(self) -> bool:
        """Whether all rows must be there before the first one is made."""
        return bool(self.group or self.sort or self.join)

    @property
    def keeps_groups(self) -> bool:
        """Whether the rows of each group can be read where its row is walked: not where it has columns instead."""
        return bool(self.group) and not self.columns
