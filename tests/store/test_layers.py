from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.core.answer import StoredAnswer
from runner.core.outcome import Source
from runner.core.ports import Answers
from runner.store.entry import encode_entry
from runner.store.layers import LayeredAnswers, Scanned
from runner.store.local import LocalStore
from runner.store.memory import MemoryStore
from runner.store.recordings import Recordings


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path / "recordings", lambda _dialect, payload: payload)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def answers(recordings: Recordings, store: MemoryStore, warnings: list[str]) -> LayeredAnswers:
    return LayeredAnswers(recordings, store, warnings.append)


def test_the_layers_are_the_port_that_the_run_asks(answers: Answers) -> None:
    assert answers.lookup([]) == {}


def test_a_committed_answer_is_found_as_cached(answers: LayeredAnswers, make_answer: Any) -> None:
    answer = make_answer()
    answers.commit([answer])
    assert answers.lookup([answer.key, "0" * 64]) == {answer.key: replace(answer, source=Source.CACHED)}


def test_a_recording_wins_over_the_store_and_is_not_looked_up_twice(
    answers: LayeredAnswers, recordings: Recordings, make_answer: Any
) -> None:
    recorded, other = make_answer(), make_answer("other")
    answers.commit([make_answer(payload=b"newer"), other])
    recordings.write([[recorded]])
    found = answers.lookup([recorded.key, other.key])
    assert {key: (one.source, one.payload) for key, one in found.items()} == {
        recorded.key: (Source.RECORDED, recorded.payload),
        other.key: (Source.CACHED, other.payload),
    }
    assert list(answers.lookup([recorded.key])) == [recorded.key]


def test_committing_leaves_the_recordings_alone(answers: LayeredAnswers, tmp_path: Path, make_answer: Any) -> None:
    answers.commit([make_answer()])
    assert not (tmp_path / "recordings").exists()


def test_without_recordings_the_store_answers(store: MemoryStore, warnings: list[str], make_answer: Any) -> None:
    answers = LayeredAnswers(None, store, warnings.append)
    answers.commit([make_answer()])
    assert list(answers.lookup([make_answer().key])) == [make_answer().key]
    assert [one.source for one in answers.scan()] == [Source.CACHED]


def test_a_damaged_entry_is_left_out_and_told_once(
    answers: LayeredAnswers, store: MemoryStore, warnings: list[str], make_answer: Any
) -> None:
    good, bad = make_answer("good"), make_answer("bad")
    answers.commit([good, bad])
    store.put_many({bad.key: b"garbage"})
    for _ in range(3):
        assert list(answers.lookup([bad.key, good.key])) == [good.key]
    assert warnings == [f"the stored answer {bad.key[:12]} is damaged and will not be used: it is too short"]
    assert answers.damaged == {bad.key}


def test_a_damaged_recording_is_told_once_and_the_store_answers(
    answers: LayeredAnswers, recordings: Recordings, tmp_path: Path, warnings: list[str], make_answer: Any
) -> None:
    answer = make_answer()
    recordings.write([[answer]])
    path = tmp_path / "recordings" / answer.key[:2] / f"{answer.key[2:]}.json"
    path.write_text("{}")
    answers.commit([answer])
    for _ in range(2):
        assert answers.lookup([answer.key])[answer.key].source is Source.CACHED
    assert warnings == [f"the recording {path} will not be used: it is not a recording of this format"]


def test_a_damaged_entry_is_kept_aside_when_a_new_answer_comes(
    answers: LayeredAnswers, store: MemoryStore, warnings: list[str], make_answer: Any
) -> None:
    answer, poisoned = make_answer(), make_answer("poisoned")
    store.put_many({answer.key: b"garbage", poisoned.key: b""})
    answers.lookup([answer.key, poisoned.key])
    answers.commit([answer, poisoned])
    assert answers.damaged == frozenset()
    assert dict(store.scan()) == {
        answer.key: encode_entry(answer),
        poisoned.key: encode_entry(poisoned),
        f"damaged-{answer.key}": b"garbage",
    }
    assert {(one.key, one.damage) for one in answers.scan()} == {
        (answer.key, ""),
        (poisoned.key, ""),
        (f"damaged-{answer.key}", "it was damaged before and is kept aside"),
    }


def test_committing_nothing_proves_that_the_store_can_be_written(make_answer: Any) -> None:
    class Watched(MemoryStore):
        puts = 0

        def put_many(self, entries: Mapping[str, bytes]) -> None:
            self.puts += 1

    store = Watched()
    LayeredAnswers(None, store, print).commit([])
    assert store.puts == 1


def test_a_scan_goes_through_all_layers_and_gives_the_reason_of_each_damage(
    answers: LayeredAnswers, recordings: Recordings, store: MemoryStore, tmp_path: Path, make_answer: Any
) -> None:
    recorded, broken, cached = make_answer("recorded"), make_answer("broken"), make_answer("cached")
    recordings.write([[recorded], [broken]])
    (tmp_path / "recordings" / broken.key[:2] / f"{broken.key[2:]}.json").write_text("[]")
    answers.commit([cached])
    store.put_many({"row-7": b""})

    def shown(one: Scanned) -> tuple[str, Source, bool, str]:
        return (one.key, one.source, isinstance(one.answer, StoredAnswer), one.damage)

    assert {shown(one) for one in answers.scan()} == {
        (recorded.key, Source.RECORDED, True, ""),
        (broken.key, Source.RECORDED, False, "it is not a recording of this format"),
        (cached.key, Source.CACHED, True, ""),
        ("row-7", Source.CACHED, False, "it is too short"),
    }
    assert all(one.size_bytes > 0 for one in answers.scan() if one.answer)


def test_a_poisoned_row_of_the_local_store_is_a_damaged_entry(
    tmp_path: Path, warnings: list[str], make_answer: Any
) -> None:
    answer = make_answer()
    store = LocalStore(tmp_path / "local", wait_s=0)
    answers = LayeredAnswers(None, store, warnings.append)
    answers.commit([answer])
    with closing(sqlite3.connect(tmp_path / "local" / "cache.db")) as connection:
        connection.execute("UPDATE Cache SET mode = 4, value = ?", (pickle.dumps(print),))
        connection.commit()
    assert answers.lookup([answer.key]) == {}
    assert warnings == [f"the stored answer {answer.key[:12]} is damaged and will not be used: it is too short"]
    answers.commit([answer])
    assert list(answers.lookup([answer.key])) == [answer.key]
    store.close()
