from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.core.events import AttemptMade, RunStarted
from runner.core.outcome import Attempt, FailureKind, Source
from runner.record import places as places_module
from runner.record.folders import new_run_folder
from runner.record.journal import Journal, read_placed
from runner.record.places import PlaceEntry, places_of


def test_the_latest_run_that_used_a_place_wins(runs: Path, write_run: Callable[..., str]) -> None:
    write_run("triage", ("ask", "a", "old", {"thinking": "low"}), ("ask", "b", "only", {}))
    write_run("triage", ("ask", "a", "new", {"thinking": "high"}))
    found = places_of(runs, "triage")
    assert found[("ask", "a", 0, 0)] == PlaceEntry("new", {"thinking": "high"}, "r2")
    assert found[("ask", "b", 0, 0)] == PlaceEntry("only", {}, "r1")
    assert ("ask", "c", 0, 0) not in found
    assert len(found) == 2
    assert set(found) == {("ask", "a", 0, 0), ("ask", "b", 0, 0)}


def test_within_a_run_the_last_attempt_at_a_place_wins(runs: Path, write_run: Callable[..., str]) -> None:
    write_run("triage", ("ask", "a", "first", {}), ("ask", "a", "second", {}))
    assert places_of(runs, "triage")[("ask", "a", 0, 0)].key == "second"


def test_a_repair_is_another_place(runs: Path, write_run: Callable[..., str]) -> None:
    write_run("triage", ("ask", "a", "k", {}), repair=1)
    assert list(places_of(runs, "triage")) == [("ask", "a", 0, 1)]


def test_runs_of_other_workflows_say_nothing(runs: Path, write_run: Callable[..., str]) -> None:
    write_run("other", ("ask", "a", "k", {}))
    assert len(places_of(runs, "triage")) == 0


def test_nothing_is_read_before_it_is_asked_and_older_runs_only_when_needed(
    runs: Path, write_run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run("triage", ("ask", "a", "old", {}), ("ask", "b", "old", {}))
    write_run("triage", ("ask", "a", "new", {}))
    read: list[str] = []

    def read_and_note(path: Path, *words: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
        read.append(path.parent.name)
        return read_placed(path, *words)

    monkeypatch.setattr(places_module, "read_placed", read_and_note)
    found = places_of(runs, "triage")
    assert read == []
    assert found[("ask", "a", 0, 0)].key == "new"
    assert read == ["r2"]
    assert found[("ask", "b", 0, 0)].key == "old"
    assert read == ["r2", "r1"]


def test_only_the_last_twenty_runs_of_a_workflow_are_read(runs: Path, write_run: Callable[..., str]) -> None:
    write_run("triage", ("ask", "forgotten", "k", {}))
    for _ in range(20):
        write_run("triage", ("ask", "a", "k", {}))
    assert list(places_of(runs, "triage")) == [("ask", "a", 0, 0)]


def test_requests_that_brought_no_answer_and_records_of_another_shape_are_no_places(runs: Path) -> None:
    run, folder = new_run_folder(runs)
    journal = Journal(folder)
    journal(RunStarted(run, "triage", "w.yaml", {}, "0.1.0"))
    journal(AttemptMade("ask", "lost", Attempt("k1", Source.FRESH, failure=FailureKind.TRANSIENT)))
    journal(AttemptMade("ask", "cut", Attempt("k2", Source.FRESH, failure=FailureKind.CUT)))
    journal.close()
    with (folder / "journal.jsonl").open("a") as file:
        records: tuple[dict[str, Any], ...] = (
            {"event": "attempt", "failure": None, "step": "ask", "item": 1, "sample": 0, "repair": 0, "key": "k"},
            {"event": "attempt", "failure": None, "step": "ask", "item": "x", "sample": 0, "repair": 0, "key": 1},
            {"event": "attempt", "failure": None, "step": "ask", "item": "y", "sample": 0, "repair": 0, "key": "k"},
            {"event": "note"},
            {"place": []},
        )
        for record in records:
            file.write(json.dumps(record) + "\n")
    assert dict(places_of(runs, "triage")) == {("ask", "cut", 0, 0): PlaceEntry("k2", {}, "r1")}


def test_recorded_places_are_known_after_those_of_runs(
    runs: Path, tmp_path: Path, write_run: Callable[..., str]
) -> None:
    recorded = tmp_path / "triage.jsonl"
    recorded.write_text(
        "".join(
            json.dumps(
                {
                    "ingredients": {"n": 1},
                    "key": "rec",
                    "place": {"item": item, "repair": 0, "sample": 0, "step": "ask"},
                }
            )
            + "\n"
            for item in ("a", "b")
        )
    )
    write_run("triage", ("ask", "a", "run", {}))
    assert dict(places_of(runs, "triage", recorded)) == {
        ("ask", "a", 0, 0): PlaceEntry("run", {}, "r1"),
        ("ask", "b", 0, 0): PlaceEntry("rec", {"n": 1}, ""),
    }


def test_a_run_killed_before_its_first_line_is_passed_over(runs: Path, write_run: Callable[..., str]) -> None:
    write_run("triage", ("ask", "a", "k", {}))
    new_run_folder(runs)
    assert places_of(runs, "triage")[("ask", "a", 0, 0)].run == "r1"


def test_what_a_file_of_recorded_places_has_besides_is_passed_over(
    runs: Path, tmp_path: Path, write_run: Callable[..., str]
) -> None:
    recorded = tmp_path / "others.jsonl"
    recorded.write_text('{"other": 1}\n{"place": "a"}\n')
    assert dict(places_of(runs, "triage", recorded)) == {}


def test_an_entry_whose_journal_has_gone_since_says_nothing(runs: Path, write_run: Callable[..., str]) -> None:
    run = write_run("triage", ("ask", "a", "k", {"n": 1}))
    found = places_of(runs, "triage")
    assert ("ask", "a", 0, 0) in found
    (runs / run / "journal.jsonl").unlink()
    assert found[("ask", "a", 0, 0)] == PlaceEntry("", {}, "r1")
