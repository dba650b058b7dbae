"""A miss → its reasons, by comparing the ingredients of what was asked before with those of now.

The words are a closed list: new, model, model-version, thinking, option:NAME, template:FILE:LINE, input:NAME,
data:FIELD, upstream:STEP, file:PATH, system, schema:POINTER, sample, salt, key-format; others add damaged, forced, off,
failed-before and now-invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.core.media import MEDIUM_KINDS
from runner.core.span import Span

_MISSING = object()
MAX_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Change:
    """One ingredient that differs: its reason word, and both values where they are small ("" for texts).

    `span` is the first place that differs, where the texts themselves were compared.
    """

    word: str
    old: str = ""
    new: str = ""
    span: Span | None = None

    def __str__(self) -> str:
        if self.old == self.new:
            return self.word  # texts: that they differ is all there is to say
        return f"{self.word}: {self.old} → {self.new}"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """The first place where two schemas differ, as a JSON pointer, with what stands there ("" for larger parts)."""

    pointer: str
    old: Json = None
    new: Json = None
    span: Span | None = None


class Texts(Protocol):
    """The texts behind digests, as far as they are kept."""

    def first_change(self, place: str, old: str, new: str) -> Span | None:
        """The first place that differs in the text which now stands at `place`; both are digests."""
        ...

    def schema_change(self, old: str, new: str) -> SchemaChange | None:
        """The first difference of two schemas, by their digests."""
        ...


def changes(old: Mapping[str, Json], new: Mapping[str, Json], texts: Texts | None = None) -> tuple[Change, ...]:
    """All ingredients that differ, the author's own first."""
    found = [
        *_model(old, new),
        *_scalar("thinking", old.get("thinking"), new.get("thinking")),
        *_group("option", old.get("options"), new.get("options")),
        *_templates(old, new, texts),
        *_group("input", old.get("inputs"), new.get("inputs")),
        *_group("data", old.get("data"), new.get("data")),
        *_group("upstream", old.get("upstream"), new.get("upstream"), is_named_only=True),
        *_files(old.get("files"), new.get("files")),
        *_schema(old, new, texts),
        *_scalar("salt", old.get("salt"), new.get("salt")),
        *_scalar("sample", old.get("sample", 0), new.get("sample", 0)),
        *_key_format(old.get("dialect"), new.get("dialect")),
    ]
    if not found:
        found = _scalar("system", old.get("system"), new.get("system"), is_text=True)
    return tuple(found)


def reason(old: Mapping[str, Json] | None, new: Mapping[str, Json], texts: Texts | None = None) -> str:
    """The reason in one line: `new` when nothing was asked at this place before."""
    if old is None:
        return "new"
    found = changes(old, new, texts)
    return ", ".join(str(change) for change in found) if found else "new"


def nearest_entry(
    new: Mapping[str, Json], candidates: Iterable[Mapping[str, Json]], texts: Texts | None = None
) -> tuple[Mapping[str, Json], tuple[Change, ...]] | None:
    """The candidate that differs in the fewest ingredients, and how."""
    compared = [(candidate, changes(candidate, new, texts)) for candidate in candidates]
    return min(compared, key=lambda pair: len(pair[1]), default=None)


