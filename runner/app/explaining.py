"""Why a call is asked: the place index, read only when something is missed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runner.core.frozen import dataclass
from runner.plan.advance import Ask
from runner.plan.explain import Change, changes, nearest_entry, reason
from runner.record.places import Place, PlaceEntry, places_of
from runner.store.layers import LayeredAnswers
from runner.store.recordings import Recordings

# The ingredient that a reason word speaks of, where the two are named differently.
GROUPS = {"option": "options", "input": "inputs", "template": "template", "upstream": "upstream", "data": "data"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A call and the answer that was last used at its place: which ingredients are the same, which changed."""

    step: str
    item: str
    reason: str
    key: str
    same: tuple[str, ...]
    changed: tuple[Change, ...]
    nearest_key: str = ""
    nearest_run: str = ""


class Explainer:
    """Reasons for misses of one workflow, from its last runs and its recordings."""

    def __init__(self, runs: Path, workflow: str, recordings: Recordings, answers: LayeredAnswers) -> None:
        self._places: Mapping[Place, PlaceEntry] = places_of(runs, workflow, recordings.places_file(workflow))
        self._answers = answers

    def reason(self, ask: Ask) -> str:
        """One of the reason words, with old and new values; ask.reason is stronger and is not looked at here."""
        if ask.key in self._answers.damaged:
            return "damaged"
        entry = self._places.get(_place(ask))
        return reason(entry.ingredients if entry else None, ask.ingredients)

    def difference(self, ask: Ask, reason: str) -> Difference:
        """The call beside the entry of its own place or, when there is none, the nearest of its step."""
        entry = self._places.get(_place(ask)) or self._nearest_of_step(ask)
        if entry is None:
            return Difference(ask.step, ask.item, reason, ask.key, (), ())
        found = changes(entry.ingredients, ask.ingredients)
        changed = {GROUPS.get(change.word.partition(":")[0], change.word) for change in found}
        same = tuple(
            name
            for name, value in ask.ingredients.items()
            if entry.ingredients.get(name) == value and name not in changed
        )
        return Difference(ask.step, ask.item, reason, ask.key, same, found, entry.key, entry.run)

    def _nearest_of_step(self, ask: Ask) -> PlaceEntry | None:
        others = [entry for place, entry in self._places.items() if place[0] == ask.step]
        best = nearest_entry(ask.ingredients, (entry.ingredients for entry in others))
        return None if best is None else next(entry for entry in others if entry.ingredients is best[0])

    def nearest(self, ask: Ask) -> str:
        """The nearest answer that was asked for before, and how it differs."""
        entry = self._places.get(_place(ask))
        if entry is not None and entry.key == ask.key:
            return "it was asked before, but its answer is not in this cache or in cache/recordings"
        if entry is not None:
            found = changes(entry.ingredients, ask.ingredients)
            return f"the nearest stored answer {entry.key[:12]} differs in {_told(found)}"
        others = {place: other for place, other in self._places.items() if place[0] == ask.step}
        best = nearest_entry(ask.ingredients, (other.ingredients for other in others.values()))
        if best is None:
            return f"nothing was ever stored for step '{ask.step}'"
        place = next(place for place, other in others.items() if other.ingredients is best[0])
        where = f"{place[0]}[{place[1]}]" if place[1] else place[0]
        return f"the nearest stored answer, of {where}, differs in {_told(best[1])}"


def _told(found: tuple[object, ...]) -> str:
    return ", ".join(_in_words(str(change)) for change in found) or "the text of the prompt"


def _in_words(change: str) -> str:
    kind, colon, place = change.partition(":")
    if kind == "template":
        return f"the text at {place}" if colon else "the text of the prompt"
    return {"schema": "its schema", "system": "its system text"}.get(change, change)


def _place(ask: Ask) -> Place:
    return (ask.step, ask.item, ask.sample, ask.repair)
