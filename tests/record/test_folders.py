from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.core.problem import render
from runner.record.folders import list_runs, new_run_folder, run_folder, write_record_file


def test_runs_are_numbered_from_one_and_listed_by_number(runs: Path) -> None:
    made = [new_run_folder(runs)[0] for _ in range(11)]
    assert made == [f"r{number}" for number in range(1, 12)]
    assert list_runs(runs) == made


def test_a_removed_run_is_not_numbered_again_while_a_later_one_is_there(runs: Path) -> None:
    for _ in range(3):
        new_run_folder(runs)
    (runs / "r2").rmdir()
    assert new_run_folder(runs) == ("r4", runs / "r4")


def test_other_names_beside_the_runs_are_passed_over(runs: Path) -> None:
    new_run_folder(runs)
    for name in ("r0", "r01", "rx", "notes"):
        (runs / name).mkdir()
    assert list_runs(runs) == ["r1"]
    assert new_run_folder(runs)[0] == "r2"


def test_where_nothing_ran_no_run_is_listed(runs: Path) -> None:
    assert list_runs(runs) == []


def test_only_a_run_that_is_there_has_a_folder(runs: Path) -> None:
    new_run_folder(runs)
    assert run_folder(runs, "r1") == runs / "r1"
    assert run_folder(runs, "r2") is None
    assert run_folder(runs, "../runs/r1") is None


def test_run_folders_are_private_and_ignored_by_git(runs: Path) -> None:
    _, folder = new_run_folder(runs)
    assert folder.stat().st_mode & 0o077 == 0
    assert runs.parent.stat().st_mode & 0o077 == 0
    assert (runs.parent / ".gitignore").read_text() == "*\n"
    (runs.parent / ".gitignore").write_text("mine\n")
    new_run_folder(runs)
    assert (runs.parent / ".gitignore").read_text() == "mine\n"


def test_a_number_taken_by_another_process_meanwhile_is_passed_over(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_run_folder(runs)
    new_run_folder(runs)
    monkeypatch.setattr("runner.record.folders.list_runs", lambda _runs: ["r1"])
    assert new_run_folder(runs)[0] == "r3"


def test_processes_that_start_together_get_different_runs(runs: Path) -> None:
    code = "import sys, pathlib; from runner.record.folders import new_run_folder\n"
    code += "for _ in range(20): print(new_run_folder(pathlib.Path(sys.argv[1]))[0])"
    started = [subprocess.Popen([sys.executable, "-c", code, str(runs)], stdout=subprocess.PIPE) for _ in range(4)]
    made = [line for one in started for line in one.communicate()[0].split()]
    assert len(made) == len(set(made)) == 80


def test_a_place_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        new_run_folder(tmp_path / "file" / ".runner" / "runs")
    assert render(caught.value.problems[0], {}) == (
        f"record-unwritable: the run record {tmp_path}/file/.runner/runs cannot be written: a file is in the way\n"
        "  fix:      free space or make the folder writable, then run again; answers that were stored are kept"
    )


def test_a_record_file_is_replaced_as_a_whole_and_leaves_nothing_aside(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_record_file(path, b"one")
    write_record_file(path, b"two")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"two"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_record_file_that_cannot_be_put_in_place_leaves_nothing_aside(tmp_path: Path) -> None:
    (tmp_path / "summary.json" / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError):
        write_record_file(tmp_path / "summary.json", b"one")
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]
