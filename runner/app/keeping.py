"""Recordings: which answers a run used, and writing them to the folder kept in git."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.app.changed_texts import kept_texts
from runner.core.events import AttemptMade, Event
from runner.core.outcome import Source, in_turn
from runner.core.ports import Answers
from runner.dialects import ASKED
from runner.plan.program import Program
from runner.store.recordings import PlaceLine, Recordings

RECORDINGS = Path("cache/recordings")


def recordings_of(root: Path) -> Recordings:
    return Recordings(root / RECORDINGS, scrub)


def scrub(dialect: str, payload: bytes) -> bytes:
    """The payload as it is recorded; one of a dialect that is not known stays as it is."""
    return ASKED[dialect].scrub(payload) if dialect in ASKED else payload


# Reasons for which a call is asked although its key may be recorded.
ASKED_ANEW = frozenset({"forced", "failed-before", "now-invalid", "damaged"})


class Recorder:
    """An EventSink that remembers which answers a recording run used, and where."""

    def __init__(self, workflow: str, *, is_recording: bool) -> None:
        self._workflow = workflow
        self._is_recording = is_recording
        self._lines: list[PlaceLine] = []
        self._anew: dict[str, None] = {}

    def __call__(self, event: Event, /) -> None:
        if not isinstance(event, AttemptMade):
            return
        attempt = event.attempt
        if attempt.source is Source.FRESH and attempt.reason in ASKED_ANEW:
            self._anew[attempt.key] = None
        if self._is_recording:
            item = in_turn(event.item, attempt.turn, attempt.answers, attempt.number)
            place = (attempt.part or event.step, item, attempt.sample, attempt.repair)
            self._lines.append(PlaceLine(self._workflow, *place, attempt.key, event.ingredients))

    def write(
        self,
        recordings: Recordings,
        answers: Answers,
        received: Answers,
        programs: Iterable[Program],
        *,
        is_whole: bool = False,
    ) -> str:
        """Write every answer that was used, then the places; says how many files changed.

        With `is_whole` these are all places that there are: others of the same name, and answers and texts that no
        places file names any more, are removed.
        """
        keys = list(dict.fromkeys(line.key for line in self._lines))
        found = {**answers.lookup(keys), **received.lookup([key for key in keys if key in self._anew])}
        chains = [[found[key]] for key in keys if key in found]
        texts = set(kept_texts(programs))
        lines = [line for line in self._lines if line.key in found]
        changed = recordings.write(chains, lines, sorted(texts), replaces=self._workflow if is_whole else "")
        told = f"{len(chains)} answer{'' if len(chains) == 1 else 's'} in {RECORDINGS}, {changed} new or changed"
        removed = recordings.remove_unnamed() if is_whole else 0
        return f"{told}, {removed} removed" if removed else told

    def shadowed(self, recordings: Recordings, received: Answers) -> int:
        """How many fresh answers differ from the recording under their key, which will be read instead of them."""
        recorded = recordings.get_many(list(self._anew)) if self._anew else {}
        fresh = received.lookup(list(recorded)) if recorded else {}
        return sum(scrub(answer.dialect, answer.payload) != recorded[key].payload for key, answer in fresh.items())
