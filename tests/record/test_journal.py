from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import StorageError
from runner.core.events import (
    AttemptMade,
    ContextEnded,
    ContextKept,
    Event,
    Noted,
    Retrying,
    RunFinished,
    RunStarted,
    Settled,
    StepExpected,
)
from runner.core.outcome import Attempt, Failure, FailureKind, Outcome, Source, Status, Violation
from runner.core.response import Usage
from runner.record.journal import Journal, read_journal
from runner.record.lines import read_line, to_line, to_record

CACHED = AttemptMade("ask", "a", Attempt("k", Source.CACHED))
FRESH = AttemptMade("ask", "a", Attempt("k", Source.FRESH))


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]


def test_every_event_is_one_line_with_its_clock_and_durations_under_meta(tmp_path: Path) -> None:
    clock = iter(range(100, 200))
    journal = Journal(tmp_path, now=lambda: next(clock))
    attempt = Attempt(
        "k1", Source.FRESH, "new", 1, 2, Usage(5, 6, None, 1), 0.5, 1.5, 3, "parrot-2",
        (Violation("/a", "type", "a number", '"x"'),), FailureKind.INVALID, 1,
    )  # fmt: skip
    failure = Failure(FailureKind.INVALID, "does not fit", (Violation("/a", "type", "a number"),), status=200)
    journal(RunStarted("r1", "triage", "workflows/triage.yaml", {"ask": "scripted/parrot"}, "0.1.0"))
    journal(StepExpected("ask", 1, "scripted/parrot", "low"))
    journal(AttemptMade("ask", "a", attempt, {"thinking": "low"}))
    journal(ContextKept("ask", "scripted/parrot", "c/1", 2000, 60.0, 0.5, None, is_new=True))
    journal(ContextEnded("ask", "c/1", 30.0, 0.25))
    journal(Retrying("ask", "a", 1, 2.5, "overloaded"))
    journal(Settled(Outcome("ask", "a", Status.FAILED, None, failure, (attempt,), "", 4.0)))
    journal(Settled(Outcome("ask", "b", Status.GOOD, {"x": 1})))
    journal(Noted("saved", "out/page.html"))
    journal(RunFinished("r1", "failed", 1, 9.0, {"x": 1}))
    journal.close()
    assert lines(tmp_path) == [
        {"format": 1, "event": "started", "run": "r1", "workflow": "triage", "file": "workflows/triage.yaml",
         "steps": {"ask": "scripted/parrot"}, "version": "0.1.0", "meta": {"at": 100}},
        {"format": 1, "event": "expected", "step": "ask", "items": 1, "model": "scripted/parrot", "thinking": "low",
         "meta": {"at": 101}},
        {"format": 1, "event": "attempt", "step": "ask", "item": "a", "key": "k1", "source": "fresh", "reason": "new",
         "repair": 1, "sample": 2,
         "usage": {"input_tokens": 5, "output_tokens": 6, "cached_tokens": None, "thinking_tokens": 1},
         "cost_usd": 0.5, "requests": 3, "model": "parrot-2",
         "violations": [{"pointer": "/a", "keyword": "type", "expected": "a number", "found": '"x"'}],
         "failure": "invalid", "maybe_paid_twice": 1, "ingredients": {"thinking": "low"},
         "meta": {"at": 102, "seconds": 1.5}},
        {"format": 1, "event": "context", "step": "ask", "model": "scripted/parrot", "name": "c/1", "tokens": 2000,
         "made_usd": 0.5, "kept_usd": None, "is_new": True, "meta": {"at": 103, "seconds": 60.0}},
        {"format": 1, "event": "context-ended", "step": "ask", "name": "c/1", "kept_usd": 0.25,
         "meta": {"at": 104, "seconds": 30.0}},
        {"format": 1, "event": "retry", "step": "ask", "item": "a", "tries": 1, "message": "overloaded",
         "meta": {"at": 105, "wait_s": 2.5}},
        {"format": 1, "event": "outcome", "step": "ask", "item": "a", "status": "failed", "output": None,
         "failure": {"kind": "invalid", "message": "does not fit", "status": 200,
                     "violations": [{"pointer": "/a", "keyword": "type", "expected": "a number", "found": ""}]},
         "keys": ["k1"], "because": "", "meta": {"at": 106, "seconds": 4.0}},
        {"format": 1, "event": "outcome", "step": "ask", "item": "b", "status": "good", "output": {"x": 1},
         "failure": None, "keys": [], "because": "", "meta": {"at": 107, "seconds": 0.0}},
        {"format": 1, "event": "note", "code": "saved", "message": "out/page.html", "meta": {"at": 108}},
        {"format": 1, "event": "finished", "run": "r1", "status": "failed", "exit_code": 1, "outputs": {"x": 1},
         "meta": {"at": 109, "seconds": 9.0}},
    ]  # fmt: skip
    assert list(read_journal(tmp_path / "journal.jsonl")) == lines(tmp_path)


