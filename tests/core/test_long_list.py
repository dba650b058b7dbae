from __future__ import annotations

from typing import Any

import pytest

from runner.core.canonical import Json
from runner.core.long_list import LongList


class Squares(LongList):
    """The first square numbers, none of them kept."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Json:
        return [number**2 for number in range(self._count)][index]

    def digest(self) -> str:
        return "squares"


def test_a_long_list_equals_a_list_of_the_same_elements() -> None:
    assert Squares(3) == [0, 1, 4]
    assert [0, 1, 4] == Squares(3)  # noqa: SIM300 -- the other way round is another question
    assert Squares(3) == Squares(3)
    assert Squares(3) != [0, 1]
    assert Squares(3) != [0, 1, 5]
    assert Squares(3) != "014"


def test_a_long_list_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Squares(1))
