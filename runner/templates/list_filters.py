"""Filters over lists and mappings. All give lists, never iterators, and none has a clock or an unseeded choice."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Literal, Protocol

from runner.core.canonical import Json
from runner.core.long_list import LongList
from runner.templates import text_filters
from runner.templates.bounds import ELEMENT, Meter
from runner.templates.values import Group, Missing, Refused, kind, text

Items = Sequence[Json]
Attribute = str | int | None


class Surroundings(Protocol):
    """What the filters need of the environment: its rules of access, its meter, and its other filters and tests."""

    meter: Meter

    def reach(self, holder: Any, name: Any, path: str) -> Any: ...

    def apply(self, name: str, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any: ...

    def holds(self, name: str, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool: ...


class _Unset:
    """Stands for an argument that was not given, where null is a value."""


_UNSET = _Unset()


def elements(value: Json) -> Items:
    """The elements of a list, the keys of a mapping, the characters of a text."""
    if isinstance(value, Mapping):
        return list(value)
    if isinstance(value, (list, tuple, str, range, Sequence)):
        return value
    raise Refused(f"{kind(value)} has no elements")


def _getter(
    env: Surroundings,
    attribute: Attribute,
    *,
    default: Any = _UNSET,
    fold_case: bool = False,
    is_required: bool = True,
) -> Callable[[Any], Any]:
    """Reads a dotted path such as `address.city` from an element, with the rules of the template language."""
    parts = attribute.split(".") if isinstance(attribute, str) else [] if attribute is None else [attribute]
    keys = [int(part) if isinstance(part, str) and part.isdigit() else part for part in parts]

    def get(element: Any) -> Any:
        found = element
        for key in keys:
            found = env.reach(found, key, f"(element).{attribute}")
        if isinstance(found, Missing):
            if default is not _UNSET:
                return default
            if is_required:
                found.fail()
        return found.lower() if fold_case and isinstance(found, str) else found

    return get


def _sort_getter(env: Surroundings, attribute: Attribute, case_sensitive: bool) -> Callable[[Any], Any]:
    names = attribute.split(",") if isinstance(attribute, str) else [attribute]
    getters = [_getter(env, name, fold_case=not case_sensitive) for name in names]
    if len(getters) == 1:
        return getters[0]
    return lambda element: [get(element) for get in getters]


def length(_env: Surroundings, value: Json) -> int:
    return len(value)


def first(_env: Surroundings, value: Json) -> Any:
    found = elements(value)
    return found[0] if len(found) else Missing("'first' found nothing: the list is empty")


def last(_env: Surroundings, value: Json) -> Any:
    found = elements(value)
    return found[-1] if len(found) else Missing("'last' found nothing: the list is empty")


def as_list(_env: Surroundings, value: Json) -> list[Json]:
    return list(elements(value))


def items(_env: Surroundings, value: Mapping[str, Json]) -> list[Json]:
    if not isinstance(value, Mapping):
        raise Refused(f"'items' works on a mapping, and this is {kind(value)}")
    return list(value.items())


def dictsort(
    _env: Surroundings,
    value: Mapping[str, Json],
    case_sensitive: bool = False,
    by: Literal["key", "value"] = "key",
    reverse: bool = False,
) -> list[Json]:
    if by not in ("key", "value"):
        raise Refused(f"'dictsort' cannot sort by '{by}'", expected="key, value")
    position = 0 if by == "key" else 1

    def order(pair: tuple[str, Json]) -> Json:
        part = pair[position]
        return part.lower() if isinstance(part, str) and not case_sensitive else part

    return sorted(value.items(), key=order, reverse=reverse)


def sort(
    env: Surroundings,
    value: Json,
    reverse: bool = False,
    case_sensitive: bool = False,
    attribute: Attribute = None,
) -> list[Json]:
    env.meter.weigh(value)
    return sorted(elements(value), key=_sort_getter(env, attribute, case_sensitive), reverse=reverse)


def unique(env: Surroundings, value: Json, case_sensitive: bool = False, attribute: Attribute = None) -> list[Json]:
    env.meter.weigh(value)
    get = _getter(env, attribute, fold_case=not case_sensitive)
    kept: dict[str, Json] = {}
    for element in elements(value):
        kept.setdefault(_identity(get(element)), element)
    return list(kept.values())


def _identity(value: Any) -> str:
    """Equal for equal JSON: 1 and true differ, and so do 1 and "1"."""
    return f'"{value}' if isinstance(value, str) else text(value)


def minimum(env: Surroundings, value: Json, case_sensitive: bool = False, attribute: Attribute = None) -> Any:
    env.meter.weigh(value)
    get = _getter(env, attribute, fold_case=not case_sensitive)
    return min(elements(value), key=get, default=Missing("'min' found nothing: the list is empty"))


def maximum(env: Surroundings, value: Json, case_sensitive: bool = False, attribute: Attribute = None) -> Any:
    env.meter.weigh(value)
    get = _getter(env, attribute, fold_case=not case_sensitive)
    return max(elements(value), key=get, default=Missing("'max' found nothing: the list is empty"))


def total(env: Surroundings, value: Json, attribute: Attribute = None, start: float = 0) -> Json:
    numbers = [_getter(env, attribute)(element) for element in elements(value)]
    for number in numbers:
        if not isinstance(number, int | float):
            raise Refused(f"'sum' adds numbers, and {kind(number)} is none")
    return sum(numbers, start)


def join(env: Surroundings, value: Json, separator: Json = "", attribute: Attribute = None) -> str:
    get = _getter(env, attribute)
    return text_filters.join(env.meter, [text(get(element)) for element in elements(value)], text(separator))


def group(
    env: Surroundings,
    value: Json,
    attribute: str | int,
    default: Any = _UNSET,
    case_sensitive: bool = False,
) -> list[Group]:
    """Groups by a field, sorted by it; a group's key is spelled as in its first element."""
    env.meter.weigh(value)
    get = _getter(env, attribute, default=default, fold_case=not case_sensitive)
    spelled = _getter(env, attribute, default=default)
    groups = [list(inner) for _, inner in groupby(sorted(elements(value), key=get), get)]
    return [Group(spelled(inner[0]), inner) for inner in groups]


