"""A user's project in a folder, whose models answer from a local server that counts."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.app import api
from runner.app.types import RunOptions, RunResult
from runner.core.events import AttemptMade, Event

ROWS = 40

WORKFLOW = """
format: 1
name: counted
inputs:
  topic: {type: string, default: tea}
data:
  rows: {file: rows.jsonl, key: id}
models: {fast: box/small}
defaults: {model: fast}
steps:
  first:
    prompt: "first about {{ inputs.topic }}"
    fields: {word: string}
  second:
    prompt: "second about {{ steps.first.output.word }}"
    fields: {word: string}
  third:
    prompt: "third about {{ steps.second.output.word }}"
    fields: {word: string}
  tag:
    for_each: data.rows
    prompt: "tag {{ item.id }} {{ steps.third.output.word }}"
    fields: {label: string, size: integer 1..9}
    repair: 1
    on_error: skip
  tone:
    for_each: data.rows
    prompt: "tone of {{ steps.tag.output.label }} {{ item.id }}"
    fields: {tone: string}
  sum:
    prompt: "sum {{ steps.tag.outputs | length }}"
    fields: {total: integer}
outputs:
  total: steps.sum.output.total
  table:
    rows: data.rows
    file: out/table.jsonl
    columns: {id: item.id, label: steps.tag.output.label, tone: steps.tone.output.tone}
