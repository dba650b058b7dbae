from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings

from runner.core.errors import FileError
from runner.core.ports import ReadFile
from runner.core.problem import Problem

# Machines that test are shared and slow now and then; speed is measured elsewhere.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def files() -> Callable[[dict[str, str]], ReadFile]:
    """A project in memory: texts by path."""

    def project(texts: dict[str, str]) -> ReadFile:
        def read(path: str) -> bytes:
            if path not in texts:
                raise FileError(Problem("missing-file", f"there is no file '{path}'"))
            return texts[path].encode("utf-8", "surrogateescape")

        return read

    return project
