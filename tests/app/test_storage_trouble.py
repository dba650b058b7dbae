"""A cache or a record that cannot be read or written: one clear message, nothing paid for, nothing lost."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.core.errors import StorageError
from runner.core.problem import Problem, render
from runner.record.journal import read_journal
from runner.store.local import LocalStore

ONE_STEP = """
format: 1
steps:
  ask:
    model: box/small
    prompt: "ask about tea"
    fields: {word: string}
"""
GOOD = '{"word": "tea"}'

LANE = """
format: 1
data: {rows: {file: rows.jsonl, key: id}}
steps:
  tag:
    model: box/small
    for_each: data.rows
    prompt: "tag {{ item.id }} x"
outputs:
  count: steps.tag.texts | length
  table: {rows: data.rows, file: out/table.jsonl, columns: {id: item.id, label: steps.tag.text}}
"""


@pytest.fixture
def one(project: Any) -> Any:
    project.workflow(ONE_STEP)
    project.server.respond = lambda *_: project.Answer(text=GOOD)
    return project


@pytest.fixture
def lane(project: Any, make_rows: Callable[[Any], str]) -> Any:
    project.workflow(LANE)
    project.write("rows.jsonl", make_rows([{"id": f"r{number:03d}"} for number in range(60)]))
    project.server.respond = lambda *_: project.Answer(text="fine")
    return project


def refused(project: Any) -> Problem:
    """The one problem of a run that ends with 3 before anything is paid."""
    with pytest.raises(StorageError) as caught:
        project.run()
    assert project.server.count == 0
    assert len(caught.value.problems) == 1
    assert caught.value.exit_code == 3
    return caught.value.problems[0]


def test_a_cache_that_is_a_file_is_told_before_a_call(one: Any) -> None:
    one.write("cache", "I am a file")
    problem = refused(one)
    assert problem.message == f"the cache in {one.root}/cache/local cannot be used: a file is in the way"
    assert problem.fix == "make the folder readable and writable for you, or run with --no-cache"
    assert not (one.root / ".runner").exists(), "a run that never began has no record"
    assert one.run(use_cache=False).exit_code == 0


def test_a_damaged_database_is_told_before_a_call(one: Any) -> None:
    one.write("cache/local/cache.db", "this is no database at all, but long enough to be looked at " * 40)
    problem = refused(one)
    assert problem.code == "cache-damaged"
    assert problem.message == f"the cache database in {one.root}/cache/local is damaged: file is not a database"
    assert problem.fix == "move the folder away and run again; recordings are not affected"


def test_a_record_that_is_a_file_is_told_before_a_call(one: Any) -> None:
    one.write(".runner", "I am a file")
    problem = refused(one)
    assert problem.message == f"the run record {one.root}/.runner/runs cannot be written: a file is in the way"


def test_a_failed_start_leaves_nothing_open(one: Any) -> None:
    one.write(".runner", "I am a file")
    before = set(Path("/proc/self/fd").iterdir())
    refused(one)
    assert set(Path("/proc/self/fd").iterdir()) <= before


def bow_to_permissions() -> None:
    """In a child, before it runs: even the super-user is held by the bits of a folder (Linux)."""
    drop_from_bounding_set, override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, override, 0, 0, 0)


@pytest.mark.parametrize("is_stored", [False, True], ids=["cold", "stored"])
def test_a_read_only_project_is_one_message(one: Any, is_stored: bool) -> None:
    if is_stored:
        one.run()
    asked = one.server.count
    folders = [one.root, *(path for path in one.root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    command = [sys.executable, "-B", "-m", "runner", "run", "flow.yaml", "--no-progress"]
    try:
        ended = subprocess.run(
            command, cwd=one.root, capture_output=True, timeout=60, check=False, preexec_fn=bow_to_permissions
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    text = ended.stderr.decode()
    assert (ended.returncode, ended.stdout) == (3, b""), text
    assert ("record-unwritable: the run record " if is_stored else "cache-unwritable: the cache in ") in text
    assert ": Permission denied" in text
    assert "Traceback" not in text
    assert one.server.count == asked


class FullStore(LocalStore):
    """A cache whose disk is full from the n-th write on; the first write of nothing proves that it works."""

    room = 0

    def put_many(self, entries: Any) -> None:
        if entries and type(self).room <= 0:
            raise StorageError(Problem("disk-full", "no space is left for the cache", fix="free some space"))
        type(self).room -= len(entries)
        super().put_many(entries)


@pytest.fixture
def full_store(monkeypatch: pytest.MonkeyPatch) -> type[FullStore]:
    monkeypatch.setattr("runner.app.session.LocalStore", FullStore)
    FullStore.room = 0
    return FullStore


def test_the_last_answer_that_cannot_be_kept_is_delivered_and_told(one: Any, full_store: type[FullStore]) -> None:
    result = one.run()
    assert result.outputs == {"word": "tea"}
    assert result.exit_code == 3
    assert [problem.message for problem in result.problems] == [
        "no space is left for the cache; answers received since are used but not kept"
    ]
    assert result.problems[0].fix == "free some space"
    last = list(read_journal(one.root / ".runner/runs/r1/journal.jsonl"))[-1]
    assert (last["status"], last["exit_code"]) == ("failed", 3)
    full_store.room = 10
    assert one.run().exit_code == 0
    assert one.server.count == 1


def test_on_a_full_disk_nothing_more_is_asked_and_what_came_is_used(lane: Any, full_store: type[FullStore]) -> None:
    full_store.room = 10
    result = lane.run(parallel=4)
    assert result.exit_code == 3
    assert lane.server.count <= 10 + 2 * 4
    assert result.outputs["table"]["rows"] == lane.server.count, "every answer that came stands in the table"
    assert [problem.code for problem in result.problems] == ["storage", "disk-full"]
    assert "not asked, because its answer could not be kept" in result.problems[0].message
    paid = lane.server.count
    full_store.room = 1000
    assert lane.run().exit_code == 0
    assert 60 - paid <= lane.server.count <= 50


def test_a_record_that_breaks_off_does_not_cost_the_answers(lane: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.write, [4]

    def write(fd: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink().name == "journal.jsonl":
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    monkeypatch.setattr("runner.record.journal.os.write", write)
    result = lane.run()
    assert (result.exit_code, result.outputs["count"]) == (3, 60)
    assert [problem.code for problem in result.problems] == ["record-unwritable"]
    assert "journal.jsonl cannot be written: No space left on device" in result.problems[0].message
    left[0] = 10_000
    assert lane.run().exit_code == 0
    assert lane.server.count == 0


def test_one_full_disk_is_told_once(lane: Any, full_store: type[FullStore], monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if full_store.room <= 0 and Path(f"/proc/self/fd/{fd}").readlink().name == "journal.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    def refuse(path: Path) -> tuple[Path, Any]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    full_store.room = 10
    monkeypatch.setattr("runner.record.journal.os.write", write)
    monkeypatch.setattr("runner.rows.write.open_beside", refuse)
    result = lane.run(parallel=4)
    assert result.exit_code == 3
    assert [problem.code for problem in result.problems] == ["storage", "disk-full"]
    told = render(result.problems[1], {}).replace(str(lane.root), "ROOT")
    assert told == (
        "disk-full: no space is left for the cache; answers received since are used but not kept\n"
        "  also:     'ROOT/out/table.jsonl' cannot be written\n"
        "  also:     the run record ROOT/.runner/runs/r1/journal.jsonl cannot be written\n"
        "  fix:      free some space"
    )


def test_a_record_that_cannot_begin_stops_the_run_before_a_call(one: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("runner.record.journal.os.write", write)
    assert refused(one).code == "record-unwritable"


def test_a_table_that_cannot_be_written_takes_nothing_with_it(lane: Any) -> None:
    lane.write("out", "a file where the folder should be")
    result = lane.run()
    assert result.exit_code == 3
    assert result.outputs == {"count": 60, "table": None}
    assert [problem.code for problem in result.problems] == ["unwritable"]
    (lane.root / "out").unlink()
    healed = lane.run()
    assert (healed.exit_code, healed.outputs["table"]["rows"], lane.server.count) == (0, 60, 0)


def test_recordings_that_cannot_be_written_take_nothing_with_them(one: Any) -> None:
    one.write("cache/recordings", "a file where the folder should be")
    result = one.run(record=True)
    assert (result.exit_code, result.outputs) == (3, {"word": "tea"})
    assert len(result.problems) == 1
    (one.root / "cache/recordings").unlink()
    assert one.run(record=True).exit_code == 0
    assert one.server.count == 0


@pytest.mark.slow
@pytest.mark.parametrize("limit", [40_000, 60_000, 90_000, 140_000])
def test_a_full_disk_at_any_place_gives_one_story_and_no_traceback(lane: Any, limit: int) -> None:
    lane.server.respond = lambda *_: lane.Answer(text="fine " * 400)
    command = [sys.executable, "-B", "-m", "runner", "run", "flow.yaml", "--no-progress"]

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = subprocess.run(command, cwd=lane.root, capture_output=True, timeout=60, check=False, preexec_fn=confine)
    text = ended.stderr.decode()
    assert ended.returncode in (0, 3), text
    assert "Traceback" not in text
    assert "defect" not in text
    paid = lane.server.count
    assert not list(lane.root.rglob("*.part")) + list(lane.root.rglob("*.tmp"))
    if paid:
        assert ended.stdout.startswith(b'{"count":'), text
    assert api.cache_verify(lane.root).doubts == ()
    assert lane.run().exit_code == 0
    assert max(lane.server.by_prompt.values(), default=0) <= 1


def poison(project: Any, change: str) -> None:
    with closing(sqlite3.connect(project.root / "cache/local/cache.db")) as connection:
        connection.execute(change)
        connection.commit()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE Cache SET mode = 4, value = X'80049502'", id="a pickle for a value"),
        pytest.param("UPDATE Cache SET mode = 2, filename = 'keep.txt', value = NULL", id="a file to read or delete"),
        pytest.param("UPDATE Cache SET value = X'00'", id="bytes that are no entry"),
        pytest.param("UPDATE Cache SET value = substr(value, 1, length(value) - 1)", id="half an entry"),
        pytest.param("UPDATE Cache SET value = zeroblob(300000000)", id="a huge row"),
    ],
)
def test_poisoned_rows_are_damage_and_are_asked_again(one: Any, change: str) -> None:
    one.run()
    keep = one.write("cache/local/keep.txt", "keep me")
    poison(one, change)
    result = one.run()
    assert (result.exit_code, result.outputs, one.server.count) == (0, {"word": "tea"}, 1)
    assert one.reasons() == ["damaged"]
    assert keep.read_text() == "keep me"
    assert one.run().summary.calls == 0


def test_a_trigger_in_the_database_is_refused(one: Any) -> None:
    one.run()
    poison(one, "CREATE TRIGGER evil AFTER INSERT ON Cache BEGIN DELETE FROM Settings; END")
    one.edit("ask about tea", "ask about mate")
    problem = refused(one)
    assert problem.code == "cache-damaged"


@pytest.fixture
def cold(lane: Any) -> Any:
    lane.server.respond = lambda *_: lane.Answer(text="fine", delay_s=0.02)
    return lane


@pytest.mark.slow
def test_two_processes_on_one_cold_cache_both_succeed(cold: Any) -> None:
    command = [sys.executable, "-B", "-m", "runner", "run", "flow.yaml", "--no-progress"]
    running = [
        subprocess.Popen(command, cwd=cold.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    ended = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ended
    assert {stdout for stdout, _ in ended} == {
        b'{"count":60,"table":{"file":"out/table.jsonl","rows":60,"failed":0}}\n'
    }
    assert cold.run().summary.calls == 0
    assert api.cache_verify(cold.root).doubts == ()
    assert not list((cold.root / "out").glob("*.part"))