"""


def answer_for(prompt: str) -> dict[str, Any]:
    """The answer that fits the schema of the step that asks."""
    words = prompt.split()
    match words[0]:
        case "first" | "second" | "third":
            return {"word": f"{words[0]}-word"}
        case "tag":
            return {"label": f"label-{words[1]}", "size": 3}
        case "tone":
            return {"tone": "calm"}
        case "sum":
            return {"total": int(words[1])}
        case _:
            return {"greeting": "hello"}


@dataclass
class Project:
    """A project folder and its server; `run` runs its workflow and `asked` lists what the server was asked then."""

    root: Path
    server: Any
    Answer: Any
    special: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def respond(self, _dialect: str, body: Any, _n: int) -> Any:
        prompt = body["messages"][-1]["content"]
        found = self.special.get(prompt.split("\n")[0])
        if found is not None:
            return found(body) if callable(found) else found
        for message in body["messages"]:
            if message["role"] == "user":
                return self.Answer(text=json.dumps(answer_for(message["content"])))
        raise AssertionError("no user message")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def workflow(self, text: str) -> Path:
        return self.write("flow.yaml", text)

    def edit(self, old: str, new: str) -> None:
        path = self.root / "flow.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, **options: Any) -> runner.RunResult:
        self.server.forget()
        self.events.clear()
        return runner.run(self.root / "flow.yaml", sinks=[self.events.append], **options)

    @property
    def asked(self) -> list[str]:
        """The first word and the item of every question, sorted."""
        return sorted(" ".join(request.prompt.split()[:2]) for request in self.server.requests)

    def reasons(self) -> list[str]:
        """Why each call of the last run was made."""
        return [
            event.attempt.reason
            for event in self.events
            if isinstance(event, AttemptMade) and event.attempt.source == "fresh"
        ]


def rows(count: int = ROWS) -> list[Mapping[str, Any]]:
    return [{"id": f"r{number:03d}"} for number in range(count)]


def jsonl(values: list[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


@pytest.fixture
def skipped_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a run would have waited; its clock moves on without waiting."""
    waits: list[float] = []

    async def sleep(_clock: object, seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr("runner.app.transports.SystemClock.sleep", sleep)
    monkeypatch.setattr("runner.app.transports.SystemClock.monotonic", lambda _clock: time.monotonic() + sum(waits))
    return waits


@pytest.fixture
def project(tmp_path: Path, counting_server: Any) -> Project:
    made = Project(tmp_path, None, counting_server.Answer)
    made.server = counting_server(made.respond, key="")
    made.write(
        "runner.yaml",
        f'providers:\n  box: {{dialect: openai-chat, base_url: "{made.server.chat_url}", price: free, identity: box}}\n',
    )
    made.write("rows.jsonl", jsonl(rows()))
    made.workflow(WORKFLOW)
    return made


@pytest.fixture
def make_rows() -> Callable[[list[Mapping[str, Any]]], str]:
    return jsonl


# Batches

BATCH_DIALECTS = ("openai-chat", "openai-responses", "gemini")
BATCH_FLOW = """
format: 1
inputs: {{words: {{type: array, items: {{type: string}}}}}}
defaults: {{model: box/some-model, transport: batch}}
steps:
  tell:
    for_each: inputs.words
    prompt: "Tell of {{{{ item }}}}."
    fields: {{said: string}}
    {more}
"""


@pytest.fixture(params=BATCH_DIALECTS)
def batch_dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def batch_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server with the batch interfaces; nobody waits between two looks."""

    async def sleep(_clock: object, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("runner.app.transports.SystemClock.sleep", sleep)
    module = importlib.import_module("batch_server")
    server = module.BatchServer().start()
    server.Answer = module.Answer
    server.respond = lambda _body: module.Answer(text='{"said": "yes"}')
    yield server
    server.stop()
    assert not server.wrong


@pytest.fixture
def batch_project(tmp_path: Path, batch_server: Any, batch_dialect: str) -> Callable[..., Path]:
    """Makes a project whose only model is asked in batches; gives the workflow's path."""

    def make(more: str = "", *, flow: str = "", folder: Path = tmp_path) -> Path:
        folder.mkdir(exist_ok=True)
        url = batch_server.base_url + ("" if batch_dialect == "gemini" else "/v1")
        price = "price: {input: 1, output: 2, batch: 0.5}"
        (folder / "runner.yaml").write_text(
            f"providers:\n  box: {{dialect: {batch_dialect}, base_url: '{url}', identity: box, {price}}}\n",
            encoding="utf-8",
        )
        path = folder / "flow.yaml"
        path.write_text(flow or BATCH_FLOW.format(more=more), encoding="utf-8")
        return path

    return make


@pytest.fixture
def batch_run() -> Callable[..., RunResult]:
    """Runs it over three words, or over other inputs."""

    def run(path: Path, **options: Any) -> RunResult:
        return api.run(path, RunOptions(**{"inputs": {"words": ["a", "b", "c"]}, "has_consent": True, **options}))

    return run


@pytest.fixture
def batch_prompt() -> Callable[[Any], str]:
    """What a body in any of the protocols asks: enough of it to find a word."""
    return lambda body: json.dumps(body.get("contents") or body.get("messages") or body.get("input"))


@pytest.fixture
def run_and_die() -> Callable[[Callable[..., RunResult], Path, int], bool]:
    """`(batch_run, path, number)`: whether a run came as far as the numbered action, after which it is killed."""
    return _run_and_die


def _run_and_die(batch_run: Callable[..., RunResult], path: Path, number: int) -> bool:
    """A run in a process of its own that is killed right after the numbered action; whether it came that far."""
    child = os.fork()
    if child == 0:
        try:
            _die_after(number)
            batch_run(path)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _die_after(number: int) -> None:
    """Count every action of the protocol: what the provider is asked, and what is written to disk."""
    from runner.record.batches import BatchFolder
    from runner.store.layers import LayeredAnswers
    from runner.transport.batch_gemini import GeminiBatchWire
    from runner.transport.batch_openai import OpenAIBatchWire
    from runner.transport.uploads import Uploads

    left = [number]

    def done() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real: Any) -> Any:
        def act(*given: Any) -> Any:
            said = real(*given)
            done()
            return said

        return act

    def awaited(real: Any) -> Any:
        async def act(*given: Any, **named: Any) -> Any:
            said = await real(*given, **named)
            done()
            return said

        return act

    def streamed(real: Any) -> Any:
        async def act(*given: Any) -> Any:
            async for line in real(*given):
                done()
                yield line

        return act

    for wire in (OpenAIBatchWire, GeminiBatchWire):
        for name in ("find", "upload", "create", "look"):
            setattr(wire, name, awaited(getattr(wire, name)))
        wire.lines = streamed(wire.lines)  # type: ignore[method-assign]
    for name in ("_to_gemini", "_to_openai", "reference"):
        setattr(Uploads, name, awaited(getattr(Uploads, name)))
    for name in ("spool", "save", "close", "drop"):
        setattr(BatchFolder, name, counted(getattr(BatchFolder, name)))
    LayeredAnswers.commit = counted(LayeredAnswers.commit)  # type: ignore[method-assign]
