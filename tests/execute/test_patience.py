"""What an interrupted run waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runner.core.outcome import Failure, FailureKind
from runner.core.ports import CallFailed
from runner.execute.patience import Patience

GIVEN_UP = Failure(
    FailureKind.UNKNOWN_DELIVERY,
    "no answer 0 s after the run was stopped, and not waited for any longer; it may be paid",
)


def gives_up(use: Callable[[Patience], Awaitable[object]]) -> Failure:
    with pytest.raises(CallFailed) as caught:
        asyncio.run(asyncio.wait_for(_use(use), 10))
    return caught.value.failure


async def _use(use: Callable[[Patience], Awaitable[object]]) -> object:
    return await use(Patience())


def test_a_request_of_a_model_that_never_answered_is_given_up() -> None:
    async def use(patience: Patience) -> None:
        async with patience.request("m"):
            patience.end(grace_s=0.0)
            await asyncio.Event().wait()

    assert gives_up(use) == GIVEN_UP


def test_a_request_that_took_longer_than_any_answer_before_is_given_up() -> None:
    async def use(patience: Patience) -> None:
        async with patience.request("m"):
            patience.slowest_s["m"] = -1.0
            patience.end(grace_s=0.0)
            await asyncio.Event().wait()

    assert gives_up(use) == GIVEN_UP


def test_a_request_has_the_time_that_answers_of_its_model_take() -> None:
    async def use() -> str:
        patience = Patience()
        patience.slowest_s.update(m=60.0)
        answer = asyncio.get_running_loop().create_future()
        async with patience.request("m"):
            patience.end(grace_s=0.0)
            asyncio.get_running_loop().call_later(0.01, answer.set_result, "paid")
            return str(await answer)

    assert asyncio.run(use()) == "paid"


def test_answers_tell_what_a_model_takes_and_failures_do_not() -> None:
    async def use() -> dict[str, float]:
        patience = Patience()
        async with patience.request("m"):
            await asyncio.sleep(0.001)
        with pytest.raises(CallFailed):
            async with patience.request("other"):
                raise CallFailed(GIVEN_UP)
        async with patience.request("m"):
            pass
        return patience.slowest_s

    slowest = asyncio.run(use())
    assert list(slowest) == ["m"]
    assert slowest["m"] > 0.0005


def test_a_cancelled_request_is_cancelled_and_not_given_up() -> None:
    async def use() -> None:
        patience = Patience()
        async with patience.request("m"):
            patience.end()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(use())
