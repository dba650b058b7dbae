"""The pytest plugin: collects `*.suite.yaml`. Until one is found it imports nothing of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from runner.pytest_plugin.sharing import Controller

SUITE_ENDINGS = (".suite.yaml", ".suite.yml")
FOLDER = "runner_verdicts"
CONTROLLERS: pytest.StashKey[list[Controller]] = pytest.StashKey()


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


# --- under xdist: the controller asks, the workers hear its verdicts


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CONTROLLERS] = []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker is told where it hears the verdicts. Without `--live` each replays what is stored by itself."""
    if not node.config.getoption("--live"):
        return
    found = node.config.stash[CONTROLLERS]
    if not found:
        from runner.pytest_plugin.items import options_of
        from runner.pytest_plugin.sharing import Controller

        found.append(Controller(options_of(node.config)))
    node.workerinput[FOLDER] = str(found[0].folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    nodes = [one for one in ids if one.partition("::")[0].endswith(SUITE_ENDINGS)]
    for controller in node.config.stash[CONTROLLERS] if nodes else ():
        controller.begin(node.config.rootpath, nodes)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    for controller in session.config.stash[CONTROLLERS]:
        controller.end()


def pytest_unconfigure(config: pytest.Config) -> None:
    for controller in config.stash.get(CONTROLLERS, []):
        controller.close()
