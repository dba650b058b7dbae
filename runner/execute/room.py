"""How much may still be sent by what a provider says of its limits beside its answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.frozen import dataclass
from runner.core.limits import Bounded, Room

# Requests, and the tokens of questions and answers.
_WEIGHTS: Final[dict[Bounded, tuple[int, int, int]]] = {
    "requests": (1, 0, 0),
    "tokens": (0, 1, 1),
    "input": (0, 1, 0),
    "output": (0, 0, 1),
}
# Some say of what is nearly full that it is so in no time.
_SHORTEST_S: Final = 0.01
# Requests do not all take the same time to arrive: so much of a limit, and at least one request, is left alone.
_SPARE: Final = 0.01
# What sums of parts may be wrong by; to wait for less would be to wait for ever.
_NOTHING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Total:
    """All that was let through so far; of `counted` requests also the tokens."""

    requests: int = 0
    counted: int = 0
    input: float = 0.0
    output: float = 0.0

    def of(self, what: Bounded) -> float:
        requests, given, made = _WEIGHTS[what]
        return requests * self.requests + given * self.input + made * self.output

    def mean(self, what: Bounded) -> float:
        """What one request takes."""
        return 1.0 if what == "requests" else self.of(what) / max(1, self.counted)


@dataclass(frozen=True, slots=True)
class _Said:
    """What was left when a request was counted: when that was let through, and how much had been by then."""

    room: Room
    at: float
    total: float

    @property
    def per_s(self) -> float:
        return (self.room.most - self.room.left) / max(_SHORTEST_S, self.room.full_in_s)

    def left(self, now: float, total: float) -> float:
        refilled = min(float(self.room.most), self.room.left + self.per_s * (now - self.at))
        return refilled - (total - self.total)


class Rooms:
    """The limits of one model as it tells them. They fill evenly: what is missing is all there when they are reset.

    Only what was let through after the request that an answer belongs to is taken off, as the others were counted
    when it came. One that never says anything but that nothing is left is not believed: it answers, after all.
    """

    def __init__(self) -> None:
        self._said: dict[Bounded, _Said] = {}
        self._are_believed: set[Bounded] = set()

    @property
    def count_tokens(self) -> bool:
        return bool(self._said.keys() - {"requests"})

    def note(self, rooms: Sequence[Room], at: float, total: Total) -> None:
        """What came beside the answer to a request that was let through at a time, with so much before it."""
        for room in rooms:
            if room.left:
                self._are_believed.add(room.of)
            known = self._said.get(room.of)
            if room.of in self._are_believed and (known is None or known.at <= at):
                self._said[room.of] = _Said(room, at, total.of(room.of))

    def wait_s(self, now: float, total: Total) -> float:
        """How long until there is room for a request like those before."""
        if not self._said:
            return 0.0
        return max(_wait_s(said, now, total) for said in self._said.values())

    def waited_for(self, now: float, total: Total) -> tuple[Room, float] | None:
        """The limit that is used up, and how much of it comes back in a second."""
        used_up = [(_wait_s(said, now, total), said.room, said.per_s) for said in self._said.values()]
        wait_s, room, per_s = max(used_up, key=lambda one: one[0], default=(0.0, None, 0.0))
        return (room, per_s) if room is not None and wait_s else None


def _wait_s(said: _Said, now: float, total: Total) -> float:
    if not said.per_s:
        return 0.0
    what, most = said.room.of, float(said.room.most)
    wanted = total.mean(what)
    missing = min(wanted + max(wanted, _SPARE * most), most) - said.left(now, total.of(what))
    return missing / said.per_s if missing > _NOTHING else 0.0
