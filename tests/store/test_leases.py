"""Who asks what: one owner per key, and an end to every claim."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.store import leases as module
from runner.store.leases import LEASE_S, LEASES, LocalLeases
from runner.store.process import Process

Open = Callable[..., LocalLeases]


@dataclass
class Watch:
    """A clock that is moved by hand."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def open_leases(tmp_path: Path, watch: Watch) -> Iterator[Open]:
    opened: list[LocalLeases] = []

    def open_one(has_ended: Callable[[Process], bool] = lambda _: False) -> LocalLeases:
        opened.append(LocalLeases(tmp_path, wait_s=0, monotonic=watch, has_ended=has_ended))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def look_for(seconds: float, watch: Watch, look: Callable[[], object]) -> None:
    """Look every second."""
    for _ in range(int(seconds)):
        watch.seconds += 1
        look()


def rows(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / LEASES)) as database:
        count: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def test_a_key_has_one_owner(open_leases: Open) -> None:
    one, other = open_leases(), open_leases()
    assert one.claim(["a", "b"]) == {"a", "b"}
    assert other.claim(["b", "c"]) == {"c"}
    assert one.claim(["a", "c"]) == {"a"}


def test_what_is_released_is_free_and_what_others_have_is_not_released(open_leases: Open) -> None:
    one, other = open_leases(), open_leases()
    one.claim(["a", "b"])
    assert other.claim(["a"], release=["a"]) == set()
    assert one.claim([], release=["a"]) == set()
    assert other.claim(["a", "b"]) == {"a"}


def test_releasing_and_claiming_is_one_act(open_leases: Open) -> None:
    one = open_leases()
    one.claim(["a"])
    assert one.claim(["b"], release=["a"]) == {"b"}
    assert open_leases().claim(["a", "b"]) == {"a"}


def test_who_leaves_gives_up_everything(open_leases: Open, tmp_path: Path) -> None:
    one, other = open_leases(), open_leases()
    one.claim(["a", "b"])
    assert other.claim(["a"]) == set()
    one.close()
    one.close()
    assert (rows(tmp_path, "owner"), rows(tmp_path, "lease")) == (1, 0)
    assert other.claim(["a", "b"]) == {"a", "b"}


