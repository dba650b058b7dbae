"""What `runner show` finds in the journals of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from runner.app.showing import show_run
from runner.app.told import MOST_NAMES, no_exchange, read_told
from runner.core.errors import NothingSelected
from runner.record.summary import RunSummary, write_summary

STARTED = {"event": "started", "run": "r1", "steps": {"tag": "a/b", "sum": "a/b"}}
GOOD = {"event": "outcome", "step": "tag", "item": "a", "status": "good", "failure": None, "because": ""}


def failed(item: str, kind: str, message: str) -> dict[str, Any]:
    return GOOD | {"item": item, "status": "failed", "failure": {"kind": kind, "message": message}}


def journal(root: Path, run: str, *lines: dict[str, Any]) -> Path:
    path = root / ".runner/runs" / run / "journal.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(map(orjson.dumps, lines)).replace(b"}{", b"}\n{"))
    return path


def test_what_is_not_good_is_told_with_its_reason(tmp_path: Path) -> None:
    skipped = GOOD | {"item": "c", "status": "skipped", "because": "when: is false"}
    lost = GOOD | {"item": "d", "status": "failed", "because": None}
    path = journal(tmp_path, "r1", STARTED, GOOD, failed("b", "row", "row 2 is bad"), skipped, lost)
    told = read_told(path, None, None)
    assert [(line["item"], line["reason"]) for line in told.outcomes] == [
        ("b", "bad-row: row 2 is bad"),
        ("c", "when: is false"),
        ("d", ""),
    ]
    assert read_told(path, "tag", "c").outcomes == told.outcomes[1:2]
    assert read_told(path, "sum", None).outcomes == ()


def test_a_step_that_was_not_reached_is_a_step_of_the_run(tmp_path: Path) -> None:
    path = journal(tmp_path, "r1", STARTED, GOOD)
    problem = no_exchange(path, "r1", "som", None)
    assert (problem.message, problem.expected, problem.nearest) == (
        "run r1 holds no exchange of som", "a step of this run: sum, tag", "sum")  # fmt: skip
    problem = no_exchange(path, "r1", "sum", None)
    assert (problem.expected, problem.nearest) == ("a step of this run: tag", "")


def test_an_item_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    lines = [GOOD | {"item": f"rev-{number:02}"} for number in range(MOST_NAMES + 5)]
    path = journal(tmp_path, "r1", STARTED, *lines)
    problem = no_exchange(path, "r1", "tag", "rev_07")
    assert problem.expected.startswith("an item of 'tag': rev-00, rev-01, ")
    assert problem.expected.endswith("rev-19 and 5 more")
    assert problem.nearest == "tag[rev-07]"
    assert no_exchange(path, "r1", "tag", "zzz").nearest == ""
    assert no_exchange(path, "r1", "sum", "a").expected == ""
    assert no_exchange(path, "r1", "tog", "rev-07").message == "run r1 holds no exchange of tog[rev-07]"


def test_the_last_run_is_the_last_in_which_something_happened(tmp_path: Path) -> None:
    journal(tmp_path, "r1", STARTED, GOOD)
    stopped = journal(tmp_path, "r2", STARTED).parent
    write_summary(stopped, RunSummary("r2", "w", "failed", 2))
    assert show_run(tmp_path, None, None, None)["run"] == "r1"
    empty = journal(tmp_path, "r3", STARTED).parent
    write_summary(empty, RunSummary("r3", "w", "done", 0))
    assert show_run(tmp_path, None, None, None)["run"] == "r3"


def test_a_run_that_came_to_nothing_is_shown_when_there_is_no_other(tmp_path: Path) -> None:
    journal(tmp_path, "r1", STARTED)
    assert show_run(tmp_path, None, None, None)["run"] == "r1"
    with pytest.raises(NothingSelected, match="run r1 holds no exchange of tag"):
        show_run(tmp_path, None, "tag", None)
