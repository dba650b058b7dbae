"""A saved plan: the document of `plan --json` with the exact key of every call that is certain, written as it is made.

Calls come first, a line each, so that neither writing nor a difference in git needs the whole; what the calls of a step
have in common stands once, in `common`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeAlias

import orjson

from runner.core.canonical import Json
from runner.core.errors import FileError, StorageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem

SAVED_PLAN_FORMAT: Final = 1
MOST_BYTES: Final = 1 << 30
SavedPlace: TypeAlias = tuple[str, str, int, int]
"""Step, item, sample and repair."""


@dataclass(frozen=True, slots=True)
class SavedCall:
    """A call that the plan was certain of."""

    key: str
    ingredients: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class SavedStep:
    """What the plan said of a step. `may_calls` None: not bounded. `ingredients` are those that all its calls share."""

    calls: int
    may_calls: int | None
    after: tuple[str, ...]
    ingredients: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan as it was saved; `digest` is that of all that it depends on."""

    file: str
    digest: str
    steps: Mapping[str, SavedStep]
    calls: Mapping[SavedPlace, SavedCall]


class PlanWriter:
    """Takes the calls one by one, then the document."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._common: dict[str, Mapping[str, Json]] = {}
        self._has_calls = False
        file.write(f'{{"saved_plan":{SAVED_PLAN_FORMAT},"certain":['.encode())

    def add(self, place: SavedPlace, key: str, ingredients: Mapping[str, Json]) -> None:
        common = self._common.setdefault(place[0], ingredients)
        own = {name: value for name, value in ingredients.items() if name not in common or common[name] != value}
        own |= {name: None for name in common if name not in ingredients}
        self._file.write(b",\n" if self._has_calls else b"\n")
        self._file.write(orjson.dumps([*place, key, own]))
        self._has_calls = True

    def finish(self, document: Mapping[str, Json]) -> None:
        rest = orjson.dumps({"common": self._common, **document})
        self._file.write(b"\n],\n" + rest[1:] + b"\n")


@contextmanager
def writing_plan(path: Path) -> Iterator[PlanWriter]:
    """All or nothing: the file appears when the block has ended well; what is a link, pipe or device is written as it
    is. Raises StorageError.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        try:
            with path.open("wb") as file:
                yield PlanWriter(file)
        except OSError as error:
            raise _unwritable(path, error) from None
        return
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield PlanWriter(file)
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        aside.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> StorageError:
    reason = (error.strerror or type(error).__name__).lower()
    return StorageError(Problem("unwritable-file", f"{path} cannot be written: {reason}"))


def read_plan(path: Path) -> SavedPlan:
    """Raises FileError for what is missing, no plan, damaged, or of a newer version."""
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise _bad(path, "is too large")
        data = path.read_bytes()
    except OSError as error:
        raise _bad(path, f"cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    try:
        document = orjson.loads(data)
    except ValueError:
        raise _bad(path, "is no saved plan: it is not JSON") from None
    version = document.get("saved_plan") if isinstance(document, dict) else None
    if type(version) is not int:
        raise _bad(path, "is no saved plan", "runner plan FLOW -o FILE writes one")
    if version != SAVED_PLAN_FORMAT:
        raise _bad(path, f"is a saved plan of format {version}, and this version reads format {SAVED_PLAN_FORMAT}")
    try:
        return _plan(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _bad(path, "is damaged", "make the plan again") from None


def _plan(document: Json) -> SavedPlan:
    common, depends = document["common"], document["depends_on"]
    calls = {}
    for step, item, sample, repair, key, own in document["certain"]:
        merged = {**common[step], **own}
        ingredients = {name: value for name, value in merged.items() if value is not None}
        calls[str(step), str(item), int(sample), int(repair)] = SavedCall(str(key), ingredients)
    steps = {
        step["step"]: SavedStep(
            int(step["calls"]),
            None if step["may_calls"] is None else int(step["may_calls"]),
            tuple(step["after"]),
            dict(depends["steps"][step["step"]]),
        )
        for step in document["steps"]
    }
    return SavedPlan(str(document["file"]), str(depends["digest"]), steps, calls)


def _bad(path: Path, what: str, fix: str = "") -> FileError:
    return FileError(Problem("bad-plan", f"{path} {what}", fix=fix))
