"""What an editor shows while a workflow is typed, by the language server that editors use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "workflows").glob("*.yaml"))
CORRECT = sorted((ROOT / "tests/checks/correct").glob("*.yaml"))
FLOW = """\
format: 1
models: {fast: local/smollm2-135m}
steps:
  greet:
    model: fast
    thinking: low
    promt: Hello
"""
SUITE = """\
workflow: flow.yaml
assert:
  - {that: steps.greet.output.n > 1}
  - {of: steps.greet.text, contains: Hello}
cases:
  one:
    with: {who: {from: case.who}}
    expct: {steps.greet: {greeting: Hello}}
matrix:
  greet.model: [fast]
  greet.thinking: [off]
"""


def _labels(found: Any) -> set[str]:
    return {item["label"] for item in found["items"]}


def test_a_misspelt_key_is_underlined_at_its_line(language_server: Any) -> None:
    assert language_server.found("misspelt.yaml", "workflow", FLOW) == [(7, "Property promt is not allowed.")]


def test_step_keys_are_offered_where_a_step_is_typed(language_server: Any) -> None:
    uri = language_server.open("typed.yaml", "workflow", "steps:\n  greet:\n    model: a/b\n    \n")
    offered = _labels(language_server.at("completion", uri, 4, 5))
    assert {"prompt", "messages", "thinking", "schema", "fields", "for_each", "when"} <= offered
    assert "steps" not in offered


def test_levels_are_offered_where_thinking_is_typed(language_server: Any) -> None:
    uri = language_server.open("levels.yaml", "workflow", "steps:\n  greet:\n    thinking: \n")
    offered = _labels(language_server.at("completion", uri, 3, 15))
    assert {"none", "minimal", "low", "medium", "high", "max", "default"} <= offered


def test_a_key_is_explained_under_the_pointer(language_server: Any) -> None:
    uri = language_server.open("hover.yaml", "workflow", FLOW)
    shown = language_server.at("hover", uri, 6, 7)["contents"]
    text = shown if isinstance(shown, str) else shown["value"]
    assert "How hard the model thinks; `default` is the model's own level." in text.replace("\\", "")


def test_suites_have_diagnostics_completion_and_hover(language_server: Any) -> None:
    found = language_server.found("a.suite.yaml", "suite", SUITE)
    assert [line for line, _ in found] == [8, 11]
    assert found[0][1] == "Property expct is not allowed."
    uri = language_server.open("b.suite.yaml", "suite", "workflow: a.yaml\ncases:\n  one:\n    \n")
    assert {"with", "expect", "assert", "tags", "xfail"} <= _labels(language_server.at("completion", uri, 4, 5))
    uri = language_server.open("c.suite.yaml", "suite", SUITE)
    shown = language_server.at("hover", uri, 5, 2)["contents"]
    assert "The cases, by name." in (shown if isinstance(shown, str) else shown["value"])


def test_settings_have_diagnostics(language_server: Any) -> None:
    text = "providers:\n  box: {dialect: openai-chat, base_url: 'http://127.0.0.1:8080/v1', api_key: x}\n"
    assert [line for line, _ in language_server.found("runner.yaml", "settings", text)] == [2]


@pytest.mark.parametrize("path", [*EXAMPLES, *CORRECT], ids=lambda path: path.stem)
def test_nothing_is_underlined_in_a_correct_file(path: Path, language_server: Any) -> None:
    kind = "suite" if path.name.endswith(".suite.yaml") else "workflow"
    assert language_server.found(path.name, kind, path.read_text("utf-8")) == []


def test_nothing_is_underlined_in_a_correct_suite(language_server: Any) -> None:
    text = SUITE.replace("expct", "expect").replace("off", "none")
    assert language_server.found("correct.suite.yaml", "suite", text) == []