def apply_to_each(env: Surroundings, value: Json, *args: Any, **kwargs: Any) -> list[Any]:
    if not args:
        if "attribute" not in kwargs:
            raise Refused("'map' needs the name of a filter, or attribute=…")
        get = _getter(env, kwargs["attribute"], default=kwargs.get("default", _UNSET), is_required=False)
        return [get(element) for element in elements(value)]
    name, *rest = args
    return [env.apply(name, element, tuple(rest), kwargs) for element in elements(value)]


def _chosen(env: Surroundings, value: Json, attribute: Attribute, test: tuple[Any, ...], wanted: bool) -> list[Json]:
    get = _getter(env, attribute, is_required=not test)
    if not test:
        return [element for element in elements(value) if bool(get(element)) is wanted]
    name, *rest = test
    return [element for element in elements(value) if env.holds(name, get(element), tuple(rest), {}) is wanted]


def select(env: Surroundings, value: Json, *test: Any) -> list[Json]:
    return _chosen(env, value, None, test, wanted=True)


def reject(env: Surroundings, value: Json, *test: Any) -> list[Json]:
    return _chosen(env, value, None, test, wanted=False)


def selectattr(env: Surroundings, value: Json, attribute: str, *test: Any) -> list[Json]:
    return _chosen(env, value, attribute, test, wanted=True)


def rejectattr(env: Surroundings, value: Json, attribute: str, *test: Any) -> list[Json]:
    return _chosen(env, value, attribute, test, wanted=False)


def reverse(_env: Surroundings, value: Json) -> Json:
    return value[::-1] if isinstance(value, str) else list(elements(value))[::-1]


def batch(env: Surroundings, value: Json, size: int, fill_with: Json = None) -> list[list[Json]]:
    _ensure_positive("batch", size)
    made = chunks(env, value, size)
    if fill_with is not None and made and len(made[-1]) < size:
        env.meter.ensure_range(size)
        made[-1] += [fill_with] * (size - len(made[-1]))
    return made


def slices(env: Surroundings, value: Json, count: int, fill_with: Json = None) -> list[list[Json]]:
    """The list cut into `count` parts of nearly equal length."""
    _ensure_positive("slice", count)
    env.meter.ensure_range(count)
    found = list(elements(value))
    size, extra = divmod(len(found), count)
    source = iter(found)
    parts = [list(islice(source, size + (index < extra))) for index in range(count)]
    if fill_with is not None:
        for part in parts[extra:] if extra else []:
            part.append(fill_with)
    return parts


def chunks(_env: Surroundings, value: Json, size: int) -> list[list[Json]]:
    """The list in pieces of `size`; the last may be shorter."""
    _ensure_positive("chunks", size)
    found = elements(value)
    return [list(found[start : start + size]) for start in range(0, len(found), size)]


