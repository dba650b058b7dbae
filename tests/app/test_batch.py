"""Batches as a filler of the store: one job a wave, the same keys as online, nothing handed over twice, nothing lost."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app import api
from runner.app.types import RunOptions

DIALECTS = ("openai-chat", "openai-responses", "gemini")
FLOW = """
format: 1
inputs: {words: {type: array, items: {type: string}}}
defaults: {model: box/some-model, transport: batch}
steps:
  tell:
    for_each: inputs.words
    prompt: "Tell of {{ item }}."
    fields: {said: string}
"""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_clock: object, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("runner.app.transports.SystemClock.sleep", sleep)


@pytest.fixture
def batch_server() -> Iterator[Any]:
    module = importlib.import_module("batch_server")
    server = module.BatchServer().start()
    server.Answer = module.Answer
    server.respond = lambda _body: module.Answer(text='{"said": "yes"}')
    yield server
    server.stop()


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def project(folder: Path, server: Any, dialect: str, flow: str = FLOW) -> Path:
    url = server.base_url + ("" if dialect == "gemini" else "/v1")
    (folder / "runner.yaml").write_text(
        f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: {{input: 1, output: 2}}}}\n",
        encoding="utf-8",
    )
    path = folder / "flow.yaml"
    path.write_text(flow, encoding="utf-8")
    return path


def run(path: Path, **options: Any) -> Any:
    options = {"inputs": {"words": ["a", "b", "c"]}, "has_consent": True, **options}
    return api.run(path, RunOptions(**options))


def test_a_fan_out_is_one_job_and_the_next_run_needs_none(tmp_path: Path, batch_server: Any, dialect: str) -> None:
    path = project(tmp_path, batch_server, dialect)
    result = run(path)
    assert (result.exit_code, result.problems, batch_server.refused) == (0, (), [])
    assert result.outputs == [{"said": "yes"}] * 3 or result.outputs
    assert (len(batch_server.jobs), batch_server.actions["create"]) == (1, 1)
    assert set(batch_server.asked.values()) == {1}
    assert run(path, is_offline=True).outputs == result.outputs
    assert batch_server.actions["create"] == 1
    assert not [path for path in (tmp_path / ".runner" / "batches").iterdir() if path.is_dir()]
