"""Prompts and schemas of a project that none of its workflows uses."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from runner.app.surroundings import Surroundings
from runner.core.problem import Problem
from runner.core.span import Span

FOLDERS = {"prompts": "prompt", "schemas": "schema"}
WORKFLOWS = "workflows"


def is_whole(folder: Path, root: Path) -> bool:
    """Whether a folder holds all workflows of a project."""
    return folder.resolve() in (root.resolve(), (root / WORKFLOWS).resolve())


def unused_files(root: Path, read: Collection[str], around: Surroundings) -> Iterator[Problem]:
    """Files that no workflow has read and that no other file of the project names."""
    for folder, noun in FOLDERS.items():
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if path.is_file() and not is_hidden and name not in read and not around.is_named(name):
                yield Problem(
                    "unused-file",
                    f"no workflow of this project uses the {noun} {name}",
                    Span(name, 1, 1),
                    fix="name it in a workflow, or delete it",
                    severity="warning",
                )
