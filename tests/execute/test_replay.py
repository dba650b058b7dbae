"""A chunk of items replayed from stored answers alone."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.events import Event
from runner.core.outcome import Failure, FailureKind, Status
from runner.execute.replay import NeedsCalls, Walk, replay_chunk
from runner.plan.advance import Ask
from runner.plan.items import ItemList, Row, identify
from runner.plan.stages import Receipt, RunState


@pytest.fixture
def lane(bench: Any) -> Any:
    """Two rows that were walked down two steps once."""
    bench.workflow("""
        data: {rows: {file: rows.jsonl}}
        steps:
          first: {for_each: data.rows, prompt: "first {{ item }}"}
          second: {for_each: data.rows, prompt: "second {{ steps.first.text }}"}
        """)
    bench.receipts(["a", "b"])
    bench.shelf.lookups.clear()
    return bench


def replay(bench: Any, rows: list[str], **more: Any) -> tuple[Receipt | NeedsCalls, list[Event]]:
    state = RunState(bench.program, {"rows": ItemList(identify(Row(row, line) for line, row in enumerate(rows, 1)))})
    walk = Walk(bench.program, state.stages[0].steps, state.scope())
    told: list[Event] = []
    (chunk,) = state.chunks(0, 8)
    return replay_chunk(chunk, walk, bench.shelf.lookup, told.append, **more), told


def test_stored_answers_lead_to_the_end_in_as_many_lookups_as_there_are_steps(lane: Any) -> None:
    receipt, told = replay(lane, ["a", "b"])
    assert isinstance(receipt, Receipt)
    assert [one["second"].output for one in receipt.outcomes] == ["re: second re: first a", "re: second re: first b"]
    assert [len(keys) for keys in lane.shelf.lookups] == [2, 2]
    assert len(told) == 8


def test_a_miss_ends_it_and_nothing_is_told(lane: Any) -> None:
    missed, told = replay(lane, ["a", "new"])
    assert isinstance(missed, NeedsCalls)
    assert [(ask.step, ask.call.messages[0].text) for ask in missed.asks] == [("first", "first new")]
    assert told == []


def test_offline_a_miss_is_a_failure_of_its_item_alone(lane: Any) -> None:
    def refuse(ask: Ask) -> Failure:
        return Failure(FailureKind.NEEDS_CALL, f"no {ask.step}")

    receipt, _ = replay(lane, ["a", "new"], refuse=refuse)
    assert isinstance(receipt, Receipt)
    assert [one["first"].status for one in receipt.outcomes] == [Status.GOOD, Status.FAILED]


def test_what_must_be_asked_is_not_looked_up(lane: Any) -> None:
    program = lane.workflow(
        """
        data: {rows: {file: rows.jsonl}}
        steps: {first: {for_each: data.rows, prompt: "first {{ item }}"}}
        """,
        refresh=frozenset({"first"}),
    )
    missed, _ = replay(lane, ["a"])
    assert isinstance(missed, NeedsCalls)
    assert [ask.reason for ask in missed.asks] == ["forced"]
    assert lane.shelf.lookups == [[]]
    assert list(program.steps) == ["first"]
