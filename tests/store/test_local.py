from __future__ import annotations

import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import StorageError
from runner.core.problem import render
from runner.store import local, rows
from runner.store.disk import BytesOnlyDisk, open_cache
from runner.store.local import LocalStore

Open = Callable[[], LocalStore]
KEYS = [f"{number:064x}" for number in range(40)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `open_store` keeps its store."""
    return tmp_path / "cache" / "local"


def write_rows(folder: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """What somebody writes who has the database file."""
    connection = sqlite3.connect(folder / "cache.db")
    for statement, values in statements:
        connection.execute(statement, values)
    connection.commit()
    connection.close()


def problem_of(act: Callable[[], object]) -> str:
    with pytest.raises(StorageError) as caught:
        act()
    return render(caught.value.problems[0], {})


class Exploding:
    """Deletes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.unlink, (str(self._path),)


def test_the_folder_and_its_files_are_private_and_ignored_by_git(open_store: Open, folder: Path) -> None:
    open_store().put_many({KEYS[0]: b"a"})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.name != ".gitignore"
    } == dict.fromkeys(("cache.db", "cache.db-wal", "cache.db-shm", "lock", "open.lock"), 384)
    assert (folder / ".gitignore").read_text() == "*\n"


def test_an_ignore_file_that_is_there_stays(open_store: Open, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / ".gitignore").write_text("mine\n")
    open_store()
    assert (folder / ".gitignore").read_text() == "mine\n"


def test_what_one_run_stored_the_next_one_reads(open_store: Open) -> None:
    store = open_store()
    store.put_many({key: key.encode() for key in KEYS})
    store.close()
    store.close()
    assert open_store().get_many(KEYS) == {key: key.encode() for key in KEYS}


def test_two_open_stores_see_what_the_other_commits(open_store: Open) -> None:
    one, other = open_store(), open_store()
    assert other.get_many(KEYS) == {}
    one.put_many({KEYS[0]: b"one"})
    other.put_many({KEYS[1]: b"other"})
    assert one.get_many(KEYS) == other.get_many(KEYS) == {KEYS[0]: b"one", KEYS[1]: b"other"}


def test_reading_stored_answers_does_not_load_the_library(open_store: Open, folder: Path) -> None:
    open_store().put_many({KEYS[0]: b"a"})
    code = (
        "import sys, pathlib; from runner.store.local import LocalStore; from runner.store.layers import LayeredAnswers\n"
        "print(LocalStore(pathlib.Path(sys.argv[1])).get_many([sys.argv[2]]), 'diskcache' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(folder), KEYS[0]], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"{{'{KEYS[0]}': b'a'}} False\n"


def test_an_answer_of_some_megabytes_stays_in_the_database(open_store: Open, folder: Path) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"x" * 5_000_000})
    assert len(store.get_many([KEYS[0]])[KEYS[0]]) == 5_000_000
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_a_batch_that_fails_leaves_nothing_and_the_next_one_is_stored(open_store: Open) -> None:
    store = open_store()
    broken: dict[str, Any] = {KEYS[0]: b"a", KEYS[1]: "no bytes"}
    with pytest.raises(TypeError, match="a value of the cache is bytes"):
        store.put_many(broken)
    assert store.get_many(KEYS) == {}
    store.put_many({KEYS[2]: b"c"})
    assert store.get_many(KEYS) == {KEYS[2]: b"c"}


# Poisoned rows


