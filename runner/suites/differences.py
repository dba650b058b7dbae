"""Where an answer differs from what was expected: the leaves that differ, each with its place in the suite file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.core.canonical import Json, ordered
from runner.core.frozen import dataclass
from runner.core.span import Span
from runner.core.values import Fields, ListOfValues, Value
from runner.suites.values import Seen

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` is that of the leaf in the answer ("" for the whole); both values as they are shown."""

    path: str
    expected: str
    got: str
    span: Span


def shown(value: Json) -> str:
    """A value in one line, cut where it is long."""
    text = ordered(value).decode()
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def differences(value: Value, got: Json, seen: Seen, path: str = "") -> Iterator[Difference]:
    """Mappings match partly: what they do not name may be anything. Lists match element by element.

    Raises RenderFailed for an expected value that cannot be computed.
    """
    match value:
        case Fields() if isinstance(got, dict):
            for name, inner in value.entries.items():
                below = f"{path}.{name}" if path else name
                if name in got:
                    yield from differences(inner, got[name], seen, below)
                else:
                    yield Difference(below, shown(seen.value(inner)), "nothing", inner.span)
        case ListOfValues() if isinstance(got, list) and len(got) == len(value.items):
            for index, (inner, element) in enumerate(zip(value.items, got, strict=True)):
                yield from differences(inner, element, seen, f"{path}[{index}]")
        case Fields() | ListOfValues():
            yield Difference(path, shown(seen.value(value)), shown(got), value.span)
        case _:
            expected = seen.value(value)
            yield from _of_json(expected, got, path, value.span)


def json_differences(expected: Json, got: Json, span: Span) -> Iterator[Difference]:
    """Between two known values, both whole: what is in one of them only is a difference too."""
    yield from _of_json(expected, got, "", span)
    yield from (
        Difference(one.path, "nothing", one.expected, span)
        for one in _of_json(got, expected, "", span)
        if one.got == "nothing"
    )


def _of_json(expected: Json, got: Json, path: str, span: Span) -> Iterator[Difference]:
    """The same for a value that was computed, read from a file or given as a literal."""
    match expected, got:
        case dict(), dict():
            for name, inner in expected.items():
                below = f"{path}.{name}" if path else name
                if name in got:
                    yield from _of_json(inner, got[name], below, span)
                else:
                    yield Difference(below, shown(inner), "nothing", span)
        case list(), list() if len(expected) == len(got):
            for index, (inner, element) in enumerate(zip(expected, got, strict=True)):
                yield from _of_json(inner, element, f"{path}[{index}]", span)
        case _ if not equal(expected, got):
            yield Difference(path, shown(expected), shown(got), span)


def equal(one: Json, other: Json) -> bool:
    """JSON equality: 1 is 1.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return bool(one == other)
