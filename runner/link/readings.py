"""What every text of a workflow reads, with the type of each path, as far as schemas say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from runner.core.canonical import Json
from runner.core.frozen import dataclass, replace
from runner.core.span import Span
from runner.core.workflow import Expression, Template
from runner.link.paths import Gap, Typed, may_be_null, words_at
from runner.link.scope import Place, Use
from runner.link.subjects import Found, Subject, Subjects
from runner.templates.trail import Comparison, Guards, Path, Readings, Reference, Word, is_along

_OF_ALL_ITEMS = {"outputs": "output", "texts": "text", "samples": "output"}


@dataclass(frozen=True, slots=True)
class ReadText:
    """A text of the workflow and what it reads. `role` is the key that it stands under, `span` its place there."""

    place: Place
    role: str
    source: Template | Expression
    span: Span
    readings: Readings
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One reference with its type. `path` is the reference's without names of the text's own, `shift` parts longer.

    `gap` is the first part that may find nothing although nobody has allowed for it.
    """

    text: ReadText
    reference: Reference
    subject: Subject
    path: Path
    shift: int
    typed: Typed
    gap: Gap | None = None

    def span(self, index: int) -> Span | None:
        """The place of a part of `path`, None where it is not written in this text."""
        own = index - self.shift
        return self.reference.spans[own] if own > 0 else None


@dataclass(frozen=True, slots=True)
class Unequal:
    """A word that is compared with a value which is never that word; `values` are those that it can have."""

    text: ReadText
    subject: Subject
    path: Path
    word: Word
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Typing:
    """All that is known of what the texts read."""

    texts: tuple[ReadText, ...] = ()
    readings: tuple[Reading, ...] = ()
    unequal: tuple[Unequal, ...] = ()


class StepFacts(Protocol):
    """What is asked of a linked step: the steps that it cannot do without."""

    @property
    def hard(self) -> frozenset[str]: ...


def type_readings(texts: Sequence[ReadText], steps: Mapping[str, StepFacts], subjects: Subjects) -> Typing:
    """Give every reading its type."""
    known = _Known(texts, steps, subjects)
    readings = tuple(reading for text in texts for reading in _readings(text, subjects, known))
    unequal = tuple(found for text in texts for found in _unequal(text, subjects))
    return Typing(tuple(texts), readings, unequal)


def _readings(text: ReadText, subjects: Subjects, known: _Known) -> Iterator[Reading]:
    for reference in text.readings.references:
        found = subjects.find(reference.path, text.place)
        if found is None or len(found.path) < found.subject.start:
            continue
        start, subject = found.subject.start, found.subject
        typed = _shifted(subjects.type_at(subject, found.path[start:]), start)
        reading = Reading(text, reference, subject, found.path, found.shift, typed)
        gap = _open_gap(reading, known)
        yield reading if gap is None else replace(reading, gap=gap)


def _shifted(typed: Typed, start: int) -> Typed:
    """The type with indices that count from the beginning of the path."""
    if not (typed.index or typed.gaps or typed.unlisted) and typed.kind in ("any", "value"):
        return typed
    gaps = tuple(replace(gap, index=gap.index + start) for gap in typed.gaps)
    unlisted = tuple((index + start, names) for index, names in typed.unlisted)
    return replace(typed, index=typed.index + start, gaps=gaps, unlisted=unlisted)


def _unequal(text: ReadText, subjects: Subjects) -> Iterator[Unequal]:
    for comparison in text.readings.comparisons:
        found = subjects.find(comparison.path, text.place)
        values = None if found is None else _values(found, subjects)
        if found is not None and values is not None:
            for word in _strangers(comparison, values):
                yield Unequal(text, found.subject, found.path, word, values)


def _values(found: Found, subjects: Subjects) -> tuple[Json, ...] | None:
    start = found.subject.start
    return words_at(subjects.type_at(found.subject, found.path[start:]))


def _strangers(comparison: Comparison, values: Sequence[Json]) -> Iterator[Word]:
    return (word for word in comparison.words if word.text not in values)


# --- gaps that nobody has allowed for


