"""A full disk is one trouble, however many files it keeps from being written."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from runner.core.frozen import replace
from runner.core.problem import Problem

_WORDS = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def told_once(trouble: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems, those of a full disk as one that names what else could not be written."""
    full = [problem for problem in trouble if _is_full(problem)]
    if len(full) < 2:
        return tuple(trouble)
    first, *others = sorted(full, key=lambda problem: problem.code != "disk-full")
    notes = tuple(("also", _without_reason(problem.message)) for problem in others)
    rest = (problem for problem in trouble if problem not in full)
    return (replace(first, notes=(*first.notes, *notes)), *rest)


def _is_full(problem: Problem) -> bool:
    return problem.code == "disk-full" or problem.message.endswith(_WORDS)


def _without_reason(message: str) -> str:
    return next((message.removesuffix(f": {word}") for word in _WORDS if message.endswith(f": {word}")), message)
