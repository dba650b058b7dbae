"""Why a call is asked: the place index, read only when something is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

from runner.app.change_places import place_of_change
from runner.app.changed_texts import ChangedTexts
from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.workflow import Workflow
from runner.plan.advance import Ask
from runner.plan.explain import Change, changes, nearest_entry, reason
from runner.plan.program import Program
from runner.record.places import Place, PlaceEntry, places_of
from runner.record.texts import read_text
from runner.rows.aside import OnDisk
from runner.store.layers import LayeredAnswers
from runner.store.recordings import Recordings

# The ingredient that a reason word speaks of, where the two are named differently.
GROUPS = {"option": "options", "input": "inputs"}
# Ingredients that have no reason word of their own.
UNTOLD = frozenset({"messages", "service", "repair"})
TEXTS = Path(".runner/texts")

RUNS = Path(".runner/runs")
MOST_COMPARED = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """A call and the answer that was last used at its place: which ingredients are the same, which changed.

    `places` says of each change where it is written ("" where no file has it). `nearest_place` is the step and item
    of an answer that was used elsewhere, `age_s` how old the answer is, None where that is not known.
    """

    step: str
    item: str
    reason: str
    key: str
    same: tuple[str, ...]
    changed: tuple[Change, ...]
    nearest_key: str = ""
    nearest_run: str = ""
    places: tuple[str, ...] = ()
    nearest_place: str = ""
    age_s: float | None = None
    is_stored: bool = True


class Explainer:
    """Reasons for misses of one workflow, from its last runs and its recordings."""

    def __init__(
        self,
        root: Path,
        workflow: Workflow,
        programs: Callable[[], Iterable[Program]],
        recordings: Recordings,
        answers: LayeredAnswers,
    ) -> None:
        self._workflow = workflow
        name = workflow.name
        self._places: Mapping[Place, PlaceEntry] = places_of(root / RUNS, name, recordings.places_file(name), OnDisk())
        self._answers = answers
        self._programs = programs
        self._kept = lambda text: read_text(root / TEXTS, text) or recordings.read_text(text)
        self._by_step: dict[str, dict[Place, PlaceEntry]] = {}

    def reason(self, ask: Ask) -> str:
        """One of the reason words, with old and new values; ask.reason is stronger and is not looked at here."""
        if ask.key in self._answers.damaged:
            return "damaged"
        entry = self._entry(ask)
        if entry is None:
            return ask.because or "new"
        found = reason(entry.ingredients, ask.ingredients, self._texts)
        if found != "new" or entry.key == ask.key:
            return found
        # Of the same ingredients another question was made; a repair depends on the answer before it, too.
        return ask.because or ("new" if ask.repair else "key-format")

    def changes(self, old: Mapping[str, Json], new: Mapping[str, Json]) -> tuple[Change, ...]:
        """What of two calls at one place differs."""
        return changes(old, new, self._texts)

    @cached_property
    def _texts(self) -> ChangedTexts:
        return ChangedTexts(self._programs(), self._kept)

    def _entry(self, ask: Ask) -> PlaceEntry | None:
        """The entry of the place, or of the first sample there where this one is new."""
        entry = self._places.get(ask.place)
        if entry is None and ask.sample and not ask.repair:
            return self._places.get((*ask.place[:2], 0, 0))
        return entry

    def difference(self, ask: Ask, reason: str, now: float) -> Difference:
        """The call beside the entry of its own place or, when there is none, the nearest of its step."""
        place, entry = ask.place, self._entry(ask)
        if entry is None:
            near = self._nearest_of_step(ask)
            if near is None:
                return Difference(ask.step, ask.item, reason, ask.key, (), ())
            place, entry = near[0], self._near(ask.place[0])[near[0]]
        found = changes(entry.ingredients, ask.ingredients, self._texts)
        changed = {GROUPS.get(change.word.partition(":")[0], change.word) for change in found}
        same = tuple(
            name
            for name, value in ask.ingredients.items()
            if entry.ingredients.get(name) == value and name not in changed and name not in UNTOLD
        )
        stored = self._answers.lookup([entry.key]).get(entry.key)
        step = self._workflow.asked[ask.place[0]]
        spans = (change.span or place_of_change(change.word, step, self._workflow) for change in found)
        return Difference(
            ask.step,
            ask.item,
            reason,
            ask.key,
            same,
            found,
            nearest_key=entry.key,
            nearest_run=entry.run,
            places=tuple(str(span) if span else "" for span in spans),
            nearest_place="" if place == ask.place else _spelled(place),
            age_s=max(0.0, now - stored.received_at) if stored is not None and stored.received_at else None,
            is_stored=stored is not None,
        )

    def _near(self, step: str) -> Mapping[Place, PlaceEntry]:
        """The entries of a step that are looked at for the nearest: so many that one is near, not all of a million."""
        if step not in self._by_step:
            of_step = (place for place in self._places if place[0] == step)
            self._by_step[step] = {place: self._places[place] for place in islice(of_step, MOST_COMPARED)}
        return self._by_step[step]

    def _nearest_of_step(self, ask: Ask) -> tuple[Place, tuple[Change, ...]] | None:
        others = self._near(ask.place[0])
        best = nearest_entry(ask.ingredients, (entry.ingredients for entry in others.values()), self._texts)
        if best is None:
            return None
        return next(place for place, entry in others.items() if entry.ingredients is best[0]), best[1]

    def nearest(self, ask: Ask) -> str:
        """The nearest answer that was asked for before, and how it differs."""
        entry = self._places.get(ask.place)
        if entry is not None and entry.key == ask.key:
            return "it was asked before, but its answer is not in this cache or in cache/recordings"
        found = changes(entry.ingredients, ask.ingredients, self._texts) if entry is not None else ()
        if ask.misfit and not found:
            return f"it would be a repair, since {ask.misfit.replace('the answer', 'the stored answer', 1)}"
        if entry is not None:
            return f"the nearest stored answer {entry.key[:12]} differs in {_told(found)}"
        near = self._nearest_of_step(ask)
        if near is None:
            return f"nothing was ever stored for step '{ask.step}'"
        return f"the nearest stored answer, of {_spelled(near[0])}, differs in {_told(near[1])}"


def _told(found: tuple[object, ...]) -> str:
    return ", ".join(_in_words(str(change)) for change in found) or "the text of the prompt"


def _in_words(change: str) -> str:
    kind, colon, place = change.partition(":")
    if kind == "template":
        return f"the text at {place}" if colon else "the text of the prompt"
    return {"schema": "its schema", "system": "its system text"}.get(change, change)


def _spelled(place: Place) -> str:
    return f"{place[0]}[{place[1]}]" if place[1] else place[0]
