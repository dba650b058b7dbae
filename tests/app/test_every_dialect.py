"""Every protocol from a workflow to a strict server and back: what fits comes out, and what goes wrong is counted."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import runner

DIALECTS = ("gemini", "openai-chat", "openai-responses", "anthropic")
FLOW = """
format: 1
defaults: {model: box/some-model, retries: 2}
steps:
  moon:
    system: Answer like an astronomer.
    prompt: How big is the moon?
    thinking: low
    max_output_tokens: 2000
    fields: {radius: integer, note: string?}
"""
SAID = '{"radius": 1737, "note": null}'
MOVED = {"location": "https://elsewhere.example/"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_clock: object, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("runner.app.transports.SystemClock.sleep", sleep)


def start(tmp_path: Path, counting_server: Any, dialect: str, **answer: Any) -> Any:
    """A project whose only model is asked in a dialect."""
    server = counting_server(lambda _d, _b, _n: counting_server.Answer(**{"text": SAID, **answer}), key="")
    url = server.chat_url if dialect.startswith("openai") else server.base_url
    (tmp_path / "runner.yaml").write_text(
        f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: {{input: 1, output: 2}}}}\n"
        "models:\n  box/some-model: {thinking: [none, low, high]}\n",
        encoding="utf-8",
    )
    (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")
    return server


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_asked_is_taken_and_asked_once(tmp_path: Path, counting_server: Any, dialect: str) -> None:
    server = start(tmp_path, counting_server, dialect)
    result = runner.run(tmp_path / "flow.yaml")
    assert (result.exit_code, result.outputs) == (0, {"radius": 1737, "note": None})
    assert (server.refused, server.count, server.requests[0].dialect) == ([], 1, dialect)
    assert server.requests[0].prompt == "How big is the moon?"
    assert runner.run(tmp_path / "flow.yaml", record=True).outputs == result.outputs
    shutil.rmtree(tmp_path / "cache" / "local")
    assert runner.run(tmp_path / "flow.yaml", offline=True).outputs == result.outputs
    assert server.count == 1


@dataclass(frozen=True)
class Trouble:
    """What the server does to every request, and what becomes of a run with two retries."""

    id: str
    answer: dict[str, Any]
    kind: str
    requests: int
    exit_code: int


TROUBLES = (
    Trouble("cut", {"finish": "length", "text": '{"rad'}, "cut", 1, 1),
    Trouble("refused", {"finish": "refused", "text": "No."}, "refused", 1, 1),
    Trouble("an unknown finish", {"finish": "something_new"}, "invalid", 1, 1),
    Trouble("bad key", {"status": 401}, "auth", 1, 3),
    Trouble("no such model", {"status": 404}, "not-found", 1, 3),
    Trouble("bad request", {"status": 400}, "bad-request", 1, 3),
    Trouble("overloaded", {"status": 503}, "transient", 3, 3),
    Trouble("rate limit", {"status": 429, "headers": {"retry-after-ms": "1"}}, "transient", 3, 3),
    Trouble("moved", {"status": 301, "headers": MOVED}, "bad-answer", 1, 3),
    Trouble("web page", {"raw": b"<html>It works!</html>"}, "bad-answer", 1, 3),
    Trouble("empty", {"raw": b""}, "bad-answer", 1, 3),
)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.id)
def test_trouble_has_its_kind_and_its_number_of_requests(
    tmp_path: Path, counting_server: Any, dialect: str, trouble: Trouble
) -> None:
    server = start(tmp_path, counting_server, dialect, **trouble.answer)
    result = runner.run(tmp_path / "flow.yaml")
    failure = result.failures[0].failure
    assert failure is not None
    assert (failure.kind, server.count, server.refused) == (trouble.kind, trouble.requests, [])
    assert result.exit_code == trouble.exit_code
