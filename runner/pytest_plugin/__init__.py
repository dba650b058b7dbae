"""The pytest plugin: collects `*.suite.yaml`. Until one is found it imports nothing of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SUITE_ENDINGS = (".suite.yaml", ".suite.yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("runner", "prompt suites (*.suite.yaml)")
    group.addoption(
        "--live",
        action="store_true",
        help="ask models for answers that are not stored (RUNNER_MAX_COST, RUNNER_YES); without it nothing is asked",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not file_path.name.endswith(SUITE_ENDINGS):
        return None
    from runner.pytest_plugin.items import SuiteFile

    made: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
    return made
