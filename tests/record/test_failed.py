"""Which items failed when a workflow last told of them."""

from __future__ import annotations

from pathlib import Path

from runner.core.events import Event, RunFinished, RunStarted, RunStatus, Settled
from runner.core.outcome import Failure, FailureKind, Outcome, Status
from runner.record.failed import MAX_RUNS, last_failed
from runner.record.folders import new_run_folder
from runner.record.journal import Journal

BAD = Failure(FailureKind.INVALID, "does not fit")
LATE = Failure(FailureKind.BUDGET, "not asked")


def settled(item: str, status: Status = Status.GOOD, failure: Failure | None = None, step: str = "tag") -> Settled:
    return Settled(Outcome(step, item, status, failure=failure))


def record(runs: Path, *events: Event, workflow: str = "w", status: RunStatus | None = "done") -> None:
    run, folder = new_run_folder(runs)
    journal = Journal(folder)
    journal(RunStarted(run, workflow, "w.yaml", {}, "0.1.0"))
    for event in events:
        journal(event)
    if status:
        journal(RunFinished(run, status, 0, 1.0))
    journal.close()


def test_without_a_run_nothing_is_known(tmp_path: Path) -> None:
    assert last_failed(tmp_path, "w") is None
    record(tmp_path, settled("a", Status.FAILED, BAD), workflow="other")
    assert last_failed(tmp_path, "w") is None


def test_failed_and_blocked_items_of_the_last_run_are_found(tmp_path: Path) -> None:
    record(tmp_path, settled("z", Status.FAILED, BAD))
    record(
        tmp_path,
        settled("a"),
        settled("b", Status.FAILED, BAD),
        settled("b", Status.BLOCKED, Failure(FailureKind.UPSTREAM, "'tag' failed"), step="tone"),
        settled("c", Status.SKIPPED),
        settled("", Status.FAILED, BAD, step="sum"),
    )
    assert last_failed(tmp_path, "w") == {"tag": {"b"}, "tone": {"b"}, "sum": {""}}


def test_a_run_in_which_all_went_well_leaves_nothing_of_older_ones(tmp_path: Path) -> None:
    record(tmp_path, settled("a", Status.FAILED, BAD))
    record(tmp_path, settled("a"))
    assert last_failed(tmp_path, "w") == {}


def test_what_was_not_asked_is_as_an_older_run_says(tmp_path: Path) -> None:
    record(tmp_path, settled("old", Status.FAILED, BAD))
    record(tmp_path, settled("a", Status.FAILED, BAD), settled("b", Status.FAILED, BAD), settled("c"))
    record(tmp_path, settled("a"), settled("b", Status.BLOCKED, LATE), settled("c", Status.BLOCKED, LATE))
    assert last_failed(tmp_path, "w") == {"tag": {"b"}}


def test_behind_a_run_that_was_cut_short_older_ones_count(tmp_path: Path) -> None:
    record(tmp_path, settled("a", Status.FAILED, BAD), settled("b", Status.FAILED, BAD))
    record(tmp_path, settled("a"), status="interrupted")
    assert last_failed(tmp_path, "w") == {"tag": {"b"}}
    record(tmp_path, settled("b"), status=None)
    assert last_failed(tmp_path, "w") == {}


def test_no_more_than_twenty_runs_are_read(tmp_path: Path) -> None:
    record(tmp_path, settled("a", Status.FAILED, BAD))
    for _ in range(MAX_RUNS):
        record(tmp_path, status="interrupted")
    assert last_failed(tmp_path, "w") == {}
