"""The files for CI against the published schemas of GitHub's formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from runner.cli.commands.init import CI_FILE
from runner.cli.main import main
from runner.config.load import load_values

ROOT = Path(__file__).parents[2]


def misfits(schema: str, document: Any) -> list[str]:
    text = (
        resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", f"{schema}.json").read_text("utf-8")
    )
    return [error.json_path for error in Draft7Validator(json.loads(text)).iter_errors(document)]


def read(path: Path) -> Any:
    """By our own reader: YAML 1.2, for which `on` is a text."""
    value, problems = load_values(path.read_bytes(), path.name)
    assert problems == []
    return value


def test_the_action_fits_the_schema_of_actions() -> None:
    assert misfits("github-actions", read(ROOT / "action.yml")) == []


SPOILED: dict[str, Callable[[Any], Any]] = {
    "an unknown key": lambda action: action.update(input={}),
    "another kind of action": lambda action: action["runs"].update(using="compsite"),
    "a step without a shell": lambda action: action["runs"]["steps"][1].pop("shell"),
    "an input without a description": lambda action: action["inputs"]["live"].pop("description"),
    "an output without a value": lambda action: action["outputs"]["exit-code"].pop("value"),
    "an icon that there is not": lambda action: action["branding"].update(icon="prompt"),
    "no name": lambda action: action.pop("name"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_the_schema_of_actions_finds_what_is_wrong(spoil: Callable[[Any], Any]) -> None:
    action = deepcopy(read(ROOT / "action.yml"))
    spoil(action)
    assert misfits("github-actions", action) != []


def test_what_init_writes_fits_the_schema_of_workflows(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "new"), "--ci", "github"]) == 0
    document = read(tmp_path / "new" / CI_FILE)
    assert misfits("github-workflows", document) == []
    document["jobs"]["recorded"]["runs-on"] = None
    assert misfits("github-workflows", document) == ["$.jobs.recorded"]
