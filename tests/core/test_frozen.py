"""Our dataclasses beside the standard library's: the same in everything but their speed."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from runner.core.frozen import dataclass, replace


def classes(make: Any) -> dict[str, type[Any]]:
    """The same classes, made by one of the two."""

    @make(frozen=True, slots=True)
    class Point:
        """A place."""

        x: int
        y: int = 2
        tags: list[str] = dataclasses.field(default_factory=list, repr=False)
        note: str = dataclasses.field(default="", compare=False)
        kind: ClassVar[str] = "point"

        @property
        def sum(self) -> int:
            return self.x + self.y

    @make(frozen=True, slots=True)
    class Empty: ...

    @make(frozen=True, slots=True)
    class One:
        value: Any

    @make(frozen=True, slots=True, kw_only=True)
    class Named(Point):
        name: str
        size: int = dataclasses.field(default=0)

    @make(frozen=True, slots=True, order=True)
    class Ordered:
        a: int

    @make(slots=True)
    class Open:
        a: int = 1

    @make
    class Plain:
        a: int = 1

    return {one.__name__: one for one in (Point, Empty, One, Named, Ordered, Open, Plain)}


OURS, THEIRS = classes(dataclass), classes(dataclasses.dataclass)

ACTIONS: list[tuple[str, Callable[[dict[str, type[Any]]], Any]]] = [
    ("repr", lambda c: repr(c["Point"](1, tags=["a"], note="n"))),
    ("repr of none", lambda c: repr(c["Empty"]())),
    ("repr by name", lambda c: repr(c["Named"](1, name="n"))),
    ("equal", lambda c: c["Point"](1) == c["Point"](1, 2, [], "another note")),
    ("unequal", lambda c: c["Point"](1) != c["Point"](2)),
    ("equal to a subclass", lambda c: c["Point"](1) == c["Named"](1, name="n")),
    ("equal to another kind", lambda c: c["Point"](1) == 1),
    ("equal of one field", lambda c: c["One"](float("nan")) == c["One"](float("nan"))),
    ("equal of none", lambda c: c["Empty"]() == c["Empty"]()),
    ("hash", lambda c: hash(c["One"](1)) == hash((1,))),
    ("hash of what differs in a note", lambda c: len({c["Ordered"](1), c["Ordered"](1), c["Ordered"](2)})),
    ("hash of a list", lambda c: hash(c["Point"](1))),
    ("hash without frozen", lambda c: hash(c["Open"]())),
    ("order", lambda c: c["Ordered"](1) < c["Ordered"](2)),
    ("set", lambda c: setattr(c["Point"](1), "x", 5)),
    ("set of a subclass", lambda c: setattr(c["Named"](1, name="n"), "x", 5)),
    ("delete", lambda c: delattr(c["Point"](1), "x")),
    ("set in the open", lambda c: setattr(c["Open"](), "a", 2)),
    ("too few", lambda c: c["Point"]()),
    ("too many", lambda c: c["Point"](1, 2, [], "", 5)),
    ("unknown", lambda c: c["Point"](1, z=2)),
    ("by name only", lambda c: c["Named"](1, 2, [], "", "n")),
    ("fresh defaults", lambda c: c["Point"](1).tags is c["Point"](1).tags),
    ("replace", lambda c: repr(dataclasses.replace(c["Named"](1, name="n"), y=9, size=3))),
    ("replace what is no field", lambda c: dataclasses.replace(c["Point"](1), z=9)),
    ("asdict", lambda c: dataclasses.asdict(c["Named"](1, name="n"))),
    ("fields", lambda c: [field.name for field in dataclasses.fields(c["Named"])]),
    ("match args", lambda c: c["Named"].__match_args__),
    ("signature", lambda c: [str(one) for one in inspect.signature(c["Named"]).parameters.values()][:2]),
    ("kinds", lambda c: [one.kind for one in inspect.signature(c["Named"]).parameters.values()]),
    ("hints", lambda c: c["Point"].__init__.__annotations__),
    ("name of init", lambda c: c["Point"].__init__.__qualname__),
    ("slots", lambda c: (c["Point"].__slots__, c["Named"].__slots__)),
    ("no dict", lambda c: hasattr(c["Named"](1, name="n"), "__dict__")),
    ("property", lambda c: c["Point"](1).sum),
    ("doc", lambda c: c["Point"].__doc__),
    ("copy", lambda c: repr(copy.copy(c["Named"](1, name="n")))),
    ("deep copy", lambda c: repr(copy.deepcopy(c["Point"](1, tags=["a"])))),
    ("deep copy is another", lambda c: (lambda one: copy.deepcopy(one).tags is one.tags)(c["Point"](1, tags=["a"]))),
    ("class variable", lambda c: c["Point"].kind),
    ("is a dataclass", lambda c: [dataclasses.is_dataclass(one) for one in c.values()]),
    ("said to be frozen", lambda c: [one.__dataclass_params__.frozen for one in c.values()]),
]


def outcome(act: Callable[[dict[str, type[Any]]], Any], made: dict[str, type[Any]]) -> Any:
    try:
        return act(made)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(("what", "act"), ACTIONS, ids=[name for name, _ in ACTIONS])
def test_it_does_what_the_library_does(what: str, act: Callable[[dict[str, type[Any]]], Any]) -> None:
    assert outcome(act, OURS) == outcome(act, THEIRS), what


@dataclass(frozen=True, slots=True)
class Pickled:
    a: int
    b: tuple[int, ...] = ()


@pytest.mark.parametrize(
    "act",
    [
        lambda change, c: repr(change(c["Named"](1, name="n"), y=9, size=3)),
        lambda change, c: repr(change(c["Empty"]())),
        lambda change, c: repr(change(c["One"]([1]), value=2)),
        lambda change, c: change(c["Point"](1, note="kept")).note,
        lambda change, c: repr(change(c["Open"](), a=3)),
        lambda change, c: change(c["Point"](1), z=9),
    ],
)
def test_replacing_does_what_the_library_does(act: Callable[[Any, dict[str, type[Any]]], Any]) -> None:
    ours = outcome(lambda made: act(replace, made), OURS)
    assert ours == outcome(lambda made: act(dataclasses.replace, made), THEIRS)


def test_an_object_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(Pickled(1, (2, 3)))) == Pickled(1, (2, 3))


def test_classes_of_the_library_may_be_derived_from_ours() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Below(Pickled):
        c: int = 3

    @dataclass(frozen=True, slots=True)
    class Lowest(Below):
        d: int = 4

    assert repr(Lowest(1)).endswith("Lowest(a=1, b=(), c=3, d=4)")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Lowest(1).a = 2  # type: ignore[misc]  # that is the mistake


def test_a_class_without_a_sentence_is_called_by_its_name() -> None:
    assert Pickled.__doc__ == "Pickled"
