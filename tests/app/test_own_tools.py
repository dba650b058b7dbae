"""Tools that a provider runs itself: asked for in its words, what they found is kept, and what cannot be is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import runner
from runner.app.planning import plan_workflow
from runner.app.types import RunOptions

FLOW = """
format: 1
name: news
defaults: {model: box/some-model, thinking: low, max_output_tokens: 2000}
steps:
  ask:
    prompt: What is new at sea?
    tools: [search, sums]
outputs: {said: steps.ask.text, sources: steps.ask.sources, calls: steps.ask.tool_calls}
"""
SETTINGS = """
providers:
  box: {dialect: %s, base_url: '%s', identity: box, price: {input: 1, output: 2}}
models:
  box/some-model: {thinking: [none, low, high]}
tools:
  search: web_search
  sums: code_execution
  lookup: {python: "own_tools_shop:lookup"}
"""
PAGE = {"url": "https://a.example/sea", "title": "Sea"}
GOOGLE = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"executableCode": {"language": "PYTHON", "code": "print(1+1)"}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
                    {"text": "Two ships."},
                ],
            },
            "finishReason": "STOP",
            "groundingMetadata": {
                "webSearchQueries": ["sea"],
                "groundingChunks": [{"web": {"uri": PAGE["url"], "title": PAGE["title"]}}],
            },
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 5,
        "totalTokenCount": 22,
    },
}
OPENAI = {
    "id": "resp_1",
    "status": "completed",
    "output": [
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "sea"}},
        {"id": "ci_1", "type": "code_interpreter_call", "status": "completed", "container_id": "c1", "code": "1+1"},
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "Two ships.",
                    "annotations": [{"type": "url_citation", "start_index": 0, "end_index": 3, **PAGE}],
                }
            ],
        },
    ],
    "usage": {"input_tokens": 17, "output_tokens": 5},
}
SPOKEN: dict[str, tuple[Any, Any]] = {"gemini": ([{"googleSearch": {}}, {"codeExecution": {}}], GOOGLE)}
SPOKEN["openai-responses"] = (
    [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}],
    OPENAI,
)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a project brings in is forgotten afterwards."""
    known = list(sys.path)
    yield
    sys.path[:] = known
    sys.modules.pop("own_tools_shop", None)


def prepare(project: Any, dialect: str, flow: str = FLOW) -> None:
    url = project.server.chat_url if dialect.startswith("openai") else project.server.base_url
    project.write("runner.yaml", SETTINGS % (dialect, url))
    project.workflow(flow)


@pytest.mark.parametrize("dialect", sorted(SPOKEN))
def test_what_the_provider_runs_is_asked_for_in_its_words_and_its_sources_are_read(project: Any, dialect: str) -> None:
    tools, payload = SPOKEN[dialect]
    prepare(project, dialect)
    project.server.respond = lambda *_: project.Answer(raw=json.dumps(payload).encode())
    result = project.run(consent=True, record=True)
    assert project.server.refused == []
    assert [request.body["tools"] for request in project.server.requests] == [tools]
    assert result.outputs == {"said": "Two ships.", "sources": [PAGE], "calls": []}
    again = project.run(offline=True)
    assert (again.outputs, again.summary.calls) == (result.outputs, 0)


@pytest.mark.parametrize("dialect", sorted(SPOKEN))
def test_it_is_one_turn_whose_price_nobody_knows(project: Any, dialect: str) -> None:
    prepare(project, dialect)
    step = plan_workflow(project.root / "flow.yaml", RunOptions()).plan.steps[0]
    assert (step.calls, step.may_calls, step.worst_usd) == (1, 0, None)


def test_openai_takes_functions_beside_its_own_tools(project: Any) -> None:
    prepare(project, "openai-responses", FLOW.replace("[search, sums]", "[lookup, search]\n    tool_choice: required"))
    project.write("own_tools_shop.py", "def lookup():\n    return 1\n")
    project.server.respond = lambda *_: project.Answer(text="ok")
    project.run(consent=True)
    assert project.server.refused == []
    body = project.server.requests[0].body
    assert ([tool["type"] for tool in body["tools"]], body["tool_choice"]) == (["function", "web_search"], "required")


