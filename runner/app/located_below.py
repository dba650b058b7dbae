"""Places of several projects that are checked together: told from the one folder that holds them all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.config.load import find_root
from runner.core.problem import Problem

USED_BY = "used by"


def base_of(paths: Sequence[Path]) -> Path:
    """The folder from which places are told: the root of the project, or what holds all of several."""
    return Path(os.path.commonpath(_roots(paths) or [Path.cwd()]))


def folders_below(paths: Sequence[Path]) -> Mapping[Path, str]:
    """For each project its folder and a slash, or nothing where all files are of one project."""
    common, roots = base_of(paths), _roots(paths)
    return {root: f"{root.relative_to(common).as_posix()}/" for root in roots if root != common}


def _roots(paths: Sequence[Path]) -> set[Path]:
    folders = {Path(os.path.abspath(path)).parent: path for path in paths}  # noqa: PTH100 - links stay as typed
    return {find_root(path) for path in folders.values()}


def located_below(folder: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """The findings of one project, with their places told from further up."""
    return (_below(folder, problem) for problem in problems) if folder else iter(problems)


def _below(folder: str, problem: Problem) -> Problem:
    span = problem.span
    return replace(
        problem,
        span=replace(span, file=f"{folder}{span.file}") if span else None,
        notes=tuple((label, _place_below(folder, text) if label == USED_BY else text) for label, text in problem.notes),
        edits=tuple(replace(edit, file=f"{folder}{edit.file}") for edit in problem.edits),
    )


def _place_below(folder: str, text: str) -> str:
    """What ends with a comma and a place."""
    title, comma, place = text.rpartition(", ")
    return f"{title}{comma}{folder}{place}"
