"""Fields that only some alternatives of a schema have, and the field beside them that tells which it is."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.canonical import Json
from runner.core.frozen import dataclass
from runner.link.alternatives import Alternative, joined, spread, words_of
from runner.link.members import member_of, names_of


@dataclass(frozen=True, slots=True)
class Choice:
    """Why a field may not be there: the value may be something without fields (`found`), or another alternative.

    Where the field `name` beside it has one of `words`, it is there.
    """

    found: str = ""
    name: str = ""
    words: tuple[Json, ...] = ()


def choice_between(holding: Sequence[Alternative], lacking: Sequence[Alternative], root: Json) -> Choice:
    """What tells the alternatives that always have a field from the others, as far as words of both tell it."""
    for name in names_of(holding):
        here, there = _words_at(name, holding, root), _words_at(name, lacking, root)
        if here and there and not any(word in there for word in here):
            return Choice(name=name, words=here)
    return Choice()


def _words_at(name: str, alternatives: Sequence[Alternative], root: Json) -> tuple[Json, ...]:
    """The words of a field that is always there, none where they are not listed in each alternative."""
    found: list[Json] = []
    for alternative in alternatives:
        words = words_of(joined([spread(schema, root) for schema in _said(name, alternative)]))
        if not words or name not in _required(alternative):
            return ()
        found += [word for word in words if word not in found]
    return tuple(found)


def is_possible(alternative: Alternative, root: Json) -> bool:
    """Whether each field that must be there may be there, and the words that are listed for it have one in common."""
    return all(
        member_of(alternative, name).is_there and _have_common_words(_said(name, alternative), root)
        for name in _required(alternative)
    )


def _have_common_words(schemas: Sequence[Json], root: Json) -> bool:
    if len(schemas) < 2:
        return True
    known = [words for schema in schemas if (words := words_of(spread(schema, root))) is not None]
    return not known or any(all(word in words for words in known[1:]) for word in known[0])


def _said(name: str, alternative: Alternative) -> list[Json]:
    return [schema["properties"][name] for schema in alternative if name in schema.get("properties", ())]


def _required(alternative: Alternative) -> dict[str, None]:
    return dict.fromkeys(name for schema in alternative for name in schema.get("required", ()))
