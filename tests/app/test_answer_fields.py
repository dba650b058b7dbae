"""What readers may know of an answer besides itself: who gave it, what it rests on, why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions

HEAD = "format: 1\ndefaults: {model: box/some-model, max_output_tokens: 100}\n"
PAGES = [{"url": "https://a.example/sea", "title": "Sea"}]


@pytest.fixture
def start(tmp_path: Path, counting_server: Any) -> Callable[..., Any]:
    def make(flow: str, **answer: Any) -> Any:
        server = counting_server(lambda _d, _b, _n: counting_server.Answer(**answer), key="")
        (tmp_path / "runner.yaml").write_text(
            f"providers: {{box: {{dialect: openai-chat, base_url: '{server.chat_url}', identity: box, price: free}}}}\n",
            "utf-8",
        )
        (tmp_path / "flow.yaml").write_text(HEAD + flow, encoding="utf-8")
        return server

    return make


def cited(text: str = "wide") -> bytes:
    notes = [{"type": "url_citation", "url_citation": {**page, "start_index": 0, "end_index": 1}} for page in PAGES]
    message = {"role": "assistant", "content": text, "annotations": notes}
    return json.dumps({"model": "m-1", "choices": [{"message": message, "finish_reason": "stop"}]}).encode()


FLOW = """
steps:
  ask: {prompt: How wide is the sea?}
  note:
    prompt: |
      {% for page in steps.ask.sources %}{{ page.title }}: {{ page.url }}{% endfor %} by {{ steps.ask.model }}
outputs: {pages: steps.ask.sources, who: steps.ask.model, failed: steps.ask.failed, more: steps.note.sources | length}
"""


def test_sources_and_the_model_are_read_fresh_and_stored(tmp_path: Path, start: Callable[..., Any]) -> None:
    server = start(FLOW, raw=cited())
    result = api.run(tmp_path / "flow.yaml", RunOptions())
    assert result.exit_code == 0, result.problems
    assert result.outputs == {"pages": PAGES, "who": "m-1", "failed": None, "more": 1}
    assert "Sea: https://a.example/sea by m-1" in server.by_prompt
    again = api.run(tmp_path / "flow.yaml", RunOptions(is_offline=True))
    assert (again.outputs, server.count) == (result.outputs, 2)
    attempts = api.show(tmp_path, result.run, "ask", None)["attempts"]
    assert attempts[0]["sources"] == PAGES


def test_an_answer_that_names_none_has_an_empty_list(tmp_path: Path, start: Callable[..., Any]) -> None:
    start("steps: {ask: {prompt: x}}\noutputs: {pages: steps.ask.sources}\n")
    assert api.run(tmp_path / "flow.yaml", RunOptions()).outputs == {"pages": []}


def test_why_a_step_failed_can_be_read(tmp_path: Path, start: Callable[..., Any]) -> None:
    start(
        "steps: {ask: {prompt: x, on_error: skip, min_success: 0}}\noutputs: {why: steps.ask.failed}\n",
        finish="length",
    )
    assert api.run(tmp_path / "flow.yaml", RunOptions()).outputs == {"why": "cut"}


def test_a_source_has_an_address_and_a_title_and_nothing_else(tmp_path: Path, start: Callable[..., Any]) -> None:
    start("steps: {ask: {prompt: x}}\noutputs: {pages: 'steps.ask.sources[0].uri'}\n")
    problems = [each for each in api.check([tmp_path / "flow.yaml"]).problems if each.is_error]
    assert [(problem.code, problem.nearest) for problem in problems] == [("unknown-field", "url")]


def test_sources_that_are_not_read_ask_nothing_again(
    tmp_path: Path, start: Callable[..., Any], counting_server: Any
) -> None:
    flow = "steps: {ask: {prompt: x}, more: {prompt: '{{ steps.ask.text }}'}}\noutputs: {a: steps.more.text}\n"
    server = start(flow, raw=cited())
    api.run(tmp_path / "flow.yaml", RunOptions())
    other = counting_server.Answer(raw=cited().replace(b"sea", b"bay"))
    server.respond = lambda _d, _b, _n: other
    api.run(tmp_path / "flow.yaml", RunOptions(refresh=frozenset({"ask"})))
    assert server.count == 3


def test_thoughts_are_shown_apart_from_the_answer(tmp_path: Path, start: Callable[..., Any]) -> None:
    message = {"role": "assistant", "content": "wide", "reasoning_content": "Let me think."}
    payload = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    start("steps: {ask: {prompt: x}}\n", raw=payload)
    result = api.run(tmp_path / "flow.yaml", RunOptions())
    assert result.outputs == "wide"
    (attempt,) = api.show(tmp_path, result.run, "ask", None)["attempts"]
    assert (attempt["answer"], attempt["thoughts"]) == ("wide", "Let me think.")
