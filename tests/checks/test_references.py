"""References against schemas: nothing is said of what is right, and what is wrong is told at its own place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

CORRECT = Path(__file__).parent / "correct"
Findings = Callable[..., str]


def _further_files() -> dict[str, str]:
    found = (path for path in CORRECT.rglob("*") if path.is_file() and path.parent != CORRECT)
    return {path.relative_to(CORRECT).as_posix(): path.read_text("utf-8") for path in found}


@pytest.mark.parametrize("path", sorted(CORRECT.glob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_is_said_of_a_correct_workflow(path: Path, findings: Findings) -> None:
    assert findings(path.read_text("utf-8"), files=_further_files()) == ""