def test_a_pickle_in_a_value_is_never_loaded(open_store: Open, folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("still here")
    poison = pickle.dumps(Exploding(victim))
    store = open_store()
    store.put_many({KEYS[0]: b"a", KEYS[1]: b"b"})
    for mode in (1, 2, 3, 4, 0, 9, "4"):
        write_rows(folder, ("UPDATE Cache SET mode = ?, value = ? WHERE key = ?", (mode, poison, KEYS[0])))
        assert store.get_many(KEYS) == {KEYS[0]: poison if mode == 1 else b"", KEYS[1]: b"b"}
        assert dict(store.scan()) == store.get_many(KEYS)
    store.put_many({KEYS[0]: b"again"})
    assert store.get_many([KEYS[0]]) == {KEYS[0]: b"again"}
    assert victim.read_text() == "still here"


def test_a_pickle_in_a_key_is_never_loaded(open_store: Open, folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("still here")
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    insert = "INSERT INTO Cache(rowid, key, raw, mode, value) VALUES (?, ?, ?, 1, ?)"
    write_rows(
        folder,
        (insert, (70, pickle.dumps(Exploding(victim)), 0, b"x")),
        (insert, (71, KEYS[1].encode(), 1, b"x")),
        (insert, (72, KEYS[2], 0, b"x")),
        (insert, (-5, "k" * 1000, 1, b"x")),
    )
    assert store.get_many(KEYS) == {KEYS[0]: b"a"}
    unreadable = [("row--5", b""), (KEYS[0], b"a"), ("row-70", b""), ("row-71", b""), ("row-72", b"")]
    assert list(store.scan()) == unreadable
    store.delete([KEYS[0], KEYS[1], KEYS[2]])
    assert victim.read_text() == "still here"


def test_a_file_that_a_row_names_is_neither_read_nor_deleted(open_store: Open, folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("secret")
    store = open_store()
    store.put_many(dict.fromkeys(KEYS[:4], b"x"))
    for mode, key in zip((1, 2, 3, 4), KEYS, strict=False):
        write_rows(
            folder,
            ("UPDATE Cache SET mode = ?, filename = ?, value = NULL WHERE key = ?", (mode, "../../victim", key)),
        )
    assert store.get_many(KEYS) == dict.fromkeys(KEYS[:4], b"")
    store.put_many(dict.fromkeys(KEYS[:2], b"new"))
    store.delete(KEYS[2:4])
    assert store.get_many(KEYS) == dict.fromkeys(KEYS[:2], b"new")
    assert victim.read_text() == "secret"


def test_a_value_that_is_no_bytes_or_expired_is_not_believed(open_store: Open, folder: Path) -> None:
    store = open_store()
    store.put_many(dict.fromkeys(KEYS[:4], b"x"))
    for value, key in zip(("text", 7, 0.5, None), KEYS, strict=False):
        write_rows(folder, ("UPDATE Cache SET value = ? WHERE key = ?", (value, key)))
    assert store.get_many(KEYS) == dict.fromkeys(KEYS[:4], b"")


def test_a_row_larger_than_any_answer_is_not_read(
    open_store: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    write_rows(folder, ("UPDATE Cache SET value = zeroblob(300000000) WHERE key = ?", (KEYS[0],)))
    assert store.get_many(KEYS) == {KEYS[0]: b""}


def test_settings_in_the_file_do_not_become_ours(open_store: Open, folder: Path) -> None:
    store = open_store()
    store.put_many({})
    store.close()
    insert = "INSERT OR REPLACE INTO Settings VALUES (?, ?)"
    write_rows(
        folder,
        (insert, ("eviction_policy", "least-recently-stored")),
        (insert, ("size_limit", 1)),
        (insert, ("cull_limit", 1000)),
        (insert, ("statistics", 1)),
        (insert, ("sqlite_journal_mode", "delete; DROP TABLE Cache")),
        (insert, ("sqlite_writable_schema", 1)),
        (insert, ("disk_pickle_protocol", 5)),
        (insert, ("disk_surprise", 1)),
        (insert, ("_directory", "/nowhere")),
        (insert, ("hits", "many")),
    )
    store = open_store()
    for _ in range(3):
        store.put_many(dict.fromkeys(KEYS, b"x" * 1000))
    assert len(store.get_many(KEYS)) == len(KEYS)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW Extra AS SELECT 1",
        "CREATE TABLE Extra(x)",
        "CREATE TRIGGER Extra AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END",
    ],
)
def test_a_database_with_parts_that_are_not_ours_is_not_used(open_store: Open, folder: Path, statement: str) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    store.close()
    write_rows(folder, (statement, ()))
    store = open_store()
    for act in (lambda: store.get_many(KEYS), lambda: list(store.scan()), lambda: store.put_many({KEYS[1]: b"b"})):
        assert problem_of(act) == (
            f"cache-damaged: the cache database in {folder} is damaged:"
            " it holds tables, views or triggers that are not ours\n"
            "  fix:      move the folder away and run again; recordings are not affected"
        )


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE Cache(key, raw)",
        "CREATE TABLE Cache(key, raw, mode, filename, value, more AS (length(value)))",
    ],
)
def test_a_table_of_another_shape_is_not_used(open_store: Open, folder: Path, table: str) -> None:
    folder.mkdir(parents=True)
    write_rows(folder, (table, ()))
    assert "its table is not a cache" in problem_of(lambda: open_store().get_many(KEYS))


