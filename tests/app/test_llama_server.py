"""A server of llama.cpp, which nobody here wrote, asked over HTTP as a user's own: schema, stream, overflow."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions, RunResult
from runner.core.events import Event, Heard, Settled
from runner.core.model import Provider
from runner.core.outcome import Attempt, FailureKind, Outcome
from runner.transport.weights import find_weights

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs the engine"),
]

WINDOW = 512  # tokens that the server reads, question and answer together

# In a process of its own: the engine cannot be closed, and writes to standard error past Python.
SERVE = f"""
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.verbosity = -1
params.n_parallel = 1
params.n_ctx = {WINDOW}
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.warmup = False
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""

FLOW = """
format: 1
inputs: {more: {type: string, default: ""}}
defaults: {model: box/some-model, temperature: 0, seed: 1, max_output_tokens: 60, retries: 2}
steps:
  feel:
    prompt: "I love my bicycle. Am I happy?{{ inputs.more }}"
    fields: {mood: [good, bad], stars: integer 1..5}
outputs: {said: steps.feel.output}
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the one server of these tests listens."""
    weights = find_weights(Provider("local", "llama", is_builtin=True), os.environ)
    if not isinstance(weights, Path):
        pytest.skip("needs the weights")
    command = [sys.executable, "-c", SERVE, str(weights)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip() + "/v1"
        server.stdin.close()
        server.kill()


@pytest.fixture
def ask(tmp_path: Path, url: str) -> Callable[..., tuple[RunResult, Outcome]]:
    """Runs a workflow whose only model is that server's."""
    (tmp_path / "runner.yaml").write_text(
        f"providers: {{box: {{dialect: openai-chat, base_url: '{url}', identity: box, price: free}}}}\n",
        encoding="utf-8",
    )

    def ask(flow: str, **options: Any) -> tuple[RunResult, Outcome]:
        (tmp_path / "flow.yaml").write_text(flow, encoding="utf-8")
        settled: list[Outcome] = []

        def note(event: Event) -> None:
            if isinstance(event, Settled):
                settled.append(event.outcome)

        result = api.run(tmp_path / "flow.yaml", RunOptions(**options), [note])
        (outcome,) = settled
        return result, outcome

    return ask


def only(outcome: Outcome) -> Attempt:
    (attempt,) = outcome.attempts
    return attempt


def test_it_keeps_to_a_schema_and_is_asked_once(ask: Callable[..., Any]) -> None:
    result, outcome = ask(FLOW)
    assert (result.exit_code, list(result.outputs["said"])) == (0, ["mood", "stars"])
    fresh = only(outcome)
    assert fresh.source == "fresh"
    assert fresh.usage.input_tokens
    assert fresh.usage.output_tokens
    again, outcome = ask(FLOW)
    assert (again.outputs, only(outcome).source, only(outcome).key) == (result.outputs, "cached", fresh.key)


def test_what_it_streams_is_its_answer_with_the_key_of_any_other(ask: Callable[..., Any]) -> None:
    told: list[Heard] = []
    streamed, outcome = ask(FLOW, hear=told.append)
    fresh = only(outcome)
    assert len(told) > 1
    assert json.loads("".join(heard.text for heard in told)) == streamed.outputs["said"]
    assert fresh.source == "fresh"
    assert fresh.usage.input_tokens
    assert fresh.usage.output_tokens
    again, outcome = ask(FLOW)
    stored = only(outcome)
    assert (again.outputs, stored.source, stored.key) == (streamed.outputs, "cached", fresh.key)
    assert stored.usage == fresh.usage


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_question_longer_than_its_context_is_told_and_not_asked_again(
    ask: Callable[..., Any], *, is_streamed: bool
) -> None:
    hear = {"hear": lambda _: None} if is_streamed else {}
    result, outcome = ask(FLOW, inputs={"more": " Or not?" * WINDOW}, **hear)
    assert (result.exit_code, only(outcome).requests, outcome.failure.kind) == (3, 1, FailureKind.BAD_REQUEST)
    assert f"exceeds the available context size ({WINDOW} tokens)" in outcome.failure.message
    ask(FLOW)  # the server goes on
