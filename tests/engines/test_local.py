"""The engine that moves chunks on this process's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from runner.engines.local import LocalEngine


async def collect(engine: LocalEngine[int, int], chunks: Iterator[int], window: int) -> list[int]:
    async with aclosing(engine.stream(chunks, window)) as receipts:
        return [receipt async for receipt in receipts]


def test_every_chunk_gives_its_receipt() -> None:
    async def double(chunk: int) -> int:
        return chunk * 2

    assert sorted(asyncio.run(collect(LocalEngine(double), iter(range(10)), 3))) == list(range(0, 20, 2))


def test_no_chunks_give_no_receipts() -> None:
    async def never(chunk: int) -> int:
        raise AssertionError(chunk)

    assert asyncio.run(collect(LocalEngine(never), iter(()), 3)) == []


def test_receipts_come_as_chunks_end_not_as_they_began() -> None:
    async def run() -> list[int]:
        hold = asyncio.Event()

        async def work(chunk: int) -> int:
            if chunk == 0:
                await hold.wait()
            return chunk

        received = []
        async with aclosing(LocalEngine(work).stream(iter(range(3)), 3)) as receipts:
            async for receipt in receipts:
                received.append(receipt)
                hold.set()
        return received

    assert asyncio.run(run())[0] != 0


def test_no_chunk_is_taken_before_there_is_room_for_it() -> None:
    taken: list[int] = []
    highest = [0, 0]

    def source() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            assert len(taken) - highest[1] <= 4
            yield number

    async def work(chunk: int) -> int:
        highest[0] += 1
        assert highest[0] <= 4
        await asyncio.sleep(0)
        highest[0] -= 1
        highest[1] += 1
        return chunk

    assert len(asyncio.run(collect(LocalEngine(work), source(), 4))) == 20


def test_an_error_ends_the_others_and_is_raised_as_it_is() -> None:
    ended: list[int] = []

    async def work(chunk: int) -> int:
        if chunk == 1:
            raise ValueError("boom")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(chunk)
        return chunk

    with pytest.raises(ValueError, match="boom"):
        asyncio.run(collect(LocalEngine(work), iter(range(3)), 3))
    assert sorted(ended) == [0, 2]


def test_of_several_errors_at_once_none_is_left_unseen() -> None:
    complaints: list[object] = []

    async def work(chunk: int) -> int:
        raise ValueError(str(chunk))

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        with pytest.raises(ValueError, match=r"\d"):
            await collect(LocalEngine(work), iter(range(5)), 5)

    asyncio.run(run())
    assert complaints == []


def test_a_reader_that_leaves_early_ends_what_runs() -> None:
    ended: list[int] = []

    async def work(chunk: int) -> int:
        if chunk:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(chunk)
        return chunk

    async def run() -> None:
        async with aclosing(LocalEngine(work).stream(iter(range(3)), 3)) as receipts:
            async for receipt in receipts:
                assert receipt == 0
                break

    asyncio.run(run())
    assert sorted(ended) == [1, 2]