@dataclass(slots=True)
class _Known:
    """What is known to have a value where a text is read, since its step runs at all."""

    texts: Sequence[ReadText]
    steps: Mapping[str, StepFacts]
    subjects: Subjects
    closures: dict[str, frozenset[str]] = field(default_factory=dict)

    def facts(self, text: ReadText) -> Guards:
        """Paths that have a value."""
        conditions = self._conditions(text)
        return frozenset(self._plain(path, other) for other in conditions for path in other.readings.facts)

    def tested(self, text: ReadText) -> Guards:
        """Paths on which it depends whether this text is read, or what of it is."""
        asked = [(path, text) for path in text.readings.tested]
        asked += [(found.path, other) for other in self._conditions(text) for found in other.readings.references]
        return frozenset(self._plain(path, other) for path, other in asked)

    def is_chosen(self, reading: Reading) -> bool:
        """Whether it may depend on the alternative of a schema, or on what its author knows of it, that this is read."""
        text = reading.text
        if reading.reference.is_on_a_test or any(other.role == "when" for other in self._conditions(text)):
            return True
        path, start = one_of_all(reading.path), reading.subject.start
        kept = {self._plain(one.path, text) for one in text.readings.references if not one.is_spent}
        looked = {one for one in kept if not is_along(path, one)}
        looked |= {one for one in self.tested(text) if one[: len(path)] != path}
        return any(one[:start] == path[:start] for one in looked)

    def _plain(self, path: Path, text: ReadText) -> Path:
        return one_of_all(self.subjects.plain(path, text.place))

    def _conditions(self, text: ReadText) -> list[ReadText]:
        """The conditions under which the text is read: of its step, and of the steps that it cannot do without."""
        steps = {use.step for use in text.uses if not use.is_soft}
        owner = text.place.owner
        steps |= {owner} | self.steps[owner].hard if owner in self.steps else set()
        needed = frozenset[str]().union(*(self._needed(name) for name in steps))
        found = [
            other
            for other in self.texts
            if other.role in ("when", "ensure") and other.place.owner in needed and other.source is not text.source
        ]
        made = text.place.made if text.role == "columns" and not text.place.is_grouped else ""
        return found + [other for other in self.texts if made and other.role == "where" and other.place.made == made]

    def _needed(self, name: str) -> frozenset[str]:
        if name not in self.closures:
            found: set[str] = set()
            waiting = [name]
            while waiting:
                need = waiting.pop()
                if need not in found and need in self.steps:
                    found.add(need)
                    waiting += self.steps[need].hard
            self.closures[name] = frozenset(found)
        return self.closures[name]


def one_of_all(path: Path) -> Path:
    """A path into one of all answers as a path into the answer."""
    if len(path) > 3 and path[0] == "steps" and path[2] in _OF_ALL_ITEMS:
        return (*path[:2], _OF_ALL_ITEMS[path[2]], *path[4:])
    return path


def _open_gap(reading: Reading, known: _Known) -> Gap | None:
    gaps = [gap for gap in reading.typed.gaps if not _is_allowed_for(gap, reading)]
    if reading.reference.is_spent and may_be_null(reading.typed):
        gaps.append(Gap(len(reading.path) - 1, is_null=True, is_end=True))
    if not gaps:
        return None
    facts, tested = known.facts(reading.text), known.tested(reading.text)
    if any(gap.choice for gap in gaps) and known.is_chosen(reading):
        gaps = [gap for gap in gaps if gap.choice is None]
    return next((gap for gap in gaps if not _is_tested(gap, reading, facts, tested)), None)


def _is_allowed_for(gap: Gap, reading: Reading) -> bool:
    """Whether the text itself says what happens, or the gap is told where the list is named."""
    if reading.subject.has_all_columns and gap.index == reading.subject.start:
        return not gap.is_null
    missing = gap.index + 1 if gap.is_null else gap.index
    own = missing - reading.shift
    return own < 1 or own < reading.reference.provided


def _is_tested(gap: Gap, reading: Reading, facts: Guards, tested: Guards) -> bool:
    """Whether a condition looks at the value, or at one beside it that may say whether it is there."""
    cut = len(reading.path) - len(one_of_all(reading.path))
    path, index = one_of_all(reading.path), gap.index - cut
    needed = path[: index + 2] if gap.is_null else path[: index + 1]
    if any(fact[: len(needed)] == needed for fact in facts):
        return True
    beside = [test for test in tested if len(test) > index and test[:index] == path[:index]]
    return any(gap.is_null or test[index] != path[index] for test in beside) or (
        gap.is_null and any(is_along(path, test) for test in tested)
    )