def test_who_only_waits_writes_nothing(open_leases: Open, tmp_path: Path) -> None:
    one, other = open_leases(), open_leases()
    one.claim(["a"])
    other.claim(["a"])
    with closing(sqlite3.connect(tmp_path / LEASES, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")  # nobody else can write now
        assert other.claim(["a"]) == set()
        with pytest.raises(StorageError):
            other.claim(["b"])


def test_what_a_dead_process_had_is_taken_at_once(open_leases: Open) -> None:
    one, other = open_leases(), open_leases(lambda process: process.pid == os.getpid())
    one.claim(["a", "b"])
    assert other.claim(["a"]) == {"a"}
    assert other.claim(["b"]) == {"b"}
    assert one.claim(["a"]) == set()


CLAIM_FOR_EVER = """
import sys
from pathlib import Path
from runner.store.leases import LocalLeases
leases = LocalLeases(Path(sys.argv[1]))
print(len(leases.claim(["a", "b"])), flush=True)
input()
"""


def test_what_a_killed_process_had_is_taken_by_the_next_one(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM_FOR_EVER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"2\n"
        leases = LocalLeases(tmp_path)
        assert leases.claim(["a"]) == set()
        owner.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
        assert leases.claim(["a"]) == {"a"}
    leases.close()


def test_an_owner_of_whom_nothing_is_heard_loses_what_it_had(open_leases: Open, watch: Watch) -> None:
    one, other = open_leases(), open_leases()
    one.claim(["a"])
    other.claim(["a"])
    look_for(LEASE_S - 1, watch, lambda: other.claim(["a"]))
    assert other.claim(["a"]) == set()
    watch.seconds += 1
    assert other.claim(["a"]) == {"a"}


def test_an_owner_that_shows_itself_keeps_what_it_has(open_leases: Open, watch: Watch) -> None:
    one, other = open_leases(), open_leases()
    one.claim(["a"])
    for _ in range(20):
        look_for(LEASE_S / 3, watch, lambda: other.claim(["a"]))
        one.renew()
    assert other.claim(["a"]) == set()


def test_a_waiter_that_was_stopped_itself_does_not_take_others_for_gone(open_leases: Open, watch: Watch) -> None:
    one, other = open_leases(), open_leases()
    one.claim(["a"])
    other.claim(["a"])
    for _ in range(10):
        watch.seconds += 3600
        assert other.claim(["a"]) == set()


def test_who_could_not_write_that_it_ended_keeps_nothing_from_its_own_process(
    open_leases: Open, tmp_path: Path
) -> None:
    first = open_leases()
    assert first.claim(["a"]) == {"a"}
    with closing(sqlite3.connect(tmp_path / LEASES)) as database:
        database.execute("CREATE TRIGGER full BEFORE DELETE ON owner BEGIN SELECT RAISE(ABORT, 'full'); END")
        first.close()
        database.execute("DROP TRIGGER full")
    assert open_leases().claim(["a"]) == {"a"}


def test_who_was_taken_for_gone_comes_back_with_nothing_and_may_claim_again(open_leases: Open, watch: Watch) -> None:
    one, other = open_leases(), open_leases()
    one.claim(["a"])
    other.claim(["a"])
    look_for(LEASE_S, watch, lambda: other.claim(["a"]))
    one.renew()
    assert one.claim(["a", "b"]) == {"b"}
    assert other.claim(["b"]) == set()


def test_an_owner_that_is_heard_of_while_it_is_judged_is_not_driven_out(open_leases: Open, watch: Watch) -> None:
    verdicts = iter([False, True, False])  # refused; then, gone at the look; back at the act
    one, other = open_leases(), open_leases(lambda _: next(verdicts))
    one.claim(["a"])
    assert other.claim(["a"]) == set()
    assert other.claim(["a"]) == set()
    assert next(verdicts, None) is None


def test_a_claim_whose_owner_left_half_way_is_free(open_leases: Open, tmp_path: Path) -> None:
    open_leases().claim(["a"])
    with closing(sqlite3.connect(tmp_path / LEASES)) as database:
        database.execute("DELETE FROM owner")
        database.commit()
    assert open_leases().claim(["a"]) == {"a"}


def test_many_keys_are_claimed_at_once(open_leases: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 7)
    keys = [str(number) for number in range(40)]
    one, other = open_leases(), open_leases()
    assert one.claim(keys[:20]) == set(keys[:20])
    assert other.claim(keys) == set(keys[20:])


# The file


def test_nothing_is_made_before_the_first_claim(open_leases: Open, tmp_path: Path) -> None:
    open_leases().close()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_private(open_leases: Open, tmp_path: Path) -> None:
    open_leases().claim(["a"])
    assert stat.S_IMODE((tmp_path / LEASES).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [b"no database", b"SQLite format 3\x00" + b"\xff" * 4000],
    ids=["text", "damaged"],
)
def test_a_file_that_is_no_database_is_replaced(open_leases: Open, tmp_path: Path, content: bytes) -> None:
    (tmp_path / LEASES).write_bytes(content)
    assert open_leases().claim(["a"]) == {"a"}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE lease (key TEXT PRIMARY KEY, owner TEXT, more TEXT)",
        "CREATE TABLE other (x)",
        "CREATE VIEW lease AS SELECT 1 AS key, 2 AS owner",
    ],
)
def test_a_database_that_is_not_ours_is_replaced(open_leases: Open, tmp_path: Path, statement: str) -> None:
    with closing(sqlite3.connect(tmp_path / LEASES)) as database:
        database.execute(statement)
    assert open_leases().claim(["a"]) == {"a"}


def test_a_link_is_replaced_and_what_it_leads_to_stays(open_leases: Open, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / LEASES).symlink_to(tmp_path / "precious")
    assert open_leases().claim(["a"]) == {"a"}
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_file_that_changes_while_it_is_made_is_said_in_words(
    open_leases: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_try_to_open", lambda *_: None)
    with pytest.raises(StorageError) as caught:
        open_leases().claim(["a"])
    assert caught.value.problems[0].message == (
        f"the cache database in {tmp_path} is damaged: it changes while it is made"
    )


def test_a_folder_in_the_place_of_the_file_is_said_in_words(open_leases: Open, tmp_path: Path) -> None:
    (tmp_path / LEASES).mkdir()
    with pytest.raises(StorageError) as caught:
        open_leases().claim(["a"])
    assert caught.value.problems[0].code == "cache-unwritable"


def test_a_file_that_somebody_holds_is_not_replaced(open_leases: Open, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / LEASES, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError) as caught:
            open_leases().claim(["a"])
    assert caught.value.problems[0].code == "cache-busy"


def test_a_claim_that_fails_leaves_nothing_and_the_next_one_is_made(open_leases: Open, tmp_path: Path) -> None:
    one = open_leases()
    one.claim(["a"])
    with pytest.raises(StorageError):
        one.claim(["b", object()], release=["a"])  # type: ignore[list-item]
    assert open_leases().claim(["a", "b"]) == {"b"}
    assert one.claim(["c"]) == {"c"}


def test_leaving_a_database_that_cannot_be_written_is_quiet(open_leases: Open, tmp_path: Path) -> None:
    one = open_leases()
    one.claim(["a"])
    with closing(sqlite3.connect(tmp_path / LEASES, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        one.close()
    assert rows(tmp_path, "owner") == 1
