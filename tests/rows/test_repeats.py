from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.aside import InMemory
from runner.rows import repeats
from runner.rows.repeats import Names, Repeated


def repeated(names: list[str]) -> Repeated:
    seen = Names(InMemory())
    for name in names:
        seen.add(name)
    return seen.repeated()


@given(st.lists(st.sampled_from([*"abcdefgh", ""]), max_size=60), st.integers(1, 9), st.integers(1, 4))
def test_what_comes_again_is_found_however_many_runs_are_written(names: list[str], run: int, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "RUN", run)
        patch.setattr(repeats, "_CHUNK", chunk)
        found = repeated(names)
    counts = Counter(names)
    assert found.rows == sum(count - 1 for count in counts.values())
    assert found.hashes == {hash(name) for name, count in counts.items() if count > 1}


def test_of_very_many_that_come_again_some_are_kept_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_KEPT", 3)
    found = repeated([str(number) for number in range(10)] * 2)
    assert found.rows == 10
    assert len(found.hashes) == 3
