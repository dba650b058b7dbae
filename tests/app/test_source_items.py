from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.app.source_items import items_of
from runner.core.aside import InMemory
from runner.plan.items import Row, identify
from runner.rows import repeats

_KEYS = st.lists(st.sampled_from(["a", "b", "a#2", "a#2#", "a#", "c", "", "line-3"]), max_size=10)


@given(_KEYS, st.sampled_from(["id", ""]), st.integers(0, 3))
def test_the_items_of_a_source_are_those_of_its_rows(keys: list[str], key: str, most_kept: int) -> None:
    rows = [Row({"id": name}, line, "bad" if name == "c" else "") for line, name in enumerate(keys, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "MOST_KEPT", most_kept)
        patch.setattr(repeats, "RUN", 3)
        assert list(items_of(rows, key, InMemory())) == list(identify(rows, key))
