"""Workflow and suite files below a folder, told from the other YAML files that lie about in a project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.errors import FileError
from runner.core.problem import Problem, nearest

SUFFIXES = (".yaml", ".yml")
SETTINGS_FILE = "runner.yaml"
_TESTS = ("tests", "test")
_WORKFLOW = re.compile(r"^[\"']?workflow[\"']?[ \t]*:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)
_TOP_KEY = re.compile(r"^[\"']?([A-Za-z][\w-]*)[\"']?[ \t]*:", re.MULTILINE)
# What an included file may bring when it is no workflow of its own.
_FRAGMENT_KEYS = frozenset({"format", "models", "inputs", "data", "cases", "judges", "metrics", "assert"})
_SUITE_KEYS = frozenset({"workflow", "cases", "cases_from"})
_LOOKED_AT = 1_000_000


@dataclass(slots=True)
class LeftAlone:
    """What lies below a folder and is not of its project: folders of other projects, and workflows that are test data."""

    projects: list[Path] = field(default_factory=list)
    test_data: list[Path] = field(default_factory=list)


def workflow_files(paths: Sequence[Path], left: LeftAlone | None = None) -> list[Path]:
    """The files named, and the workflow and suite files below the folders named, in order and once each.

    With `left`, which takes note of the others, only those of the folder's own project are found below it.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(_below(path, left))
        elif path.exists():
            found[path] = None
        else:
            raise FileError(_missing(path))
    return list(found)


def _missing(path: Path) -> Problem:
    from runner.config.load import dangling

    found = dangling(path, str(path))
    if found is not None:
        return found
    siblings = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    return Problem("missing-file", f"there is no file {path}", nearest=str(path.with_name(close)) if close else "")


def _below(folder: Path, left: LeftAlone | None) -> Iterator[Path]:
    absolute = folder.absolute()
    is_workflow_folder = "workflows" in absolute.parts
    if not any((one / SETTINGS_FILE).is_file() for one in (absolute, *absolute.parents)):
        left = None  # a folder of projects, each its own
    for path in sorted(_yaml_files(folder, left.projects if left else None)):
        folders = path.relative_to(folder).parts[:-1]
        is_inside = is_workflow_folder or "workflows" in folders
        is_ours = is_suite if path.stem.endswith(".suite") else is_workflow
        if not is_ours(path, is_inside=is_inside):
            continue
        if left and _is_test_data(path, folder, folders):
            left.test_data.append(path)
        else:
            yield path


def _yaml_files(folder: Path, others: list[Path] | None) -> Iterator[Path]:
    """YAML files at any depth; hidden and foreign folders and links to folders are left alone.

    So are projects of their own, of which `others` takes note, unless that is None.
    """
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in ("node_modules", "cache", "__pycache__"):
            continue
        if path.is_dir():
            if path.is_symlink() or (path / "pyvenv.cfg").exists():
                continue
            if others is not None and (path / SETTINGS_FILE).is_file():
                others.append(path)
            else:
                yield from _yaml_files(path, others)
        elif path.suffix in SUFFIXES and path.name != SETTINGS_FILE:
            yield path


def _is_test_data(path: Path, folder: Path, folders: Sequence[str]) -> bool:
    """Whether a file is what tests read: below `tests`, and no suite of a workflow that stands outside."""
    depth = next((index for index, name in enumerate(folders) if name in _TESTS), None)
    if depth is None:
        return False
    tests = folder.joinpath(*folders[: depth + 1]).resolve()
    named = _WORKFLOW.search(_head(path) or "") if path.stem.endswith(".suite") else None
    return named is None or (path.parent / named[1]).resolve().is_relative_to(tests)


def is_workflow(path: Path, *, is_inside: bool) -> bool:
    """By its keys: with `steps`; in a workflows folder also any file that is no shared fragment.

    So a misspelt `steps` in a workflows folder is a finding there, not a file that nobody looks at.
    """
    keys = _top_keys(path)
    if keys is None:
        return is_inside
    return "steps" in keys or (is_inside and not (keys and keys <= _FRAGMENT_KEYS))


def is_suite(path: Path, *, is_inside: bool) -> bool:
    """A file that is called like a suite: in a workflows folder it is one, elsewhere it has a suite's keys."""
    return is_inside or bool(_SUITE_KEYS & (_top_keys(path) or set()))


def _top_keys(path: Path) -> set[str] | None:
    """What looks like the top keys of a file, None where it cannot be read."""
    head = _head(path)
    return None if head is None else {key for key in _TOP_KEY.findall(head) if not key.startswith("x-")}


def _head(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_LOOKED_AT).decode("utf-8", "replace")
    except OSError:
        return None
