"""A saved plan keeps every certain call, and what cannot be read as one is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import FileError, StorageError
from runner.record import plan_file
from runner.record.plan_file import SavedCall, SavedStep, read_plan, writing_plan

STEP = {"step": "tag", "calls": 2, "may_calls": 1, "after": ["first"]}
DOCUMENT = {"file": "flow.yaml", "steps": [STEP], "depends_on": {"digest": "d", "steps": {"tag": {"model": "m"}}}}


def write(path: Path, calls: int = 2, document: Any = DOCUMENT) -> None:
    with writing_plan(path) as writer:
        for number in range(calls):
            data = {"id": f"r{number}"} if number else None
            found = {"model": "m", "options": {"seed": 1}, "sample": number}
            writer.add(("tag", f"r{number}", 0, 0), f"k{number}", {**found, "data": data} if data else found)
        writer.finish(document)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write(path)
    plan = read_plan(path)
    assert (plan.file, plan.digest) == ("flow.yaml", "d")
    assert plan.steps == {"tag": SavedStep(2, 1, ("first",), {"model": "m"})}
    assert plan.calls == {
        ("tag", "r0", 0, 0): SavedCall("k0", {"model": "m", "options": {"seed": 1}, "sample": 0}),
        ("tag", "r1", 0, 0): SavedCall("k1", {"model": "m", "options": {"seed": 1}, "sample": 1, "data": {"id": "r1"}}),
    }


def test_an_ingredient_that_the_first_call_has_alone_is_not_lent_to_the_others(tmp_path: Path) -> None:
    with writing_plan(tmp_path / "plan.json") as writer:
        writer.add(("tag", "a", 0, 0), "k0", {"model": "m", "system": "s"})
        writer.add(("tag", "b", 0, 0), "k1", {"model": "m"})
        writer.finish({**DOCUMENT, "steps": [{**STEP, "may_calls": None}]})
    plan = read_plan(tmp_path / "plan.json")
    assert plan.calls["tag", "b", 0, 0].ingredients == {"model": "m"}
    assert plan.steps["tag"].may_calls is None


def test_a_call_takes_a_line_and_what_is_common_stands_once(tmp_path: Path) -> None:
    write(tmp_path / "plan.json", 1000)
    text = (tmp_path / "plan.json").read_text()
    assert len(text.splitlines()) == 1003
    assert text.count('"seed"') == 1
    json.loads(text)


def test_a_plan_that_is_not_finished_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), writing_plan(tmp_path / "plan.json"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no saved plan: it is not JSON"),
        (b"\xff\x00", "is no saved plan: it is not JSON"),
        (b"[]", "is no saved plan"),
        (b'{"format": 1, "steps": []}', "is no saved plan"),
        (b'{"saved_plan": 2}', "is a saved plan of format 2, and this version reads format 1"),
        (b'{"saved_plan": 1}', "is damaged"),
        (b'{"saved_plan": 1, "common": [], "depends_on": 7, "certain": [["a"]]}', "is damaged"),
    ],
)
def test_what_is_no_plan_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(FileError) as raised:
        read_plan(path)
    assert str(raised.value) == f"{path} {said}"


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError) as raised:
        read_plan(tmp_path / "plan.json")
    assert str(raised.value) == f"{tmp_path}/plan.json cannot be read: no such file or directory"


def test_a_file_beyond_reason_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "plan.json")
    monkeypatch.setattr(plan_file, "MOST_BYTES", 10)
    with pytest.raises(FileError, match="is too large"):
        read_plan(tmp_path / "plan.json")


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised, writing_plan(tmp_path / "no" / "plan.json"):
        raise AssertionError
    assert str(raised.value) == f"{tmp_path}/no/plan.json cannot be written: no such file or directory"


def test_a_folder_in_the_way_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "plan.json")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_link_is_written_through_and_stays(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("plan.json")
    write(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert read_plan(tmp_path / "plan.json").file


def test_a_device_is_written_and_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(StorageError) as raised:
        write(tmp_path / "full")
    assert str(raised.value) == f"{tmp_path}/full cannot be written: no space left on device"
    assert (tmp_path / "full").is_symlink()
    assert Path("/dev/full").is_char_device()


def test_a_plan_is_as_private_as_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path / "plan.json")
    finally:
        os.umask(before)
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


def test_a_link_to_a_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.json").symlink_to("folder")
    with pytest.raises(StorageError) as raised:
        write(tmp_path / "link.json")
    assert raised.value.problems[0].code == "unwritable-file"


def test_a_disk_that_fills_up_leaves_no_half_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(StorageError) as raised, writing_plan(path):
        raise OSError(28, "No space left on device")
    assert raised.value.problems[0].message == f"{path} cannot be written: no space left on device"
    assert list(tmp_path.iterdir()) == []
