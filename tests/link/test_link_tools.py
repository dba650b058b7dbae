"""The tools that steps name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.config.load import ProjectFiles, load_settings, load_workflow
from runner.core.workflow import Workflow
from runner.link.linked import Linked, link
from runner.link.tools import NO_ARGUMENTS, bind_tools
from runner.templates.environment import make_environment

SETTINGS = """
tools:
  lookup: {python: "shop:lookup", parameters: {type: object, properties: {sku: {type: string}}}, returns: {type: integer}}
  plain: {python: "shop:plain"}
  search: web_search
  broken: {python: nothing}
"""
Bind = Callable[[str], tuple[Workflow, list[str], Linked]]


@pytest.fixture
def bind(tmp_path: Path) -> Bind:
    def bound(text: str, settings: str = SETTINGS) -> tuple[Workflow, list[str], Linked]:
        (tmp_path / "runner.yaml").write_text(settings, encoding="utf-8")
        (tmp_path / "flow.yaml").write_text(text, encoding="utf-8")
        loaded = load_workflow(tmp_path / "flow.yaml")
        assert loaded.problems == ()
        assert loaded.workflow is not None
        workflow, problems = bind_tools(loaded.workflow, load_settings(tmp_path).settings)
        read = ProjectFiles(tmp_path).read
        linked = link(workflow, make_environment(read), read)
        return workflow, [problem.message for problem in (*problems, *linked.problems)], linked

    return bound


def test_a_call_has_the_type_that_its_tool_returns_also_in_a_loop(bind: Bind) -> None:
    text = """
steps:
  a: {call: lookup, with: {sku: A1}}
  b: {call: plain}
  walk:
    loop:
      max: 1
      state: {fields: {n: integer}, start: {n: 0}}
      steps: {inner: {call: lookup, with: {sku: {from: steps.b.output.name}}}}
      next: {n: steps.inner.output}
"""
    workflow, problems, linked = bind(text)
    assert problems == []
    assert workflow.steps["a"].schema is not None
    assert workflow.steps["a"].schema.value == {"type": "integer"}
    assert workflow.steps["b"].schema is not None
    assert workflow.steps["b"].schema.value == {}
    assert linked.steps["walk"].needs == {"b"}
    tool = linked.steps["b"].tools["plain"]
    assert tool.parameters is not None
    assert (tool.parameters.bundled, tool.returns) == (NO_ARGUMENTS, None)


def test_what_arguments_read_is_needed_and_checked(bind: Bind) -> None:
    text = """
steps:
  a: {call: plain}
  b: {call: lookup, with: {sku: {from: steps.a.output.name}, more: [{from: steps.c.output}, {x: {from: "1 +"}}]}}
"""
    _, problems, linked = bind(text)
    assert len(problems) == 2
    assert problems[0].startswith("step 'b' reads step 'c', but no step has that name") or problems[1].startswith(
        "step 'b' reads step 'c', but no step has that name"
    )
    assert "a" in linked.steps["b"].needs


def test_tools_that_are_not_there_or_cannot_be_called_are_told_once(bind: Bind) -> None:
    text = "steps: {a: {call: lookop}, b: {call: search}, c: {call: broken}, d: {call: other}}\n"
    workflow, problems, _ = bind(text)
    assert problems == [
        "step 'a' names the tool 'lookop', which runner.yaml does not have",
        "step 'b' calls 'search', which is run by a provider for its models and by nobody else",
        "step 'd' names the tool 'other', which runner.yaml does not have",
    ]
    assert [list(step.toolbox) for step in workflow.steps.values()] == [[], ["search"], [], []]
