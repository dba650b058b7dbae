"""One question has one key, whichever way it is asked and whatever is said of it that does not change the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app import api
from runner.app.types import RunOptions
from runner.core.events import AttemptMade, Event

DIALECTS = ("gemini", "openai-chat", "openai-responses", "anthropic")
BATCHED = ("gemini", "openai-chat", "openai-responses")
FLOW = """
format: 1
steps:
  moon:
    model: box/some-model
    system: Answer like an astronomer.
    prompt: How big is the moon?
    thinking: low
    max_output_tokens: 2000
    fields: {radius: integer}
outputs: {radius: steps.moon.output.radius}
"""
SAID = '{"radius": 1737}'


def write(folder: Path, dialect: str, base_url: str, *, flow: str = FLOW, more: str = "", settings: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    url = base_url + ("/v1" if dialect.startswith("openai") else "")
    (folder / "runner.yaml").write_text(
        f"providers:\n  box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: {{input: 1, output: 2, batch: 0.5}}{more}}}\n"
        f"models:\n  box/some-model: {{thinking: [none, low, high]}}\n{settings}",
        encoding="utf-8",
    )
    path = folder / "flow.yaml"
    path.write_text(flow, encoding="utf-8")
    return path


def keys_of(path: Path, **options: Any) -> set[str]:
    events: list[Event] = []
    result = api.run(path, RunOptions(has_consent=True, **options), [events.append])
    assert result.exit_code == 0, [problem.message for problem in result.problems]
    return {event.attempt.key for event in events if isinstance(event, AttemptMade)}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_online_streamed_and_in_a_batch_it_is_one_key(
    tmp_path: Path, counting_server: Any, batch_server: Any, dialect: str
) -> None:
    server = counting_server(lambda _d, _b, _n: counting_server.Answer(SAID), key="")
    online = keys_of(write(tmp_path / "online", dialect, server.base_url))
    streamed = keys_of(write(tmp_path / "streamed", dialect, server.base_url), hear=lambda _heard: None)
    assert (len(online), streamed, server.count) == (1, online, 2)
    if dialect in BATCHED:
        batch_server.respond = lambda _body: batch_server.Answer(SAID)
        batched = keys_of(write(tmp_path / "batched", dialect, batch_server.base_url), is_batch=True)
        assert (batched, len(batch_server.jobs)) == (online, 1)


EDITS = {
    "the step's name": (FLOW.replace("moon:", "luna:").replace("steps.moon", "steps.luna"), "", ""),
    "the order of keys": (
        FLOW.replace("    system: Answer like an astronomer.\n", "").replace(
            "    fields:", "    system: Answer like an astronomer.\n    fields:"
        ),
        "",
        "",
    ),
    "a timeout": (FLOW.replace("    thinking", "    timeout: 9s\n    thinking"), "", ""),
    "retries": (FLOW.replace("    thinking", "    retries: 1\n    thinking"), "", ""),
    "ensure": (FLOW.replace("    thinking", "    ensure: [output.radius > 1]\n    thinking"), "", ""),
    "repair": (FLOW.replace("    thinking", "    repair: 2\n    thinking"), "", ""),
    "escalate": (FLOW.replace("    thinking", "    escalate: {to: box/other-model}\n    thinking"), "", ""),
    "a description and tags": (FLOW.replace("    thinking", "    description: d\n    tags: [t]\n    thinking"), "", ""),
    "a budget": (FLOW.replace("format: 1", "format: 1\nbudget: {usd: 9}"), "", ""),
    "the variable of the key": (FLOW, ", key_env: BOX_KEY", ""),
    "a price": (FLOW, "", "prices: {box/some-model: {input: 7, output: 9}}\n"),
    "a name for the model": (FLOW.replace("box/some-model", "fast"), "", "  fast: box/some-model\n"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_does_not_change_the_answer_asks_nothing_again(
    tmp_path: Path, counting_server: Any, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOX_KEY", "k")
    server = counting_server(lambda _d, _b, _n: counting_server.Answer(SAID), key="")
    runner.run(write(tmp_path / "p", dialect, server.base_url), consent=True)
    assert server.count == 1
    other = counting_server(lambda _d, _b, _n: counting_server.Answer(SAID), key="")
    for name, (flow, more, settings) in EDITS.items():
        path = write(tmp_path / "p", dialect, other.base_url, flow=flow, more=more, settings=settings)
        result = runner.run(path, consent=True)
        assert (result.exit_code, result.outputs) == (0, {"radius": 1737}), name
        assert (server.count, other.count) == (1, 0), name
    changed = FLOW.replace("How big", "How very big")
    runner.run(write(tmp_path / "p", dialect, server.base_url, flow=changed), consent=True)
    assert server.count == 2
