"""A chunk of items through the steps of a lane."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner.core.errors import StorageError
from runner.core.events import AttemptMade, Settled
from runner.core.outcome import FailureKind, Status
from runner.execute.gate import Gate
from runner.execute.perform import Performer

LANE = """
data: {rows: {file: rows.jsonl}}
steps:
  first: {for_each: data.rows, prompt: "first {{ item }}"}
  second: {for_each: data.rows, prompt: "second {{ steps.first.text }}"}
"""


@pytest.fixture
def lane(bench: Any) -> Any:
    bench.workflow(LANE)
    return bench


def test_an_item_walks_down_its_lane_without_waiting_for_others(lane: Any) -> None:
    order: list[str] = []

    async def late(text: str) -> Any:
        while "second re: first b" not in lane.sent:
            await asyncio.sleep(0)
        return lane.Rule(answer=f"re: {text}")

    lane.respond = lambda text: late(text) if text == "first a" else lane.Rule(answer=f"re: {text}")
    (receipt,) = lane.receipts(["a", "b"])
    order = lane.sent
    assert order.index("second re: first b") < order.index("second re: first a")
    assert [one["second"].output for one in receipt.outcomes] == [
        "re: second re: first a",
        "re: second re: first b",
    ]


def test_the_answer_is_told_before_what_became_of_it(lane: Any) -> None:
    lane.receipts(["a"])
    told = [(type(event).__name__, getattr(event, "step", "")) for event in lane.events]
    assert told == [("AttemptMade", "first"), ("Settled", ""), ("AttemptMade", "second"), ("Settled", "")]
    assert all(isinstance(event, AttemptMade | Settled) for event in lane.events)


def test_what_is_behind_a_failed_step_does_not_run(lane: Any) -> None:
    lane.respond = lambda text: lane.Failure(FailureKind.BAD_REQUEST, "no")
    (receipt,) = lane.receipts(["a"])
    assert [outcome.status for outcome in receipt.outcomes[0].values()] == [Status.FAILED, Status.BLOCKED]


def test_a_bad_answer_is_marked_in_the_store(bench: Any) -> None:
    bench.workflow("steps: {ask: {prompt: hello, fields: {word: string}}}")
    bench.respond = lambda _: bench.Rule(answer="no JSON")
    bench.receipts()
    assert [answer.failure for answer in bench.shelf.kept.values()] == [FailureKind.INVALID]
    assert [len(batch) for batch in bench.shelf.commits] == [1, 1]


def test_steps_that_do_not_need_one_another_are_asked_at_once(bench: Any) -> None:
    bench.workflow("""
        data: {rows: {file: rows.jsonl}}
        steps:
          a: {for_each: data.rows, prompt: "a"}
          b: {for_each: data.rows, prompt: "b"}
        """)

    async def meet() -> Any:
        while len(bench.sent) < 2:
            await asyncio.sleep(0)
        return bench.Rule(answer="met")

    bench.respond = lambda _: meet()
    (receipt,) = bench.receipts(["x"])
    assert [outcome.output for outcome in receipt.outcomes[0].values()] == ["met", "met"]


SIDE_BY_SIDE = """
data: {rows: {file: rows.jsonl}}
steps:
  a: {for_each: data.rows, prompt: "a"}
  b: {for_each: data.rows, prompt: "b"}
"""


@pytest.mark.parametrize("rows", [["x"], ["x", "y"]], ids=["one item", "two items"])
def test_an_error_leaves_nothing_running(bench: Any, rows: list[str]) -> None:
    bench.workflow(SIDE_BY_SIDE)
    ended: list[str] = []

    async def for_ever() -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("b")

    def emit(event: Any) -> None:
        raise StorageError([])

    bench.emit = emit
    bench.respond = lambda text: for_ever() if text == "b" else bench.Rule(answer="x")
    with pytest.raises((StorageError, ExceptionGroup)):
        bench.receipts(rows)
    assert ended == ["b"], "equal questions are one request"


def test_a_cancellation_leaves_nothing_running(bench: Any) -> None:
    bench.workflow("steps: {ask: {prompt: hello, samples: 3}}")
    ended: list[str] = []

    async def for_ever() -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    bench.respond = lambda _: for_ever()

    async def cancel(_performer: Performer, _gate: Gate) -> None:
        raise AssertionError("not used")

    def interrupt(performer: Performer) -> None:
        task = asyncio.current_task()
        assert task is not None

        def when_all_are_sent() -> None:
            if len(bench.sent) == 3:
                task.cancel()
            else:
                asyncio.get_running_loop().call_soon(when_all_are_sent)

        when_all_are_sent()

    with pytest.raises(asyncio.CancelledError):
        bench.receipts(before=interrupt)
    assert ended == ["ended"] * 3


def test_samples_are_asked_side_by_side_and_given_in_order(bench: Any) -> None:
    bench.workflow("steps: {ask: {prompt: hello, samples: 3}}")
    count = iter("abc")
    bench.respond = lambda _: bench.Rule(answer=next(count))
    (receipt,) = bench.receipts()
    assert sorted(receipt.outcomes[0]["ask"].output) == ["a", "b", "c"]
    assert len(bench.shelf.kept) == 3