def windows(env: Surroundings, value: Json, size: int, step: int = 1) -> list[list[Json]]:
    """Each run of `size` neighbours, `step` apart; a list that is too short has none."""
    _ensure_positive("windows", size)
    _ensure_positive("windows", step)
    found = elements(value)
    starts = range(0, len(found) - size + 1, step)
    env.meter.charge(len(starts) * size * ELEMENT)
    return [list(found[start : start + size]) for start in starts]


def _ensure_positive(name: str, number: int) -> None:
    if type(number) is not int or number < 1:
        raise Refused(f"'{name}' needs a whole number of at least 1")


def flatten(_env: Surroundings, value: Json, levels: int = 1) -> list[Json]:
    """Lists inside the list are replaced by their elements, `levels` deep."""
    found = list(elements(value))
    for _ in range(min(levels, 64)):
        found = [
            inner
            for element in found
            for inner in (element if isinstance(element, list | tuple | LongList) else [element])
        ]
    return found


def vote(env: Surroundings, value: Json) -> Any:
    """The most frequent element; of equally frequent ones the one that came first."""
    env.meter.weigh(value)
    counts: dict[str, int] = {}
    candidates: dict[str, Json] = {}
    for element in elements(value):
        identity = _identity(element)
        counts[identity] = counts.get(identity, 0) + 1
        candidates.setdefault(identity, element)
    if not counts:
        return Missing("'vote' found nothing: the list is empty")
    return candidates[max(counts, key=counts.__getitem__)]


def shuffle(_env: Surroundings, value: Json, seed: Json) -> list[Json]:
    """The list in an order that depends on the seed and its length only, on every machine and for ever."""
    mixed = list(elements(value))
    numbers = _seeded_numbers(text(seed))
    for index in range(len(mixed) - 1, 0, -1):
        other = next(numbers) * (index + 1) >> 64
        mixed[index], mixed[other] = mixed[other], mixed[index]
    return mixed


def _seeded_numbers(seed: str) -> Iterator[int]:
    """Numbers of 64 bits: SHA-256 of the seed with a counter, cut into four, big end first."""
    counter = 0
    while True:
        block = hashlib.sha256(f"{seed}\n{counter}".encode("utf-8", "surrogatepass")).digest()
        yield from (int.from_bytes(block[start : start + 8]) for start in range(0, 32, 8))
        counter += 1


def find(env: Surroundings, value: Json, key: str, wanted: Json) -> Any:
    """The first mapping in the list whose `key` is `wanted`."""
    get = _getter(env, key, is_required=False)
    identity = _identity(wanted)
    for element in elements(value):
        found = get(element)
        if not isinstance(found, Missing) and _identity(found) == identity:
            return element
    return Missing(f"'find' found nothing: no element has {key} = {text(wanted)[:80]}")


def zip_lists(_env: Surroundings, value: Json, *others: Json) -> list[list[Json]]:
    """The first elements together, the second ones, …, up to the end of the shortest list."""
    return [list(group) for group in zip(elements(value), *map(elements, others), strict=False)]


def cosine(_env: Surroundings, value: list[float], other: list[float]) -> float:
    """How alike two vectors are, from -1 to 1; 0 when one of them has no length."""
    if len(value) != len(other):
        raise Refused(f"'cosine' needs vectors of one length, and these have {len(value)} and {len(other)} numbers")
    return cosine_of(value, other)


def cosine_of(one: Sequence[float], other: Sequence[float]) -> float:
    norm = math.sqrt(math.fsum(x * x for x in one)) * math.sqrt(math.fsum(y * y for y in other))
    return math.fsum(x * y for x, y in zip(one, other, strict=True)) / norm if norm else 0.0


LIST_FILTERS: dict[str, Callable[..., Any]] = {
    "batch": batch,
    "chunks": chunks,
    "cosine": cosine,
    "count": length,
    "dictsort": dictsort,
    "find": find,
    "first": first,
    "flatten": flatten,
    "groupby": group,
    "items": items,
    "join": join,
    "last": last,
    "length": length,
    "list": as_list,
    "map": apply_to_each,
    "max": maximum,
    "min": minimum,
    "reject": reject,
    "rejectattr": rejectattr,
    "reverse": reverse,
    "select": select,
    "selectattr": selectattr,
    "shuffle": shuffle,
    "slice": slices,
    "sort": sort,
    "sum": total,
    "unique": unique,
    "vote": vote,
    "windows": windows,
    "zip": zip_lists,
}
