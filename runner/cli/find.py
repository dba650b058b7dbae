"""Workflow and suite files below a folder, told from the other YAML files that lie about in a project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.core.errors import FileError
from runner.core.problem import Problem, nearest

SUFFIXES = (".yaml", ".yml")
_TOP_KEY = re.compile(r"^[\"']?([A-Za-z][\w-]*)[\"']?[ \t]*:", re.MULTILINE)
# What an included file may bring when it is no workflow of its own.
_FRAGMENT_KEYS = frozenset({"format", "models", "inputs", "data", "cases", "judges", "metrics", "assert"})
_SUITE_KEYS = frozenset({"workflow", "cases", "cases_from"})
_LOOKED_AT = 1_000_000


def workflow_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the workflow and suite files below the folders named, in order and once each."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(_below(path))
        elif path.exists():
            found[path] = None
        else:
            raise FileError(_missing(path))
    return list(found)


def _missing(path: Path) -> Problem:
    siblings = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    return Problem("missing-file", f"there is no file {path}", nearest=str(path.with_name(close)) if close else "")


def _below(folder: Path) -> Iterator[Path]:
    is_workflow_folder = "workflows" in folder.absolute().parts
    for path in sorted(_yaml_files(folder)):
        is_inside = is_workflow_folder or "workflows" in path.relative_to(folder).parts[:-1]
        is_ours = is_suite if path.stem.endswith(".suite") else is_workflow
        if is_ours(path, is_inside=is_inside):
            yield path


def _yaml_files(folder: Path) -> Iterator[Path]:
    """YAML files at any depth; hidden and foreign folders and links to folders are left alone."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in ("node_modules", "cache", "__pycache__"):
            continue
        if path.is_dir():
            if not path.is_symlink() and not (path / "pyvenv.cfg").exists():
                yield from _yaml_files(path)
        elif path.suffix in SUFFIXES and path.name != "runner.yaml":
            yield path


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
    try:
        with path.open("rb") as file:
            head = file.read(_LOOKED_AT).decode("utf-8", "replace")
    except OSError:
        return None
    return {key for key in _TOP_KEY.findall(head) if not key.startswith("x-")}
