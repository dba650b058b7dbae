"""Where texts and schemas differ from those of an earlier question, as far as the earlier ones are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import orjson

from runner.core.canonical import Json, digest, escape_pointer, ordered
from runner.core.span import Origin, Span
from runner.output.schema import CompiledSchema
from runner.plan.explain import SchemaChange
from runner.plan.ingredients import place_of, templates_of, texts_of
from runner.plan.program import Program

Kept = Callable[[str], str | None]
MAX_SPELLED = 40


class ChangedTexts:
    """Fills `plan.explain.Texts`. `kept` gives the text of a digest, None where it is not at hand."""

    def __init__(self, programs: Iterable[Program], kept: Kept) -> None:
        self._kept = kept
        self._origins: dict[str, Origin] = {}
        self._now: dict[str, str] = {}
        self._schemas: dict[str, CompiledSchema] = {}
        for step in (step for program in programs for step in program.steps.values()):
            for place, text in texts_of(step.linked):
                self._now[digest(text)] = text
                self._origins.setdefault(place, Origin(place.rpartition(":")[0]))
            for template in templates_of(step.linked):
                self._origins[place_of(template)] = template.origin
            if step.linked.schema is not None:
                self._schemas[step.linked.schema.digest] = step.linked.schema
        self.first_change = lru_cache(self._first_change)
        self.schema_change = lru_cache(self._schema_change)

    def _first_change(self, place: str, old: str, new: str) -> Span | None:
        was, now = self._kept(old), self._now.get(new)
        if was is None or now is None or place not in self._origins:
            return None
        return self._origins[place].span(*_first_difference(was, now))

    def _schema_change(self, old: str, new: str) -> SchemaChange | None:
        was, now = self._kept(old), self._schemas.get(new)
        if was is None or now is None:
            return None
        first = next(_differences("", orjson.loads(was), now.bundled), None)
        if first is None:
            return None
        pointer, before, after = first
        return SchemaChange(pointer, before, after, now.at(pointer))


def kept_texts(programs: Iterable[Program]) -> Iterator[str]:
    """The texts to keep while the questions of programs are asked."""
    for step in (step for program in programs for step in program.steps.values()):
        yield from step.texts
        if step.linked.schema is not None:
            yield ordered(step.linked.schema.bundled).decode()


def _first_difference(old: str, new: str) -> tuple[int, int]:
    """Line and column, from 1, in the new text."""
    before, after = old.split("\n"), new.rstrip("\n").split("\n")
    for number, line in enumerate(after):
        was = before[number] if number < len(before) else None
        if line != was:
            return number + 1, _first_column(was or "", line)
    return len(after), len(after[-1]) + 1


def _first_column(old: str, new: str) -> int:
    for number, (was, now) in enumerate(zip(old, new, strict=False)):
        if was != now:
            return number + 1
    return min(len(old), len(new)) + 1


def _differences(pointer: str, old: Json, new: Json) -> Iterator[tuple[str, Json, Json]]:
    """What differs, from the outside to the inside, in the order of the new one; None for what is not there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            yield from _differences(f"{pointer}/{escape_pointer(key)}", old.get(key), new.get(key))
        if list(old) != list(new):
            yield pointer, None, None
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and _has_parts(new):
        for number, (was, now) in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{pointer}/{number}", was, now)
    elif old != new or type(old) is not type(new):
        yield pointer, _spelled(old), _spelled(new)


def _has_parts(values: list[Json]) -> bool:
    return any(isinstance(value, dict | list) for value in values)


def _spelled(value: Json) -> Json:
    """Short lists in words; other lists and mappings stay what they are."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, list) or _has_parts(value):
        return value
    text = ", ".join(str(part) for part in value)
    return text if len(text) <= MAX_SPELLED else value
