"""A miss → its reasons, by comparing the ingredients of what was asked before with those of now.

The words are a closed list: new, model, thinking, option:NAME, template:FILE:LINE, input:NAME, data:FIELD,
upstream:STEP, system, schema, sample, salt, key-format; `execute/` adds forced, off, failed-before and now-invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.core.canonical import Json
from runner.core.frozen import dataclass

_MISSING = object()
MAX_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Change:
    """One ingredient that differs: its reason word, and both values where they are small ("" for texts)."""

    word: str
    old: str = ""
    new: str = ""

    def __str__(self) -> str:
        if self.old == self.new:
            return self.word  # texts: that they differ is all there is to say
        return f"{self.word}: {self.old} → {self.new}"


def changes(old: Mapping[str, Json], new: Mapping[str, Json]) -> tuple[Change, ...]:
    """All ingredients that differ, the author's own first."""
    found = [
        *_scalar("model", old.get("model"), new.get("model")),
        *_scalar("thinking", old.get("thinking"), new.get("thinking")),
        *_group("option", old.get("options"), new.get("options")),
        *_templates(old.get("template"), new.get("template")),
        *_group("input", old.get("inputs"), new.get("inputs")),
        *_group("data", old.get("data"), new.get("data")),
        *_group("upstream", old.get("upstream"), new.get("upstream"), is_named_only=True),
        *_scalar("schema", _schema(old), _schema(new), is_text=True),
        *_scalar("salt", old.get("salt"), new.get("salt")),
        *_scalar("sample", old.get("sample"), new.get("sample")),
        *_key_format(old.get("dialect"), new.get("dialect")),
    ]
    if not found:
        found = _scalar("system", old.get("system"), new.get("system"), is_text=True)
    return tuple(found)


def reason(old: Mapping[str, Json] | None, new: Mapping[str, Json]) -> str:
    """The reason in one line: `new` when nothing was asked at this place before."""
    if old is None:
        return "new"
    found = changes(old, new)
    return ", ".join(str(change) for change in found) if found else "new"


def nearest_entry(
    new: Mapping[str, Json], candidates: Iterable[Mapping[str, Json]]
) -> tuple[Mapping[str, Json], tuple[Change, ...]] | None:
    """The candidate that differs in the fewest ingredients, and how."""
    compared = [(candidate, changes(candidate, new)) for candidate in candidates]
    return min(compared, key=lambda pair: len(pair[1]), default=None)


def _schema(ingredients: Mapping[str, Json]) -> Json:
    """The schema and whether it is sent: `enforce` is no reason of its own."""
    return [ingredients.get("schema"), ingredients.get("enforce")]


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


def _templates(old: Json, new: Json) -> list[Change]:
    """Texts by what they say, not by where they stand: a moved template is no change."""
    before, after = old or {}, new or {}
    if sorted(before.values()) == sorted(after.values()):
        return []
    known = set(before.values())
    changed = [place for place, text in after.items() if text not in known] or sorted(after)[:1]
    return [Change(f"template:{place}") for place in changed] or [Change("template")]


def _shown(value: Json) -> str:
    if value is _MISSING or value is None:
        return "(none)"
    if isinstance(value, Mapping):
        return "(text)"
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
