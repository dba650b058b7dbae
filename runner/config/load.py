"""Paths → texts → values; the only module of this package that touches the disk."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.config.nodes import Node, to_value
from runner.config.reading import Reading
from runner.config.settings_file import read_settings
from runner.config.workflow_file import read_workflow
from runner.config.yaml_nodes import MAX_BYTES, parse_yaml
from runner.core.canonical import Json
from runner.core.errors import FileError
from runner.core.frozen import dataclass
from runner.core.problem import Problem, nearest
from runner.core.span import Span
from runner.core.workflow import Settings, Workflow

if TYPE_CHECKING:
    from runner.core.suite import Suite

SETTINGS_FILE = "runner.yaml"
MAX_FILE_BYTES = 64_000_000
_SECRET = re.compile(
    r"(?P<lead>://|\b(?:api_?key|key|token|secret|password)[\"']?[ \t]*:[ \t]+[\"']?)"
    r"(?P<secret>(?<=//)[^/@\s\"']+(?=@)|(?<!//)[^\s\"',{}\[\]]+)",
    re.IGNORECASE,
)
_ROOT_MARKS = (".git", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A workflow file and all that it names.

    `workflow` is there whenever enough of it could be read to look for further mistakes; it is to be run only when
    no problem is an error. `files` are the files that were read, relative to the root.
    """

    workflow: Workflow | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    root: Path
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """`runner.yaml`, or empty settings where there is none."""

    settings: Settings
    problems: tuple[Problem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """The files below a project root; nothing outside it is read, whatever a link or a path says.

    `changed` holds what files, by their real paths, are taken to hold instead of what is on the disk.
    """

    root: Path
    changed: Mapping[Path, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        """The bytes of a file named relative to the root, with `/`. Raises FileError."""
        located = self.locate(path)
        return self.changed[located] if located in self.changed else _read_regular(located, path, MAX_FILE_BYTES)

    def locate(self, path: str) -> Path:
        """Where a file named relative to the root really lies. Raises FileError unless it is a file below the root."""
        if "\0" in path:
            raise FileError(Problem("missing-file", "a path cannot hold a NUL character"))
        found = Path(os.path.realpath(self.root / path))
        root = Path(os.path.realpath(self.root))
        if not found.is_relative_to(root):
            fix = "copy the file into the project"
            raise FileError(
                Problem(
                    "outside-root", f"{path} lies outside the project", expected="a file inside the project", fix=fix
                )
            )
        _ensure_regular(found, path, typed=self.root / path)
        return found

    def display(self, path: Path) -> str:
        """A path as it is shown: relative to the root where it lies below it, else as typed."""
        absolute = Path(os.path.abspath(path))  # noqa: PTH100  (links stay as the user sees them)
        # Both spellings of the root: links as the user sees them, and resolved.
        for root in (Path(os.path.abspath(self.root)), Path(os.path.realpath(self.root))):  # noqa: PTH100
            if absolute.is_relative_to(root):
                return absolute.relative_to(root).as_posix()
        return str(path)


def find_root(start: Path) -> Path:
    """The nearest folder around a file or folder with runner.yaml, else with .git or pyproject.toml, else its own."""
    absolute = Path(os.path.abspath(start))  # noqa: PTH100  (links stay: the root is looked for where the user is)
    folder = absolute if absolute.is_dir() else absolute.parent
    around = (folder, *folder.parents)
    marked = next((one for one in around if (one / SETTINGS_FILE).is_file()), None)
    marked = marked or next((one for one in around if any((one / mark).exists() for mark in _ROOT_MARKS)), None)
    return marked or folder


def load_workflow(path: Path, *, root: Path | None = None, changed: Mapping[Path, bytes] | None = None) -> Loaded:
    """A workflow file with its includes, prompt files and schema files; never raises for what a file holds."""
    shown, reading, node, files = _document(path, root, changed)
    workflow = None if node is None else read_workflow(node, shown, reading)
    return Loaded(workflow, tuple(reading.problems), reading.sources, files.root, tuple(reading.sources))


def _document(
    path: Path, root: Path | None, changed: Mapping[Path, bytes] | None = None
) -> tuple[str, Reading, Node | None, ProjectFiles]:
    """How a file is shown, what reads the files that it names, and its nodes."""
    files = ProjectFiles(root if root is not None else find_root(path), changed or {})
    shown = files.display(path)
    shown = str(path) if shown == "." else shown  # a folder that would be its own root
    reading = Reading(files.read, str(files.root), (files.root / SETTINGS_FILE).is_file())
    try:
        _ensure_regular(path, shown, typed=path)
        data = files.changed.get(Path(os.path.realpath(path))) or _read_regular(path, shown, MAX_BYTES)
    except FileError as error:
        reading.problems += error.problems
        return shown, reading, None, files
    return shown, reading, reading.document(shown, data), files


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A suite file and all that it names but its workflow, which is loaded on its own."""

    suite: Suite | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    root: Path
    files: tuple[str, ...]


def load_suite(path: Path, *, root: Path | None = None, changed: Mapping[Path, bytes] | None = None) -> LoadedSuite:
    """A suite file with its includes; never raises for what a file holds."""
    from runner.config.suite_file import read_suite

    shown, reading, node, files = _document(path, root, changed)
    suite = None if node is None else read_suite(node, shown, reading)
    return LoadedSuite(suite, tuple(reading.problems), reading.sources, files.root, tuple(reading.sources))


def load_settings(root: Path, changed: Mapping[Path, bytes] | None = None) -> LoadedSettings:
    """The project's `runner.yaml`; empty settings where there is none, or nothing in it."""
    path = root / SETTINGS_FILE
    empty = Settings(span=Span(SETTINGS_FILE, 1, 1))
    if not os.path.lexists(path):
        return LoadedSettings(empty)
    files = ProjectFiles(root, changed or {})
    reading = Reading(files.read, str(root), is_chosen=True)
    try:
        _ensure_regular(path, SETTINGS_FILE, typed=path)
        data = files.changed.get(Path(os.path.realpath(path))) or _read_regular(path, SETTINGS_FILE, MAX_BYTES)
    except FileError as error:
        return LoadedSettings(empty, error.problems)
    node = reading.document(SETTINGS_FILE, data)
    settings = None if node is None else read_settings(node, SETTINGS_FILE, reading)
    problems = tuple(problem for problem in reading.problems if problem.code != "empty-file")
    sources = {name: _without_secrets(text) for name, text in reading.sources.items()}
    return LoadedSettings(settings or empty, problems, sources)


def _without_secrets(text: str) -> str:
    """The text as it may be shown: a key that was written where none belongs is dots of the same length."""
    return _SECRET.sub(lambda found: found["lead"] + "•" * len(found["secret"]), text)


def load_values(text: bytes, file: str) -> tuple[Json, list[Problem]]:
    """The JSON value of a YAML or JSON text; None when it cannot be read."""
    node, problems = parse_yaml(text, file)
    return (None if node is None else to_value(node)), problems


# --- the disk


def _read_regular(path: Path, shown: str, limit: int) -> bytes:
    """The bytes of a regular file; the limit is checked before and while reading."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileError(_not_a_file(shown))
            # As much as there is, and no more: room is made for all that is asked for.
            data = b"" if status.st_size > limit else file.read(status.st_size + 1)
            if len(data) > status.st_size:
                data += file.read(limit + 1 - len(data))
    except OSError as error:
        raise FileError(_unreadable(shown, error)) from None
    size = max(status.st_size, len(data))
    if size > limit:
        raise FileError(Problem("too-large", f"{shown} has {size:,} bytes, more than the {limit:,} that are read"))
    return data


def dangling(path: Path, shown: str) -> Problem | None:
    """What is to be said of a link that leads to nothing."""
    if not path.is_symlink() or path.exists():
        return None
    return Problem("missing-file", f"{shown} is a link to '{path.readlink()}', where there is no file")


def _ensure_regular(path: Path, shown: str, *, typed: Path) -> None:
    """Refuse what is no file; `typed` is its path with links as they are."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        near = nearest(path.name, _names_in(typed.parent))
        beside = PurePosixPath(shown).with_name(near).as_posix() if near else ""
        missing = Problem("missing-file", f"there is no file {shown}", nearest=beside)
        raise FileError(dangling(typed, shown) or missing) from None
    except (OSError, ValueError) as error:
        raise FileError(_unreadable(shown, error)) from None
    if stat.S_ISDIR(mode):
        raise FileError(Problem("is-a-directory", f"{shown} is a directory", expected="a file"))
    if not stat.S_ISREG(mode):
        raise FileError(_not_a_file(shown))


def _not_a_file(shown: str) -> Problem:
    return Problem("not-a-file", f"{shown} is a device, pipe or socket", expected="a regular file")


def _unreadable(shown: str, error: OSError | ValueError) -> Problem:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem("unreadable-file", f"{shown} cannot be read: {reason.lower()}")


def _names_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except OSError:
        return []
