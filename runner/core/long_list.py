"""A list that is not in memory as a whole."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from runner.core.canonical import Json


class LongList(Sequence[Json]):
    """It is read piece by piece, and equals a list with the same elements. A slice of it is a list."""

    __slots__ = ()

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 over all elements."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | tuple | LongList):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list has none
