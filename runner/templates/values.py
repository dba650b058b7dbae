"""How values look to a template: as text, as JSON, and when they are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from jinja2.exceptions import UndefinedError
from jinja2.runtime import Macro, Undefined
from jinja2.utils import missing

from runner.core.canonical import Json
from runner.core.long_list import LongList


class Refused(Exception):
    """What a template asks for cannot be done; the message is for its author."""

    def __init__(self, message: str, *, expected: str = "", fix: str = "") -> None:
        self.expected = expected
        self.fix = fix
        super().__init__(message)


class MissingRead(UndefinedError):
    """A missing value was printed, tested, compared or iterated."""

    def __init__(self, value: Missing) -> None:
        self.value = value
        super().__init__(value.describe())


class Missing(Undefined):
    """A value that is not there. Its attributes and elements are missing too; any use of it is an error.

    `path` is what the author wrote, `hole` the part of it where the first value was missing, and `holder` the value
    that has no such element. A `hint` replaces the path for values that were never written as one.
    """

    __slots__ = ("hint", "holder", "hole", "path")

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[UndefinedError] = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        self.hint = hint or ""
        self.path = self.hole = str(name or "")
        self.holder = obj

    @classmethod
    def at(cls, path: str, holder: Any) -> Missing:
        return cls(obj=holder, name=path)

    def deeper(self, path: str) -> Missing:
        """The missing value that stands at `path` inside this one."""
        inner = Missing(self.hint, self.holder, path)
        inner.hole = self.hole
        return inner

    def describe(self) -> str:
        if self.hint:
            return self.hint
        if self.hole != self.path:
            return f"'{self.path}' is undefined: there is no '{self.hole}'"
        if self.holder is missing or isinstance(self.holder, Mapping):
            return f"'{self.path}' is undefined"
        return f"'{self.path}' is undefined: it is looked for in {kind(self.holder)}"

    def fail(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise MissingRead(self)

    def __repr__(self) -> str:
        return "undefined"


_REFUSED = (
    "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow pos neg invert abs "
    "lt le gt ge eq ne hash bool str iter len contains getitem call int float complex index reversed"
)
for _name in _REFUSED.split():
    setattr(Missing, f"__{_name}__", Missing.fail)


class Nothing(Missing):
    """What `x if condition` gives without an else: it prints as nothing, and any other use is an error."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("the condition of an 'if' without 'else' does not hold, so there is no value")


class Group(NamedTuple):
    """One group of `groupby`: unpacks into its key and its elements, which also have names."""

    grouper: Json
    list: list[Json]


def kind(value: Any) -> str:
    """What a value is, in the author's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case Mapping():
            return "a mapping"
        case Sequence() | range():
            return "a list"
        case Macro():
            return "a macro"
        case _:
            return "a part of the template language"


def text(value: Any) -> str:
    """Text as it is, everything else as JSON: never Python's spelling."""
    if type(value) is str:
        return value
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        return str(value)
    return "" if type(value) is Nothing else dumps(value)


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON in the author's order of keys, nothing escaped that need not be: `{"a": [1, "é"]}`."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, default=_plain_inside)
    except ValueError:
        raise Refused("a number that is not finite cannot be written") from None
    except TypeError:
        raise Refused("a mapping with a key that is no text cannot be written") from None
    except RecursionError:
        raise Refused("the value is nested too deeply to be written") from None


def _plain_inside(value: Any) -> Json:
    if isinstance(value, Missing):
        value.fail()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise Refused(f"{kind(value)} cannot be written as text")


def plain(value: Any) -> Json:
    """The value with nothing inside that is not JSON: tuples and ranges become lists, a missing value is an error."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Missing):
        value.fail()
    if isinstance(value, dict):
        return _plain_mapping(value)
    if isinstance(value, list):
        inner = [plain(element) for element in value]
        return value if all(map(_is_same, inner, value)) else inner
    if isinstance(value, (tuple, range, LongList)):
        return [plain(element) for element in value]
    if isinstance(value, (Mapping, Sequence)):
        return value
    raise Refused(f"{kind(value)} is no value that can be handed on")


def _plain_mapping(value: dict[Any, Any]) -> Json:
    for key in value:
        if not isinstance(key, str):
            raise Refused("a mapping has a key that is no text")
    inner = {key: plain(element) for key, element in value.items()}
    return value if all(map(_is_same, inner.values(), value.values())) else inner


def _is_same(left: object, right: object) -> bool:
    return left is right