def test_gemini_takes_functions_beside_its_own_tools_and_is_shown_again_what_those_gave(project: Any) -> None:
    prepare(project, "gemini", FLOW.replace("[search, sums]", "[lookup, search]"))
    project.write("own_tools_shop.py", "def lookup():\n    return 1\n")
    calls: Any = (("lookup", {}),)

    def respond(_dialect: str, _body: Any, number: int) -> Any:
        return project.Answer(text="ok") if number > 1 else project.Answer(calls=calls, searched="sea")

    project.server.respond = respond
    result = project.run(consent=True, record=True)
    assert (project.server.refused, result.outputs["said"]) == ([], "ok")
    first, second = (request.body for request in project.server.requests)
    assert first["tools"] == [{"functionDeclarations": first["tools"][0]["functionDeclarations"]}, {"googleSearch": {}}]
    assert first["toolConfig"] == second["toolConfig"] == {"includeServerSideToolInvocations": True}
    said = second["contents"][1]["parts"]
    assert [next(iter(part.keys() - {"thoughtSignature"})) for part in said] == [
        "toolCall",
        "toolResponse",
        "functionCall",
    ]
    again = project.run(offline=True)
    assert (again.outputs, again.summary.calls) == (result.outputs, 0)


@pytest.mark.parametrize(
    ("dialect", "tools", "told"),
    [
        (
            "openai-chat",
            "[search]",
            (
                "flow.yaml:8:13: refused-setting: step 'ask' has the tool 'search', a web_search of the provider's, and none "
                "is asked for in the openai-chat protocol"
            ),
        ),
        (
            "anthropic",
            "[lookup, sums]",
            (
                "flow.yaml:8:21: refused-setting: step 'ask' has the tool 'sums', a code_execution of the provider's, and "
                "none is asked for in the anthropic protocol"
            ),
        ),
        ("gemini", "[search, lookup]", None),
        (
            "gemini",
            "[search, lookup]\n    model: gemini/gemini-2.5-flash",
            (
                "flow.yaml:8:21: refused-setting: step 'ask' has 'lookup' beside 'search', and gemini/gemini-2.5-flash takes no "
                "functions beside tools that its provider runs"
            ),
        ),
        ("gemini", "[search, lookup]\n    model: gemini/gemini-3.1-flash-lite", None),
        (
            "gemini",
            "[search, lookup]\n    model: vertex/gemini-3.1-flash-lite",
            (
                "flow.yaml:8:21: refused-setting: step 'ask' has 'lookup' beside 'search', and vertex/gemini-3.1-flash-lite "
                "takes no functions beside tools that its provider runs"
            ),
        ),
        (
            "gemini",
            "[search, lookup]\n    tool_choice: lookup",
            (
                "flow.yaml:9:18: refused-setting: step 'ask' sets tool_choice, and box/some-model decides itself when to "
                "use what its provider runs"
            ),
        ),
        (
            "gemini",
            "[search]\n    tool_choice: required",
            (
                "flow.yaml:9:18: refused-setting: step 'ask' sets tool_choice, and box/some-model decides itself when to "
                "use what its provider runs"
            ),
        ),
        (
            "openai-responses",
            "[search, lookup]\n    tool_choice: search",
            (
                "flow.yaml:9:18: refused-setting: step 'ask' sets tool_choice, and box/some-model decides itself when to "
                "use what its provider runs"
            ),
        ),
        ("gemini", "[search]\n    tool_choice: auto", None),
        ("gemini", "[lookup]\n    tool_choice: required", None),
        (
            "anthropic",
            "[lookup]\n    thinking: low\n    tool_choice: lookup",
            (
                "flow.yaml:10:18: refused-setting: step 'ask' sets tool_choice to lookup, which box/some-model takes only "
                "where it does not think, not at low"
            ),
        ),
        ("anthropic", "[lookup]\n    thinking: none\n    tool_choice: lookup", None),
        ("anthropic", "[lookup]\n    thinking: low\n    tool_choice: auto", None),
        (
            "anthropic",
            "[lookup]\n    thinking: low\n    tool_choice: required\n    options: {thinking: {type: disabled}}",
            None,
        ),
        ("openai-chat", "[lookup]\n    thinking: low\n    tool_choice: lookup", None),
    ],
)
def test_what_a_protocol_does_not_take_is_told_at_its_line(
    project: Any, dialect: str, tools: str, told: str | None
) -> None:
    prepare(project, dialect, FLOW.replace("[search, sums]", tools))
    found = [one for one in runner.check(project.root / "flow.yaml").problems if one.is_error]
    assert [f"{one.span}: {one.code}: {one.message}" for one in found] == ([told] if told else [])


def test_the_embedded_model_is_told_once_that_it_takes_no_tools(project: Any) -> None:
    prepare(project, "gemini", FLOW.replace("box/some-model, thinking: low", "local/smollm2-135m"))
    found = [one for one in runner.check(project.root / "flow.yaml").problems if one.is_error]
    assert [one.message for one in found] == ["step 'ask' has tools, which local/smollm2-135m does not take"]
