"""`runner.lock` is the same bytes for the same content, and what cannot be read as one is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.core.errors import FileError, StorageError
from runner.record.lock_file import LockChange, LockedStep, changes_of, lock_bytes, read_lock, write_lock

STEP = LockedStep("m/a", ("a-2", "a-1"), ("1" * 64,), "2" * 64, {"thinking": "low", "seed": 1})
TEXT = """\
{
  "format": 1,
  "workflows": {
    "a.yaml": {
      "bare": {
        "model": "m/b"
      },
      "full": {
        "answered_by": [
          "a-1",
          "a-2"
        ],
        "model": "m/a",
        "prompts": [
          "1111111111111111111111111111111111111111111111111111111111111111"
        ],
        "schema": "2222222222222222222222222222222222222222222222222222222222222222",
        "settings": {
          "seed": 1,
          "thinking": "low"
        }
      }
    }
  }
}
"""


def test_keys_are_sorted_and_what_is_empty_is_left_out() -> None:
    assert lock_bytes({"a.yaml": {"full": STEP, "bare": LockedStep("m/b")}}).decode() == TEXT


def test_what_is_written_is_read_and_equal_content_leaves_the_file_untouched(tmp_path: Path) -> None:
    path = tmp_path / "runner.lock"
    assert read_lock(path) is None
    write_lock(path, {"a.yaml": {"full": STEP, "bare": LockedStep("m/b")}})
    read = read_lock(path)
    assert read is not None
    assert read["a.yaml"]["bare"] == LockedStep("m/b")
    assert read["a.yaml"]["full"].answered_by == ("a-1", "a-2")
    before = path.stat()
    write_lock(path, read)
    assert path.stat().st_ino == before.st_ino
    write_lock(path, {})
    assert read_lock(path) == {}
    assert [one.name for one in tmp_path.iterdir()] == ["runner.lock"]


def test_every_part_that_differs_is_named_but_who_answered() -> None:
    new = LockedStep("m/b", ("z",), (), "", {"seed": 1, "stop": ["x"]})
    assert [str(change) for change in changes_of(STEP, new)] == [
        "model: m/a → m/b",
        "prompt: 111111111111 → (none)",
        "schema: 222222222222 → (none)",
        'stop: (none) → ["x"]',
        "thinking: low → (none)",
    ]
    assert list(changes_of(new, LockedStep("m/b", (), (), "3" * 64, new.settings))) == [
        LockChange("schema", "(none)", "333333333333")
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<<<<<<< HEAD\n", "runner.lock is not JSON"),
        (b"[]", "runner.lock is damaged: it does not say its format"),
        (b'{"format": "1"}', "runner.lock is damaged: it does not say its format"),
        (b'{"format": 2}', "runner.lock has format 2, and this version reads format 1"),
        (b'{"format": 1}', "runner.lock is damaged"),
        (b'{"format": 1, "workflows": {"a": {"b": {}}}}', "runner.lock is damaged"),
        (b'{"format": 1, "workflows": {"a": {"b": 7}}}', "runner.lock is damaged"),
    ],
)
def test_what_is_no_lock_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "runner.lock").write_bytes(content)
    with pytest.raises(FileError) as raised:
        read_lock(tmp_path / "runner.lock")
    assert str(raised.value) == said


def test_a_pipe_in_the_way_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "runner.lock")
    with pytest.raises(FileError, match=r"^runner\.lock is no file$"):
        read_lock(tmp_path / "runner.lock")


def test_a_line_break_in_a_lock_begins_no_line_where_it_is_shown() -> None:
    assert str(LockChange("model", "a\n::error::b", "c")) == r"model: a\n::error::b → c"


def test_a_folder_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "runner.lock").mkdir()
    with pytest.raises(FileError, match=r"runner\.lock cannot be read: is a directory"):
        read_lock(tmp_path / "runner.lock")
    with pytest.raises(StorageError, match=r"runner\.lock cannot be written"):
        write_lock(tmp_path / "runner.lock", {})
    assert [one.name for one in tmp_path.iterdir()] == ["runner.lock"]