def test_a_database_that_is_a_link_is_not_used(open_store: Open, folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    sqlite3.connect(tmp_path / "other.db").close()
    (folder / "cache.db").symlink_to(tmp_path / "other.db")
    assert "its database is a link to another file" in problem_of(lambda: open_store().put_many({}))


def test_the_disk_refuses_all_but_texts_and_bytes(tmp_path: Path) -> None:
    disk = BytesOnlyDisk(str(tmp_path))
    for act in (lambda: disk.put(b"key"), lambda: disk.store("text", False), disk.filename):
        with pytest.raises(TypeError):
            act()
    assert disk.get(b"pickle", False) is None
    assert disk.get("key", True) == "key"
    assert disk.fetch(4, None, pickle.dumps(1), False) is None
    assert disk.fetch(1, None, "text", False) is None
    assert disk.fetch(1, None, b"bytes", False) == b"bytes"


def test_the_library_itself_reads_no_poison_through_our_disk(open_store: Open, folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("still here")
    open_store().put_many({KEYS[0]: b"a", KEYS[1]: b"b"})
    poison = pickle.dumps(Exploding(victim))
    write_rows(
        folder,
        ("UPDATE Cache SET mode = 4, value = ? WHERE key = ?", (poison, KEYS[0])),
        ("UPDATE Cache SET mode = 2, filename = ?, value = NULL WHERE key = ?", ("../../victim", KEYS[1])),
        ("INSERT INTO Cache(key, raw, mode, value) VALUES (?, 0, 4, ?)", (poison, poison)),
    )
    cache = open_cache(folder, timeout_s=0)
    assert [cache.get(key) for key in KEYS[:2]] == [None, None]
    assert list(cache) == [KEYS[0], KEYS[1], None]
    assert cache.pop(KEYS[1]) is None
    cache.clear()
    cache.close()
    cache.close()
    assert victim.read_text() == "still here"


# Trouble with the folder


def test_a_folder_of_another_user_is_refused(open_store: Open, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert problem_of(open_store) == (
        f"cache-owner: the cache in {folder} belongs to another user\n"
        "  expected: a folder of your own, since answers are read from it\n"
        "  fix:      move it away and run again, or make it yours with chown"
    )


def test_where_files_have_no_owner_none_is_asked_for(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid")
    assert open_store().get_many(KEYS) == {}


def test_a_file_in_the_place_of_the_folder_is_said_in_words(open_store: Open, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("")
    assert problem_of(open_store) == (
        f"cache-unwritable: the cache in {folder} cannot be used: a file is in the way\n"
        "  fix:      make the folder readable and writable for you, or run with --no-cache"
    )


@pytest.mark.parametrize(
    "content", [b"no database at all, but some text " * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_damaged_database_is_said_in_words(open_store: Open, folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "cache.db").write_bytes(content)
    store = open_store()
    for act in (lambda: store.get_many(KEYS), lambda: store.put_many({KEYS[0]: b"a"})):
        said = problem_of(act)
        assert said.startswith(f"cache-damaged: the cache database in {folder} is damaged: ")
        assert said.endswith("\n  fix:      move the folder away and run again; recordings are not affected")
    assert (folder / "cache.db").read_bytes() == content


def test_an_empty_database_file_is_an_empty_store(open_store: Open, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "cache.db").touch()
    store = open_store()
    assert store.get_many(KEYS) == {}
    store.put_many({KEYS[0]: b"a"})
    assert store.get_many(KEYS) == {KEYS[0]: b"a"}


def test_a_full_disk_is_said_in_words_and_what_was_stored_is_kept(open_store: Open, folder: Path) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    assert store._cache is not None
    store._cache._sql("PRAGMA max_page_count = 20").fetchall()
    assert problem_of(lambda: store.put_many({KEYS[1]: b"x" * 500_000})) == (
        f"disk-full: no space is left for the cache in {folder}\n"
        "  fix:      free some space and run again; what was stored before is kept"
    )
    assert store.get_many(KEYS) == {KEYS[0]: b"a"}
    store.put_many({KEYS[2]: b"c"})
    assert store.get_many(KEYS) == {KEYS[0]: b"a", KEYS[2]: b"c"}


def test_a_database_locked_by_another_program_is_said_in_words(open_store: Open, folder: Path) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    other = sqlite3.connect(folder / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert problem_of(lambda: store.put_many({KEYS[1]: b"b"})) == (
        f"cache-busy: the cache in {folder} is held by another command\n"
        "  fix:      wait until it has ended, then run again"
    )
    other.execute("ROLLBACK")
    other.close()
    store.put_many({KEYS[1]: b"b"})
    assert len(store.get_many(KEYS)) == 2


def let_others_pass(path: Path) -> None:
    """Opens the folders above a temporary folder, one more of them where tests run side by side."""
    for folder in path.parents:
        if folder == Path(tempfile.gettempdir()):
            return
        folder.chmod(0o755)


def run_unprivileged(code: str, *arguments: str) -> str:
    """Runs Python as a user for whom file modes count."""
    said = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    return said.stdout + said.stderr


READ_AND_WRITE = """
import os, sys, pathlib
import runner.store.disk
from runner.core.errors import StorageError
from runner.store.local import LocalStore
folder = pathlib.Path(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
os.geteuid = lambda: folder.stat().st_uid
store = LocalStore(folder, wait_s=0)
print(store.get_many([sys.argv[2]]))
try:
    store.put_many({})
except StorageError as error:
    print(error.problems[0].message)
store.close()
"""


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_read_only_folder_is_read_and_the_first_write_is_refused_in_words(
    open_store: Open, folder: Path, tmp_path: Path, is_closed: bool
) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    if is_closed:
        store.close()
    let_others_pass(folder)
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    said = run_unprivileged(READ_AND_WRITE, str(folder), KEYS[0])
    assert said == (f"{{'{KEYS[0]}': b'a'}}\nthe cache in {folder} cannot be used: Permission denied\n")


def test_an_unwritable_folder_without_a_database_reads_as_empty(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    let_others_pass(folder)
    for path in (tmp_path, folder.parent, folder):
        path.chmod(0o555)
    said = run_unprivileged(READ_AND_WRITE, str(folder), KEYS[0])
    for path in (folder, folder.parent, tmp_path):
        path.chmod(0o755)
    assert said == f"{{}}\nthe cache in {folder} cannot be used: Permission denied\n"


class Refusing:
    """Opens the database only in one mode, and says why not."""

    def __init__(self, mode: str, code: int) -> None:
        self._mode = mode
        self._code = code
        self._open = rows._try_to_open

    def __call__(self, path: Path, mode: str) -> sqlite3.Connection | None:
        if mode == self._mode:
            return self._open(path, mode)
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = self._code
        raise error


def test_a_database_that_opens_only_as_it_lies_there_is_read(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    store.close()
    monkeypatch.setattr(rows, "_try_to_open", Refusing("mode=ro&immutable=1", sqlite3.SQLITE_CANTOPEN))
    assert open_store().get_many(KEYS) == {KEYS[0]: b"a"}


def test_a_database_that_opens_in_no_mode_is_said_in_words(
    open_store: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store().put_many({KEYS[0]: b"a"})
    monkeypatch.setattr(rows, "_try_to_open", Refusing("", sqlite3.SQLITE_CANTOPEN))
    assert problem_of(lambda: open_store().get_many(KEYS)) == (
        f"cache-unwritable: the cache in {folder} cannot be used: unable to open database file\n"
        "  fix:      make the folder readable and writable for you, or run with --no-cache"
    )


def test_a_busy_database_is_not_read_past_its_log(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store()
    store.put_many({KEYS[0]: b"a"})
    store.close()
    monkeypatch.setattr(rows, "_try_to_open", Refusing("mode=ro&immutable=1", sqlite3.SQLITE_BUSY))
    with pytest.raises(StorageError):
        open_store().get_many(KEYS)


# Several processes


def test_any_thread_may_write_and_any_other_may_close(open_store: Open, folder: Path) -> None:
    store = open_store()
    threads = [threading.Thread(target=store.put_many, args=({key: b"x"},)) for key in KEYS[:8]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.get_many(KEYS)) == 8
    store.close()
    assert not (folder / "cache.db-wal").exists()


def test_maintenance_waits_for_nobody_and_keeps_others_out(open_store: Open, folder: Path) -> None:
    store = open_store()
    with store.exclusive():
        assert problem_of(open_store) == (
            f"cache-busy: the cache in {folder} is held by another command\n"
            "  fix:      wait until it has ended, then run again"
        )
    other = open_store()
    assert problem_of(lambda: store.exclusive().__enter__()).startswith("cache-busy")
    other.close()
    with store.exclusive():
        pass


WRITE_FOR_EVER = """
import sys, pathlib
from runner.store.local import LocalStore
store = LocalStore(pathlib.Path(sys.argv[1]))
for number in range(10**9):
    store.put_many({f"{number:064x}": b"%d" % number * 50})
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("after", [0, 1, 3, 20, 150])
def test_every_acknowledged_answer_survives_a_killed_process(open_store: Open, folder: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(folder)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(after + 1)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().split(b"\n") if line]
    store = open_store()
    assert store.get_many([f"{number:064x}" for number in told]) == {
        f"{number:064x}": b"%d" % number * 50 for number in told
    }
    store.put_many({"next": b"run"})
    assert len(list(store.scan())) in (len(told) + 1, len(told) + 2)


OPEN_TOGETHER = """
import sys, pathlib
from runner.store.local import LocalStore
sys.stdin.readline()
store = LocalStore(pathlib.Path(sys.argv[1]))
store.put_many({f"{sys.argv[2]}-{number}": b"x" for number in range(10)})
print(len(store.get_many([f"{sys.argv[2]}-{number}" for number in range(10)])))
store.close()
"""


def test_many_processes_open_the_store_for_the_first_time_together(open_store: Open, folder: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_TOGETHER, str(folder), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(12)
    ]
    for one in started:
        assert one.stdin is not None
        one.stdin.write(b"go\n")
        one.stdin.flush()
    assert [one.communicate()[0] for one in started] == [b"10\n"] * 12
    assert len(list(open_store().scan())) == 120


def test_a_store_that_grew_by_more_than_one_batch_is_whole(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "BATCH", 7)
    store = open_store()
    store.put_many(dict.fromkeys(KEYS, b"x"))
    assert len(store.get_many(KEYS)) == len(KEYS)


def test_a_store_that_nobody_wrote_to_is_compacted_without_a_file(open_store: Open, folder: Path) -> None:
    open_store().compact()
    assert not folder.exists() or not list(folder.glob("cache*"))
