"""How many requests run at once."""

from __future__ import annotations

import asyncio

import pytest

from runner.execute.limits import InFlight


def test_no_more_than_the_limit_run_at_once_and_the_highest_is_remembered() -> None:
    async def run() -> InFlight:
        in_flight = InFlight(3)

        async def ask() -> None:
            async with in_flight:
                assert in_flight.now <= 3
                await asyncio.sleep(0)

        await asyncio.gather(*(ask() for _ in range(20)))
        return in_flight

    in_flight = asyncio.run(run())
    assert (in_flight.highest, in_flight.now, in_flight.limit) == (3, 0, 3)


def test_a_place_is_given_back_when_the_request_fails() -> None:
    async def run() -> int:
        in_flight = InFlight(1)
        for _ in range(2):
            with pytest.raises(ValueError, match="boom"):
                async with in_flight:
                    raise ValueError("boom")
        return in_flight.now

    assert asyncio.run(run()) == 0


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        InFlight(0)
