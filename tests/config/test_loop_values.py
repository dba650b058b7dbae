"""The values with which a loop starts: plain, computed, nested, and from files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runner.config.load import Loaded
from runner.core.problem import render
from runner.core.values import Computed, Fields, Plain

FLOW = """
steps:
  play:
    loop:
      max: 2
      state:
        fields: {a: string, b: {c: string}}
        start: {a: {file: %s}, b: {c: {from: inputs.x}}}
      steps: {ask: {model: me/m, prompt: x}}
      next: {a: steps.ask.text}
inputs: {x: {type: string}}
"""


def start(load: Callable[..., Loaded], name: str, content: str) -> Any:
    loaded = load(FLOW % name, {name: content})
    assert loaded.problems == ()
    assert loaded.workflow is not None
    loop = loaded.workflow.steps["play"].loop
    assert loop is not None
    return loop.start


def test_a_text_file_gives_its_text_without_the_last_line_end(load: Callable[..., Loaded]) -> None:
    value = start(load, "a.txt", "one\r\ntwo\n")["a"]
    assert isinstance(value, Plain)
    assert value.json == "one\ntwo"


def test_a_document_gives_its_value(load: Callable[..., Loaded]) -> None:
    values = start(load, "a.json", '{"n": [1]}')
    assert isinstance(values["a"], Plain)
    assert values["a"].json == {"n": [1]}
    assert isinstance(values["b"], Fields)
    assert isinstance(values["b"].entries["c"], Computed)


def test_files_that_are_not_there_are_named(load: Callable[..., Loaded]) -> None:
    for name in ("lost.txt", "lost.json"):
        loaded = load(FLOW % name)
        assert [problem.code for problem in loaded.problems] == ["missing-file"]
        assert render(loaded.problems[0], {}) == f"flow.yaml:8:27: missing-file: there is no file {name}"
