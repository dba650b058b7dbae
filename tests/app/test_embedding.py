"""Steps with `embed`: vectors from every interface, typed, stored, compared, priced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions
from runner.core.budget import Limit
from runner.core.events import AttemptMade, Event

VECTORS = {"sea": [1.0, 0.0], "lake": [0.8, 0.6], "stone": [0.0, -1.0]}
FLOW = """
format: 1
defaults: {model: box/vectors, thinking: default, system: Be brief., temperature: 1, repair: 2}
data: {words: {file: words.jsonl, key: id}}
steps:
  anchor: {embed: sea}
  vector:
    for_each: data.words
    embed: "{{ item.id }}"
outputs:
  near: steps.vector.outputs | map("cosine", steps.anchor.output)
"""
DIALECTS = {"openai-chat": "openai-embed", "openai-responses": "openai-embed", "gemini": "gemini-embed"}


@pytest.fixture
def start(tmp_path: Path, counting_server: Any) -> Callable[..., Any]:
    def make(dialect: str, flow: str = FLOW, price: str = "{input: 100, output: 0}") -> Any:
        def respond(_dialect: str, body: Any, _n: int) -> Any:
            text = body["input"] if "input" in body else body["content"]["parts"][0]["text"]
            return counting_server.Answer(text=json.dumps(VECTORS[text]))

        server = counting_server(respond, key="")
        url = server.chat_url if dialect.startswith("openai") else server.base_url
        (tmp_path / "runner.yaml").write_text(
            f"providers: {{box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: {price}}}}}\n", "utf-8"
        )
        (tmp_path / "flow.yaml").write_text(flow, encoding="utf-8")
        (tmp_path / "words.jsonl").write_text('{"id": "sea"}\n{"id": "lake"}\n{"id": "stone"}\n', encoding="utf-8")
        return server

    return make


def run(tmp_path: Path, **options: Any) -> tuple[Any, list[AttemptMade]]:
    attempts: list[AttemptMade] = []

    def note(event: Event) -> None:
        if isinstance(event, AttemptMade):
            attempts.append(event)

    return api.run(tmp_path / "flow.yaml", RunOptions(**options), [note]), attempts


@pytest.mark.parametrize("dialect", DIALECTS)
def test_vectors_come_from_every_interface_and_are_stored(
    tmp_path: Path, start: Callable[..., Any], dialect: str
) -> None:
    server = start(dialect)
    result, attempts = run(tmp_path)
    assert (result.exit_code, result.outputs, server.refused) == (0, {"near": [1.0, 0.8, 0.0]}, [])
    assert {request.dialect for request in server.requests} == {DIALECTS[dialect]}
    # Equal texts are one question, whoever asks.
    assert server.by_prompt == {"sea": 1, "lake": 1, "stone": 1}
    again, _ = run(tmp_path, is_offline=True)
    assert (again.outputs, server.count) == (result.outputs, 3)
    costs = {event.attempt.cost_usd for event in attempts}
    assert costs == ({None} if dialect == "gemini" else {0.001})


def test_only_text_model_and_options_are_sent(tmp_path: Path, start: Callable[..., Any]) -> None:
    flow = "format: 1\nsteps: {v: {model: box/vectors, embed: sea, options: {dimensions: 2}}}\n"
    server = start("openai-chat", flow)
    assert run(tmp_path)[0].outputs == VECTORS["sea"]
    assert server.bodies == [{"model": "vectors", "input": "sea", "dimensions": 2}]


def test_the_options_of_gemini_are_its_own(tmp_path: Path, start: Callable[..., Any]) -> None:
    flow = (
        "format: 1\nsteps: {v: {model: box/v, embed: sea, options: {taskType: CLUSTERING, outputDimensionality: 2}}}\n"
    )
    server = start("gemini", flow)
    assert run(tmp_path)[0].outputs == VECTORS["sea"]
    content = {"role": "user", "parts": [{"text": "sea"}]}
    assert server.bodies == [{"content": content, "taskType": "CLUSTERING", "outputDimensionality": 2}]
    problems = api.check([tmp_path / "flow.yaml"]).problems
    assert not [problem for problem in problems if problem.is_error]


def test_what_they_cost_is_planned_and_bounded(tmp_path: Path, start: Callable[..., Any]) -> None:
    start("openai-chat")
    report = api.plan(tmp_path / "flow.yaml", RunOptions())
    assert report.plan.calls == 3
    assert report.plan.worst_usd is not None
    assert 0 < report.plan.worst_usd == report.plan.cost_usd
    result, _ = run(tmp_path, max_cost=Limit(0.01, "test"))
    assert (result.exit_code, result.summary.cost_usd) == (0, pytest.approx(0.003))


def test_a_vector_is_an_array_of_numbers_to_those_that_read_it(tmp_path: Path, start: Callable[..., Any]) -> None:
    flow = FLOW.replace("| map(", ".x | map(")
    start("openai-chat", flow)
    (problem,) = (each for each in api.check([tmp_path / "flow.yaml"]).problems if each.is_error)
    assert problem.message == ("steps.vector.outputs is a list, and 'x' can only be read from one of its elements")


@pytest.mark.parametrize("raw", [b'{"data": []}', b'{"data": [{"embedding": "x"}]}', b'{"data": [{"embedding": []}]}'])
def test_an_answer_without_a_vector_is_none(
    tmp_path: Path, start: Callable[..., Any], counting_server: Any, raw: bytes
) -> None:
    server = start("openai-chat", "format: 1\nsteps: {v: {model: box/vectors, embed: sea}}\n")
    answer = counting_server.Answer
    server.respond = lambda _d, _b, _n: answer(raw=raw)
    result, _ = run(tmp_path)
    failure = result.failures[0].failure
    assert (result.exit_code, failure.kind, failure.message) == (3, "bad-answer", "the answer has no vector")


def test_numbers_that_are_none_are_an_invalid_answer(
    tmp_path: Path, start: Callable[..., Any], counting_server: Any
) -> None:
    server = start("openai-chat", "format: 1\nsteps: {v: {model: box/vectors, embed: sea}}\n")
    answer = counting_server.Answer
    server.respond = lambda _d, _b, _n: answer(text='[1, "x"]')
    result, _ = run(tmp_path)
    assert (result.exit_code, result.failures[0].failure.kind, server.count) == (1, "invalid", 1)


def test_an_error_in_a_200_is_what_it_says(tmp_path: Path, start: Callable[..., Any], counting_server: Any) -> None:
    answer = counting_server.Answer
    for dialect, kind in (("openai-chat", "bad-request"), ("gemini", "bad-request")):
        server = start(dialect, "format: 1\nsteps: {v: {model: box/vectors, embed: sea}}\n")
        error = {"error": {"code": 400, "type": "invalid_request_error", "message": "no"}}
        server.respond = lambda _d, _b, _n, error=error: answer(raw=json.dumps(error).encode())
        result, _ = run(tmp_path)
        assert result.failures[0].failure.kind == kind


def test_written_vectors_serve_for_trying(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"answer": "[1, 0]"}\n', encoding="utf-8")
    (tmp_path / "runner.yaml").write_text(
        "providers: {box: {dialect: scripted, file: answers.jsonl, price: free}}\n", encoding="utf-8"
    )
    (tmp_path / "flow.yaml").write_text("format: 1\nsteps: {v: {model: box/v, embed: sea}}\n", encoding="utf-8")
    assert run(tmp_path)[0].outputs == [1, 0]
