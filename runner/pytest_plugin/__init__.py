"""The pytest plugin: collects `*.suite.yaml`. Until one is found it imports nothing of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from runner.pytest_plugin.items import SuiteFile
    from runner.pytest_plugin.sharing import Controller

SUITE_ENDINGS = (".suite.yaml", ".suite.yml")
FOLDER = "runner_verdicts"
SUITES: pytest.StashKey[list[SuiteFile]] = pytest.StashKey()
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

    made: SuiteFile = SuiteFile.from_parent(parent, path=file_path)
    parent.config.stash[SUITES].append(made)
    return made


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Any:
    """A case that a suite does not have is told in our words."""
    try:
        return (yield)
    except pytest.UsageError as error:
        suites = session.config.stash[SUITES]
        raise pytest.UsageError(*(_told(message, suites) for message in error.args)) from None


def _told(message: str, suites: list[SuiteFile]) -> str:
    path, mark, case = message.partition("\n")[0].removeprefix("not found: ").partition("::")
    suite = next((suite for suite in suites if mark and str(suite.path) == path), None)
    return suite.unknown(case) if suite is not None else message


# --- under xdist: the controller asks, the workers hear its verdicts


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CONTROLLERS] = []
    config.stash[SUITES] = []


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
