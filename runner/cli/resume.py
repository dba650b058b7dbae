"""`runner run --resume RUN`: the command of an earlier run again, which takes up its batch jobs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from runner.core.errors import UsageError
from runner.core.problem import Problem

OPTION = "--resume"


def resumed(words: list[str]) -> list[str]:
    """The words with those of the named run in the place of `--resume RUN`, in the folder of that run.

    Raises UsageError and NothingSelected.
    """
    found = next((number for number, word in enumerate(words) if word.partition("=")[0] == OPTION), None)
    if found is None:
        return words
    _, mark, run = words[found].partition("=")
    rest = words[found + 1 :] if mark else words[found + 2 :]
    if not mark:
        run = words[found + 1] if found + 1 < len(words) else ""
    if not run:
        raise UsageError(Problem("usage", f"{OPTION} needs the id of a run, such as r12", fix="runner show lists them"))
    from runner.app import api

    others, folder = without_folder([*words[:found], *rest])
    command = api.command_of(api.find_project_root(Path.cwd() / folder), run)
    os.chdir(command.folder)
    return [*command.words, *others]


def kept(words: Sequence[str]) -> tuple[str, ...]:
    """The words that hold when a run is taken up again: it is waited for then, in the folder that it was in."""
    return tuple(word for word in without_folder(list(words))[0] if word != "--no-wait")


def retry_command(words: Sequence[str]) -> str:
    """The command that asks just these items again that failed."""
    ready, skip = [], False
    for word in words:
        name, mark, _ = word.partition("=")
        is_left_out = name in ("--only", "--refresh")
        if not is_left_out and (not skip or word.startswith("-")):
            ready.append(word)
        skip = is_left_out and not mark
    return shlex.join(["runner", "run", *ready, "--only", "failed"])


def without_folder(words: list[str]) -> tuple[list[str], str]:
    """The words without `-C DIR`, and the folder, or ""."""
    for number, word in enumerate(words):
        if word == "-C":
            return [*words[:number], *words[number + 2 :]], "".join(words[number + 1 : number + 2])
        if word.startswith("-C"):
            return [*words[:number], *words[number + 1 :]], word.removeprefix("-C")
    return words, ""
