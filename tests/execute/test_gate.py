"""The gate before the store: merged reads, batched writes, and nobody who waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from runner.core.answer import StoredAnswer
from runner.core.errors import StorageError
from runner.core.ports import Leases
from runner.execute.gate import MAX_BATCH, Gate


def answer(key: str) -> StoredAnswer:
    return StoredAnswer(key, "scripted", "p", "/m", b"{}", b"{}")


def test_lookups_of_one_turn_are_one_read(bench: Any) -> None:
    bench.shelf.kept = {"a": answer("a")}

    async def use() -> list[StoredAnswer | None]:
        gate = Gate(bench.shelf)
        found = await asyncio.gather(gate.lookup("a"), gate.lookup("b"), gate.lookup("a"))
        await gate.aclose()
        return list(found)

    first, second, third = asyncio.run(use())
    assert bench.shelf.lookups == [["a", "b"]]
    assert second is None
    assert first == third
    assert first is not None
    assert first.key == "a"


@pytest.mark.parametrize("error", [StorageError([]), RuntimeError("a defect of the store")])
def test_a_read_that_fails_is_raised_at_everybody_who_waits(bench: Any, error: Exception) -> None:
    bench.shelf.unreadable = error

    async def use() -> list[Any]:
        gate = Gate(bench.shelf)
        found = await asyncio.gather(gate.lookup("a"), gate.lookup("b"), return_exceptions=True)
        await gate.aclose()
        return list(found)

    assert asyncio.run(use()) == [error, error]


def test_who_went_away_is_not_told(bench: Any) -> None:
    bench.shelf.kept = {"a": answer("a")}

    async def use(error: Exception | None) -> StoredAnswer | BaseException | None:
        bench.shelf.unreadable = error
        gate = Gate(bench.shelf)
        gone, there = asyncio.create_task(gate.lookup("a")), asyncio.create_task(gate.lookup("a"))
        await asyncio.sleep(0)
        gone.cancel()
        try:
            return (await asyncio.gather(there, return_exceptions=True))[0]
        finally:
            await gate.aclose()

    assert isinstance(asyncio.run(use(None)), StoredAnswer)
    assert isinstance(asyncio.run(use(StorageError([]))), StorageError)


def test_a_commit_is_in_the_store_when_it_returns(bench: Any) -> None:
    async def use() -> None:
        gate = Gate(bench.shelf)
        await gate.commit(answer("a"))
        assert "a" in bench.shelf.kept
        await gate.aclose()

    asyncio.run(use())


def test_what_gathers_during_a_write_is_the_next_batch(bench: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(10)

    async def use() -> None:
        gate = Gate(bench.shelf)
        bench.shelf.before_commit = wait
        first = asyncio.create_task(gate.commit(answer("first")))
        await asyncio.to_thread(begun.wait, 10)
        rest = [asyncio.create_task(gate.commit(answer(f"k{number}"))) for number in range(MAX_BATCH + 1)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, *rest)
        await gate.aclose()

    asyncio.run(use())
    assert [len(batch) for batch in bench.shelf.commits] == [1, MAX_BATCH, 1]


@pytest.mark.parametrize("error", [StorageError([]), RuntimeError("a defect"), MemoryError()])
def test_a_write_that_fails_is_raised_at_the_caller_and_the_writer_goes_on(bench: Any, error: BaseException) -> None:
    async def use() -> None:
        gate = Gate(bench.shelf)
        bench.shelf.broken = error
        with pytest.raises(type(error)):
            await gate.commit(answer("a"))
        bench.shelf.broken = None
        await gate.commit(answer("b"))
        await gate.aclose()

    asyncio.run(use())
    assert list(bench.shelf.kept) == ["b"]


def test_a_cancelled_commit_is_written_all_the_same(bench: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(10)

    async def use() -> None:
        gate = Gate(bench.shelf)
        bench.shelf.before_commit = wait
        commit = asyncio.create_task(gate.commit(answer("paid")))
        await asyncio.to_thread(begun.wait, 10)
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
        go_on.set()
        await gate.aclose()

    asyncio.run(use())
    assert "paid" in bench.shelf.kept


def test_who_went_away_during_a_write_that_fails_is_not_told(bench: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(10)

    async def use() -> None:
        gate = Gate(bench.shelf)
        bench.shelf.before_commit = wait
        bench.shelf.broken = StorageError([])
        commit = asyncio.create_task(gate.commit(answer("a")))
        await asyncio.to_thread(begun.wait, 10)
        commit.cancel()
        await asyncio.wait({commit})
        go_on.set()
        await gate.aclose()

    asyncio.run(use())
    assert bench.shelf.kept == {}


def test_closing_writes_what_has_gathered_and_ends_the_thread(bench: Any) -> None:
    async def use() -> None:
        gate = Gate(bench.shelf)
        commits = [asyncio.create_task(gate.commit(answer(f"k{number}"))) for number in range(5)]
        await asyncio.sleep(0)
        await gate.aclose()
        await asyncio.gather(*commits)

    before = threading.active_count()
    asyncio.run(use())
    assert len(bench.shelf.kept) == 5
    assert not [thread for thread in threading.enumerate() if thread.name == "store-writer"]
    assert threading.active_count() <= before + 1  # the loop's own pool may linger


# Claims


@dataclass
class Others:
    """Leases in memory: what `asked` names is asked by somebody else."""

    asked: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    broken: Exception | None = None

    def claim(self, keys: Sequence[str], *, release: Iterable[str] = ()) -> set[str]:
        if self.broken is not None:
            raise self.broken
        self.held.difference_update(release)
        granted = set(keys) - self.asked
        self.held |= granted
        return granted

    def renew(self) -> None:
        """Nobody looks."""

    def close(self) -> None:
        """Nothing is open."""


def use_gate(bench: Any, leases: Leases | None, use: Callable[[Gate], Awaitable[None]]) -> None:
    async def whole() -> None:
        gate = Gate(bench.shelf, leases)
        try:
            await asyncio.wait_for(use(gate), 20)
        finally:
            await gate.aclose()

    asyncio.run(whole())


def test_without_leases_every_question_is_ours(bench: Any) -> None:
    async def use(gate: Gate) -> None:
        assert await gate.claim("a")
        gate.release("a")

    use_gate(bench, None, use)


def test_a_claim_ends_with_the_commit_of_its_answer(bench: Any) -> None:
    others = Others()

    async def use(gate: Gate) -> None:
        assert await gate.claim("a")
        assert await gate.claim("b")
        assert others.held == {"a", "b"}
        await gate.commit(answer("a"))
        gate.release("a")  # has ended already
        assert await gate.claim("c")
        assert others.held == {"b", "c"}

    use_gate(bench, others, use)
    assert others.held == set()


def test_a_claim_whose_answer_could_not_be_kept_is_released_by_its_owner(bench: Any) -> None:
    others = Others()

    async def use(gate: Gate) -> None:
        await gate.claim("a")
        bench.shelf.broken = StorageError([])
        with pytest.raises(StorageError):
            await gate.commit(answer("a"))
        assert others.held == {"a"}
        gate.release("a")
        await gate.claim("b")
        assert others.held == {"b"}

    use_gate(bench, others, use)


def test_what_others_ask_is_waited_for(bench: Any) -> None:
    others = Others(asked={"a"})

    async def use(gate: Gate) -> None:
        waiting = gate.claim("a")
        assert await gate.claim("b")
        assert not waiting.done()
        others.asked.clear()
        assert await waiting

    use_gate(bench, others, use)


def test_who_went_away_while_a_claim_was_made_does_not_keep_it(bench: Any) -> None:
    others = Others()

    async def use(gate: Gate) -> None:
        gate.claim("a").set_result(False)
        while "a" in others.held or not others.held:
            await gate.claim("b")
        assert others.held == {"b"}

    use_gate(bench, others, use)


def test_a_claim_that_cannot_be_made_is_raised_and_then_nothing_is_claimed(bench: Any) -> None:
    others = Others(broken=StorageError([]))

    async def use(gate: Gate) -> None:
        with pytest.raises(StorageError):
            await gate.claim("a")
        assert await gate.claim("a")
        gate.release("a")

    use_gate(bench, others, use)
