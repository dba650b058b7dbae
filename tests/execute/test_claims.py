"""What is ours, what others ask, and when to look again; no thread and no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from runner.core.errors import StorageError
from runner.execute.claims import BEAT_S, FIRST_POLL_S, LONGEST_POLL_S, Claim, Claims


@dataclass
class Table:
    """Leases of which others have some."""

    others: set[str] = field(default_factory=set)
    log: list[Any] = field(default_factory=list)
    broken: Exception | None = None

    def claim(self, keys: Sequence[str], *, release: Iterable[str] = ()) -> set[str]:
        if self.broken is not None:
            raise self.broken
        self.log.append((list(keys), list(release)))
        return set(keys) - self.others

    def renew(self) -> None:
        self.log.append("renew")

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Desk:
    """Claims at a table, and the time."""

    table: Table
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.claims = Claims(self.table, lambda: self.seconds)
        self.loop = asyncio.new_event_loop()

    def claim(self, key: str) -> Claim:
        return Claim(key, self.loop.create_future())

    def turn(self, *keys: str, released: Sequence[str] = ()) -> list[str]:
        return [claim.key for claim, _ in self.claims.turn([self.claim(key) for key in keys], released)]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk(Table())
    yield made
    made.loop.close()


def test_a_turn_claims_and_releases_in_one_act(desk: Desk) -> None:
    assert desk.turn("a", "b") == ["a", "b"]
    assert desk.turn("c", released=["a"]) == ["c"]
    assert desk.table.log == [(["a", "b"], []), (["c"], ["a"])]
    assert desk.claims.held == {"b", "c"}


def test_a_turn_without_work_does_nothing(desk: Desk) -> None:
    assert desk.turn() == []
    assert desk.table.log == []
    assert desk.claims.pause_s() is None


def test_of_what_was_stored_only_our_claims_are_released(desk: Desk) -> None:
    desk.turn("a", "b")
    assert desk.claims.kept(["a", "x"]) == ["a"]
    assert desk.claims.held == {"b"}


def test_what_others_ask_is_looked_at_again_and_ever_later(desk: Desk) -> None:
    desk.table.others = {"a"}
    assert desk.turn("a") == []
    pauses = []
    for _ in range(12):
        pause_s = desk.claims.pause_s()
        assert pause_s is not None
        pauses.append(pause_s)
        desk.seconds += pause_s
        assert desk.turn() == []
    assert pauses[0] == FIRST_POLL_S
    assert all(later > 0.999 * pause for pause, later in pairwise(pauses))
    assert pauses[-1] == pytest.approx(LONGEST_POLL_S)
    assert len(desk.table.log) == 13


def test_before_its_time_nothing_is_looked_at_and_new_claims_do_not_hurry_it(desk: Desk) -> None:
    desk.table.others = {"a"}
    desk.turn("a")
    assert desk.turn("b") == ["b"]
    assert desk.table.log[-1] == (["b"], [])
    assert desk.claims.pause_s() == FIRST_POLL_S


def test_what_comes_free_is_ours_and_the_next_look_comes_soon_again(desk: Desk) -> None:
    desk.table.others = {"a", "b"}
    desk.turn("a", "b")
    for _ in range(12):
        desk.seconds += 1
        desk.turn()
    desk.table.others = {"b"}
    desk.seconds += 1
    assert desk.turn() == ["a"]
    assert desk.claims.held == {"a"}
    assert desk.claims.pause_s() == pytest.approx(FIRST_POLL_S)


def test_who_does_not_wait_any_longer_is_not_asked_for(desk: Desk) -> None:
    desk.table.others = {"a", "b"}
    gone, there = desk.claim("a"), desk.claim("b")
    desk.claims.turn([gone, there], [])
    gone.done.cancel()
    desk.seconds += 1
    desk.turn()
    assert desk.table.log[-1] == (["b"], [])


def test_an_owner_shows_itself_every_few_seconds_as_long_as_it_has_something(desk: Desk) -> None:
    desk.turn("a")
    assert desk.claims.pause_s() == BEAT_S
    desk.seconds += BEAT_S
    assert desk.claims.pause_s() == 0
    desk.turn()
    assert desk.table.log[-1] == "renew"
    assert desk.claims.pause_s() == BEAT_S
    desk.turn(released=["a"])
    assert desk.claims.pause_s() is None


@pytest.mark.parametrize("error", [StorageError([]), RuntimeError("a defect")])
def test_after_a_failure_everybody_is_told_and_nothing_is_claimed_any_more(desk: Desk, error: Exception) -> None:
    desk.table.others = {"a"}
    desk.turn("a", "b")
    desk.table.broken = error
    settled = desk.claims.turn([desk.claim("c")], [])
    assert [(claim.key, told) for claim, told in settled] == [("c", error), ("a", error)]
    assert not desk.claims.are_made
    assert desk.claims.held == set()
    assert desk.turn("d") == ["d"]
    assert desk.claims.pause_s() is None
