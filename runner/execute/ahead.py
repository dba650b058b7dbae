"""What was asked before its turn, in batches or so that a batch could be made: taken when its turn comes."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.answer import StoredAnswer
from runner.core.frozen import dataclass, replace
from runner.core.outcome import Failure, Source
from runner.core.ports import Answers
from runner.plan.advance import Answered, Ask
from runner.plan.program import Program

Place = tuple[str, str, int, int]


@dataclass(frozen=True, slots=True)
class _Early:
    """An ask that was made, by whom, and what came of it; the answer itself stands in the store."""

    place: Place
    answered: Answered


class Ahead:
    """Answers of this run by the key of the question. Of equal questions the first pays, others find it stored."""

    def __init__(self, program: Program, answers: Answers) -> None:
        self._program = program
        self._answers = answers
        self._found: dict[str, _Early] = {}
        self.over: Failure | None = None
        """Why no question of a batch step is asked any more."""
        self.held: Failure | None = None
        """Why none is asked for now."""

    def note(self, ask: Ask, answered: Answered) -> None:
        """What came of a question that was asked ahead; the answer is stored unless the step keeps none."""
        kept = answered if ask.use == "off" else replace(answered, answer=None)
        self._found[_ident(ask)] = _Early(ask.place, kept)

    def find(self, asks: Sequence[Ask]) -> list[Answered | None]:
        """What is known of each question."""
        early = [self._found.get(_ident(ask)) for ask in asks]
        keys = [ask.key for ask, one in zip(asks, early, strict=True) if one is not None and _is_stored(one)]
        stored = self._answers.lookup(list(dict.fromkeys(keys))) if keys else {}
        return [_answered(ask, one, stored.get(ask.key)) for ask, one in zip(asks, early, strict=True)]

    def refusal(self, ask: Ask) -> Failure | None:
        """Why a question is not asked now."""
        return (self.over or self.held) if self._program.asked_by(ask).is_batch else None


def _ident(ask: Ask) -> str:
    """Questions whose answers are not kept are each asked for themselves."""
    return ask.key if ask.use != "off" else "\n".join(map(str, (ask.key, *ask.place)))


def _is_stored(early: _Early) -> bool:
    return early.answered.answer is None and early.answered.failure is None


def _answered(ask: Ask, early: _Early | None, stored: StoredAnswer | None) -> Answered | None:
    if early is None:
        return None
    answered = early.answered
    if _is_stored(early):
        if stored is None:
            return None  # damaged since: it is asked again
        answered = replace(answered, answer=replace(stored, source=Source.FRESH))
    if early.place == ask.place:
        return answered
    if answered.answer is not None:
        answered = replace(answered, answer=replace(answered.answer, source=Source.CACHED))
    return replace(answered, requests=0, seconds=0.0)