def test_without_a_clock_an_event_that_takes_no_time_has_no_meta() -> None:
    assert to_record(Noted("a", "b")) == {"format": 1, "event": "note", "code": "a", "message": "b"}


def test_a_fresh_answer_and_its_outcome_are_in_the_file_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    events: list[Event] = [FRESH, Settled(Outcome("ask", "a", Status.GOOD, attempts=(FRESH.attempt,)))]
    for number, event in enumerate(events, 1):
        journal(event)
        assert len(lines(tmp_path)) == number
    journal.close()


def test_what_a_rerun_gives_again_waits_for_the_next_line_that_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal(CACHED)
    journal(Settled(Outcome("ask", "a", Status.GOOD, attempts=(CACHED.attempt,))))
    assert lines(tmp_path) == []
    journal(Settled(Outcome("ask", "b", Status.SKIPPED)))
    assert [line["item"] for line in lines(tmp_path)] == ["a", "a", "b"]
    journal.close()


def test_not_more_than_256_lines_wait(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for _ in range(256):
        journal(CACHED)
    assert len(lines(tmp_path)) == 256
    journal.close()


def test_in_a_loop_what_comes_in_one_turn_is_written_together(tmp_path: Path) -> None:
    called: list[int] = []
    journal = Journal(tmp_path)
    journal.flush_soon = lambda: called.append(len(lines(tmp_path)))
    for event in (CACHED, FRESH, FRESH, CACHED):
        journal(event)
    assert (called, lines(tmp_path)) == ([0], [])
    journal.flush()
    assert len(lines(tmp_path)) == 4
    journal(FRESH)
    assert called == [0, 4]
    journal.close()


def test_closing_writes_what_waits_and_may_be_repeated(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal(CACHED)
    journal.close()
    journal.close()
    assert len(lines(tmp_path)) == 1


def test_the_journal_is_private(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o077 == 0


def test_a_torn_last_line_is_passed_over_and_the_next_journal_starts_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event":"note","code":"whole"}\n{"event":"no')
    assert [record["code"] for record in read_journal(path)] == ["whole"]
    journal = Journal(tmp_path)
    journal(Noted("next", ""))
    journal.close()
    assert [record["code"] for record in read_journal(path)] == ["whole", "next"]


def test_lines_that_are_no_records_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"\x00\xff\n[1]\n\n" + b"[" * 200_000 + b'\n{"event":"note"}\n')
    assert list(read_journal(path)) == [{"event": "note"}]


def test_no_journal_has_no_records(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path / "journal.jsonl")) == []


@given(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_text_and_any_value_come_back_from_a_line(message: str, output: Any) -> None:
    for text in (message, message + "\ud800", message + "\u2028\x00"):
        record = to_record(Settled(Outcome("ask", "a", Status.GOOD, output, because=text)))
        line = to_line(record)
        assert line.count(b"\n") == 1
        assert read_line(line) == json.loads(json.dumps(record))


def test_a_journal_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        Journal(tmp_path / "missing")
    assert caught.value.problems[0].message == (
        f"the run record {tmp_path}/missing/journal.jsonl cannot be written: No such file or directory"
    )


def test_a_full_disk_is_said_in_words_and_the_next_line_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, now=lambda: 0.0)
    whole = os.write

    def write_half(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", refuse)
        return whole(fd, data[:10])

    def refuse(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write_half)
    with pytest.raises(StorageError) as caught:
        journal(Noted("lost", ""))
    assert caught.value.problems[0].message.endswith("journal.jsonl cannot be written: No space left on device")
    monkeypatch.setattr(os, "write", whole)
    journal(Noted("kept", ""))
    journal.close()
    assert [record["code"] for record in read_journal(tmp_path / "journal.jsonl")] == ["kept"]


def test_lines_without_the_words_that_are_looked_for_are_passed_over_unread(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event":"started"}\n{"event":"outcome"}\n{"event":"attempt"}\n')
    assert [record["event"] for record in read_journal(path, (b'"attempt"',))] == ["attempt"]
    assert len(list(read_journal(path))) == 3


def test_what_is_kept_at_a_provider_is_in_the_file_before_anything_else_is_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.flush_soon = lambda: None
    journal(ContextKept("ask", "scripted/parrot", "c/1", 2000, 60.0, 0.5, 1.0, is_new=True))
    assert [line["event"] for line in lines(tmp_path)] == ["context"]
