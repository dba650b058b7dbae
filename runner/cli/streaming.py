"""The text of answers while it comes: one answer at a time, each line under the name of its step and item.

It is provisional: the answer may still be cut, refused or repaired, and the result alone is what counts.
"""

from __future__ import annotations

from typing import TypeAlias

from runner.cli.console import Console
from runner.cli.safe_text import held_back
from runner.core.events import AttemptMade, Event, Heard, Retrying, RunFinished
from runner.core.outcome import in_turn

_Place: TypeAlias = tuple[str, str, int, int, int]


class StreamedText:
    """The first answer that speaks is shown as it comes; others wait until it has ended, so that no two mingle."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._marks = console.unsafe_ends()
        self._waiting: dict[_Place, str] = {}
        self._ended: set[_Place] = set()
        self._shown: _Place | None = None

    def hear(self, heard: Heard) -> None:
        place = (heard.part or heard.step, heard.item, heard.turn, heard.sample, heard.repair)
        self._waiting[place] = self._waiting.get(place, "") + heard.text
        if self._shown is None:
            self._shown = place
        if place == self._shown:
            self._show(place)

    def note(self, event: Event) -> None:
        """An answer has ended, or is asked for again."""
        match event:
            case AttemptMade(step, item, attempt):
                self._end((attempt.part or step, item, attempt.turn, attempt.sample, attempt.repair))
            case Retrying(step, item):
                for place in [place for place in self._waiting if place[1] == item and _is_of(place[0], step)]:
                    self._end(place)
            case RunFinished():
                for place in list(self._waiting):
                    self._end(place)

    def _end(self, place: _Place) -> None:
        if place not in self._waiting:
            return
        self._ended.add(place)
        while self._shown in self._ended:
            self._close(self._shown)
            self._shown = next(iter(self._waiting), None)
            if self._shown is not None:
                self._show(self._shown)

    def _close(self, place: _Place) -> None:
        self._show(place, is_last=True)
        del self._waiting[place]
        self._ended.discard(place)
        self._console.end_line()

    def _show(self, place: _Place, *, is_last: bool = False) -> None:
        text = self._waiting[place]
        # Half of a secret is no secret that could be found, and half of a command none that could be disarmed.
        held = 0 if is_last else held_back(text, self._marks)
        now, self._waiting[place] = text[: len(text) - held], text[len(text) - held :]
        for number, part in enumerate(now.split("\n")):
            if number:
                self._console.piece("\n")
            if part:
                if not self._console.has_open_line:
                    self._console.piece(f"{_name(place)} | ", "dim")
                self._console.piece(part)


def _name(place: _Place) -> str:
    step, item, turn, sample, repair = place
    item = in_turn(item, turn)
    words = [f"{step}[{item}]" if item else step]
    words += [f"sample {sample}"] if sample else []
    words += [f"repair {repair}"] if repair else []
    return " ".join(words)


def _is_of(name: str, step: str) -> bool:
    return name == step or name.startswith(f"{step}.")