def _model(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[Change]:
    """Who answers: another model, the same one of another service, or other bytes behind its name."""
    found = _scalar("model", old.get("model"), new.get("model"))
    if not found and "service" in old and "service" in new:
        found = _scalar("model", f"{old['model']} of {old['service']}", f"{new['model']} of {new['service']}")
    if not found and "model-version" in old:
        found = _scalar("model-version", old["model-version"], new.get("model-version"))
    return found


def _schema(old: Mapping[str, Json], new: Mapping[str, Json], texts: Texts | None) -> list[Change]:
    """The schema and whether it is sent: `enforce` is no reason of its own."""
    was, now = old.get("schema"), new.get("schema")
    if was == now:
        return _scalar("schema", old.get("enforce"), new.get("enforce"), is_text=True)
    first = texts.schema_change(was, now) if texts and was and now else None
    if first is None:
        return [Change("schema")]
    word = f"schema:{first.pointer}" if first.pointer else "schema"
    is_small = not isinstance(first.old, dict | list) and not isinstance(first.new, dict | list)
    shown = (_shown(first.old), _shown(first.new)) if is_small else ("", "")
    return [Change(word, *shown, first.span)]


def _key_format(old: Json, new: Json) -> list[Change]:
    """Another version of the same dialect's keys. Another dialect comes with another model, which is the reason."""
    if str(old).partition("/")[0] != str(new).partition("/")[0]:
        return []
    return _scalar("key-format", old, new)


def _scalar(word: str, old: Json, new: Json, *, is_text: bool = False) -> list[Change]:
    if old == new:
        return []
    return [Change(word) if is_text else Change(word, _shown(old), _shown(new))]


def _group(word: str, old: Json, new: Json, *, is_named_only: bool = False) -> list[Change]:
    before, after = old or {}, new or {}
    found = []
    for name in sorted({*before, *after}):
        was, now = before.get(name, _MISSING), after.get(name, _MISSING)
        if was == now:
            continue
        title = f"{word}:{name}" if name else word
        found.append(Change(title) if is_named_only else Change(title, _shown(was), _shown(now)))
    return found


def _templates(old: Mapping[str, Json], new: Mapping[str, Json], texts: Texts | None) -> list[Change]:
    """Texts by what they say, not by where they stand: a moved template is no change, another order of messages is."""
    before, after = old.get("template") or {}, new.get("template") or {}
    if sorted(before.values()) == sorted(after.values()):
        return _order(old.get("messages"), new.get("messages"), after)
    known, kept = set(before.values()), set(after.values())
    gone = [text for place, text in sorted(before.items(), key=_in_order) if text not in kept]
    changed = [place for place in after if after[place] not in known]
    if not changed:
        lost = [role for role, text in old.get("messages") or () if any(one.startswith(text) for one in gone)]
        return [Change("system") if "system" in lost else Change(f"template:{min(after)}" if after else "template")]
    found = []
    for number, place in enumerate(changed):
        same_place = before.get(place) if before.get(place) in gone else None
        was = same_place or (gone[number] if len(gone) == len(changed) else "")
        span = texts.first_change(place, was, after[place]) if texts and was else None
        found.append(_text_change(place, after[place], new.get("messages"), span))
    return found


def _text_change(place: str, text: str, messages: Json, span: Span | None) -> Change:
    if any(role == "system" and text.startswith(start) for role, start in messages or ()):
        return Change("system", span=span)
    return Change(f"template:{span.file}:{span.line}" if span else f"template:{place}", span=span)


def _order(before: Json, after: Json, places: Mapping[str, str]) -> list[Change]:
    """The same texts, spoken by others or in another order: the first one that is not as it was."""
    if before is None or after is None or before == after:
        return []
    first = next((now for was, now in zip(before, after, strict=False) if was != now), after[-1])
    place = next((place for place, text in places.items() if text.startswith(first[1])), "")
    return [Change(f"template:{place}" if place else "template")]


def _in_order(entry: tuple[str, str]) -> tuple[str, int]:
    file, _, line = entry[0].rpartition(":")
    return file, int(line) if line.isdigit() else 0


def _files(old: Json, new: Json) -> list[Change]:
    """Files by what they hold, not by where they lie: a file that was moved is no change. Then how they are looked at."""
    before, after = list(_looks(old or {})), list(_looks(new or {}))
    if [look.seen for look in before] == [look.seen for look in after]:
        return []
    held, holds = [look.digest for look in before], [look.digest for look in after]
    every = [Change(f"file:{look.path}") for look in after or before]
    found: list[Change] = []
    if held != holds:
        paths = {look.path for look in after}
        changed = [look.path for look in after if look.digest not in held]
        gone = [look.path for look in before if look.path not in paths]
        found = [Change(f"file:{path}") for path in changed + gone] or every
    if len(before) == len(after):
        for was, now in zip(before, after, strict=True):
            found += [Change("option:clip")] if was.clip != now.clip else []
            found += _scalar("option:resolution", was.resolution, now.resolution)
    return list(dict.fromkeys(found or every))


@dataclass(frozen=True, slots=True)
class _Look:
    """One file of a question, and how it is looked at."""

    path: str
    digest: Json
    kind: Json = None
    clip: Json = None
    resolution: Json = None

    @property
    def seen(self) -> tuple[Json, ...]:
        return self.digest, self.kind, self.clip, self.resolution


def _looks(files: Mapping[str, Json]) -> Iterator[_Look]:
    for path, held in files.items():
        several = held if isinstance(held, list) and held[1] not in MEDIUM_KINDS else [held]
        yield from (_Look(path, *one) if isinstance(one, list) else _Look(path, one) for one in several)


def _shown(value: Json) -> str:
    if value is _MISSING or value is None:
        return "(none)"
    if isinstance(value, Mapping):
        return "(text)"
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
