"""The `dataclass` of this program: the standard library's, without what it costs.

The library writes eight methods of every frozen class as text and compiles each by itself, which was half of the time
until a command could begin, and its objects take three times as long to make. Here `__init__` alone is written, when
the first object is made; what compares, hashes, shows and refuses is shared by all classes. Nothing else differs: a
test holds the two side by side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass", "replace"]

_NOT_GIVEN = object()
_OWN_OPTIONS = frozenset(("frozen", "slots", "kw_only"))


def _dataclass(cls: type[Any] | None = None, /, **options: bool) -> Any:
    """`dataclasses.dataclass`; only what is frozen and has slots is made here."""
    if cls is None:
        return lambda cls: _dataclass(cls, **options)
    if not (options.get("frozen") and options.get("slots")) or options.keys() - _OWN_OPTIONS:
        return dataclasses.dataclass(**options)(cls)
    return _make(cls, is_kw_only=options.get("kw_only", False))


def _make(cls: type[Any], *, is_kw_only: bool) -> Any:
    cls.__doc__ = cls.__doc__ or cls.__name__  # else the library spells out the signature
    is_derived = any(
        map(dataclasses.is_dataclass, cls.__mro__)
    )  # the library lets a frozen class have frozen bases only
    made: Any = dataclasses.dataclass(
        init=False, repr=False, eq=False, slots=True, frozen=is_derived, kw_only=is_kw_only
    )(cls)
    fields = dataclasses.fields(made)
    if not is_derived:
        made.__dataclass_params__.frozen = True
        made.__setattr__, made.__delattr__ = _refuse_setting, _refuse_deleting
        made.__getstate__, made.__setstate__ = _get_state, _set_state
    made.__init__ = _Unwritten(made)
    made.__repr__ = _make_repr([field.name for field in fields if field.repr])
    made.__eq__, made.__hash__ = _make_equality([field.name for field in fields if field.compare])
    return made


class _Unwritten:
    """The `__init__` of a class of which there is no object yet: most commands need a third of the classes."""

    __slots__ = ("_made",)

    def __init__(self, made: type[Any]) -> None:
        self._made = made

    def __get__(self, one: Any, kind: type[Any]) -> Callable[..., None]:
        made = self._made
        init = made.__init__ = _make_init(made, dataclasses.fields(made))
        found: Callable[..., None] = init.__get__(one, kind)
        return found


def _make_init(made: type[Any], fields: Sequence[dataclasses.Field[Any]]) -> Callable[..., None]:
    """Sets the slots through their descriptors, which need not go past the refusal of a frozen class."""
    names: dict[str, Any] = {"_NOT_GIVEN": _NOT_GIVEN}
    positional, named, body = ["self"], ["*"], []
    for field in fields:
        name = value = field.name
        default = ""
        if field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = field.default_factory
            default, value = "=_NOT_GIVEN", f"_make_{name}() if {name} is _NOT_GIVEN else {name}"
        elif field.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = field.default
            default = f"=_default_{name}"
        names[f"_set_{name}"] = getattr(made, name).__set__
        (named if field.kw_only else positional).append(name + default)
        body.append(f"_set_{name}(self, {value})")
    parameters = ", ".join(positional + (named if len(named) > 1 else []))
    exec(f"def __init__({parameters}):\n  {'; '.join(body) or 'pass'}", names)  # noqa: S102 -- names of fields alone
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return init


def _make_repr(names: Sequence[str]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:  # noqa: N807 -- it becomes the method
        return f"{self.__class__.__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in names])})"

    return __repr__


def _values_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*names) if len(names) > 1 else lambda one: tuple([getattr(one, name) for name in names])


def _make_equality(names: Sequence[str]) -> tuple[Callable[[Any, object], bool], Callable[[Any], int]]:
    values = _values_of(names)

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __eq__, __hash__


def _refuse_setting(_one: Any, name: str, _value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(_one: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(one: Any) -> list[Any]:
    return [getattr(one, field.name) for field in dataclasses.fields(one)]


def _set_state(one: Any, state: Sequence[Any]) -> None:
    for field, value in zip(dataclasses.fields(one), state, strict=True):
        object.__setattr__(one, field.name, value)


_FIELDS: dict[type[Any], tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]] = {}


def _replace(one: Any, /, **changes: Any) -> Any:
    """`dataclasses.replace`, which looks at each field of the class anew each time."""
    kind = one.__class__
    if kind not in _FIELDS:
        names = tuple(field.name for field in dataclasses.fields(one))
        _FIELDS[kind] = (names, _values_of(names))
    names, values = _FIELDS[kind]
    return kind(**{**dict(zip(names, values(one), strict=True)), **changes})


if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:
    dataclass, replace = _dataclass, _replace
