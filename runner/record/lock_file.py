"""`runner.lock`: what each step of a workflow was made of and which model version answered it. Kept in git.

JSON with sorted keys, a value a line, so that a difference reads well and equal content gives equal bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from runner.core.canonical import Json
from runner.core.errors import FileError, StorageError
from runner.core.frozen import dataclass
from runner.core.problem import Problem

LOCK_FORMAT: Final = 1
LOCK_NAME: Final = "runner.lock"
SHOWN_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class LockedStep:
    """What a step was made of: its model (`provider/model`), digests of its texts and schema, and its settings.

    `answered_by` are the versions that said they answered in the last run that was locked; () when none said so.
    """

    model: str
    answered_by: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    schema: str = ""
    settings: Mapping[str, Json] = field(default_factory=dict)


Lock: TypeAlias = Mapping[str, Mapping[str, LockedStep]]
"""By workflow file, then by step."""


@dataclass(frozen=True, slots=True)
class LockChange:
    """What differs: `name` is a key of the step, values are spelled as they are shown."""

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.name}: {self.old} → {self.new}".replace("\n", "\\n")  # the file may be anybody's


def changes_of(old: LockedStep, new: LockedStep) -> Iterator[LockChange]:
    """What differs, but who answered."""
    if old.model != new.model:
        yield LockChange("model", old.model, new.model)
    if old.prompts != new.prompts:
        yield LockChange("prompt", _digests(old.prompts), _digests(new.prompts))
    if old.schema != new.schema:
        yield LockChange("schema", old.schema[:SHOWN_DIGITS] or "(none)", new.schema[:SHOWN_DIGITS] or "(none)")
    for name in sorted({*old.settings, *new.settings}):
        before, after = (_spelled(settings.get(name)) for settings in (old.settings, new.settings))
        if before != after:
            yield LockChange(name, before, after)


def _digests(digests: tuple[str, ...]) -> str:
    return " ".join(one[:SHOWN_DIGITS] for one in digests) or "(none)"


def _spelled(value: Json) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def read_lock(path: Path) -> Lock | None:
    """None when there is no such file. Raises FileError for one that cannot be read as a lock."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise _bad("is no file", "remove it and run with --update-lock")
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _bad(f"cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    try:
        document = orjson.loads(data)
    except ValueError:
        raise _bad("is not JSON", "end the merge, or delete the file and run with --update-lock") from None
    version = document.get("format") if isinstance(document, dict) else None
    if type(version) is not int:
        raise _bad("is damaged: it does not say its format", "delete the file and run with --update-lock")
    if version != LOCK_FORMAT:
        raise _bad(f"has format {version}, and this version reads format {LOCK_FORMAT}")
    try:
        return {
            file: {name: _step(step) for name, step in steps.items()} for file, steps in document["workflows"].items()
        }
    except (KeyError, TypeError, AttributeError):
        raise _bad("is damaged", "delete the file and run with --update-lock") from None


def _step(step: Json) -> LockedStep:
    return LockedStep(
        model=step["model"],
        answered_by=tuple(step.get("answered_by", ())),
        prompts=tuple(step.get("prompts", ())),
        schema=step.get("schema", ""),
        settings=dict(step.get("settings", {})),
    )


def _bad(what: str, fix: str = "") -> FileError:
    return FileError(Problem("bad-lock", f"{LOCK_NAME} {what}", fix=fix))


def lock_bytes(lock: Lock) -> bytes:
    """Equal locks give equal bytes; what is empty is left out."""
    workflows = {file: {name: _document(step) for name, step in steps.items()} for file, steps in lock.items()}
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps({"format": LOCK_FORMAT, "workflows": workflows}, option=options)


def _document(step: LockedStep) -> dict[str, Json]:
    found = {
        "model": step.model,
        "answered_by": sorted(step.answered_by),
        "prompts": list(step.prompts),
        "schema": step.schema,
        "settings": dict(step.settings),
    }
    return {name: value for name, value in found.items() if value}


def write_lock(path: Path, lock: Lock) -> None:
    """All or nothing; equal content leaves the file untouched. Raises StorageError."""
    data = lock_bytes(lock)
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        aside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            aside.chmod(0o644)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StorageError(Problem("unwritable-file", f"{LOCK_NAME} cannot be written: {reason}")) from None
