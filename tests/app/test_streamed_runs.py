"""Runs that stream: the same keys and the same answers as without, the text on its way, and cut streams as failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.app import api
from runner.app.types import RunOptions, RunResult
from runner.core.events import AttemptMade, Event, Heard
from runner.core.outcome import Attempt
from runner.record.journal import read_journal

FLOW = """
format: 1
defaults: {model: box/some-model, retries: 2}
data: {words: {file: words.jsonl, key: id}}
steps:
  say:
    for_each: data.words
    system: Be brief.
    prompt: Say {{ item.id }}.
    fields: {word: string}
"""
DIALECTS = ("gemini", "openai-chat", "openai-responses", "anthropic")
SAID = '{"word": "Grüße"}'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_clock: object, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("runner.app.transports.SystemClock.sleep", sleep)


@pytest.fixture
def start(tmp_path: Path, counting_server: Any) -> Callable[..., Any]:
    """A project whose only model is asked in a dialect; the server answers the n-th request as it is told."""

    def make(dialect: str, *answers: dict[str, Any]) -> Any:
        def respond(_dialect: str, _body: Any, n: int) -> Any:
            return counting_server.Answer(**{"text": SAID, **(answers[n - 1] if n <= len(answers) else {})})

        server = counting_server(respond, key="")
        url = server.chat_url if dialect.startswith("openai") else server.base_url
        (tmp_path / "runner.yaml").write_text(
            f"providers: {{box: {{dialect: {dialect}, base_url: '{url}', identity: box, price: {{input: 1, output: 2}}}}}}\n",
            encoding="utf-8",
        )
        (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")
        (tmp_path / "words.jsonl").write_text('{"id": "hello"}\n', encoding="utf-8")
        return server

    return make


def run(tmp_path: Path, **options: Any) -> tuple[RunResult, list[Attempt]]:
    attempts: list[Attempt] = []

    def note(event: Event) -> None:
        if isinstance(event, AttemptMade):
            attempts.append(event.attempt)

    return api.run(tmp_path / "flow.yaml", RunOptions(has_consent=True, **options), [note]), attempts


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_streamed_answer_has_the_key_and_the_content_of_any_other(
    tmp_path: Path, start: Callable[..., Any], dialect: str
) -> None:
    server = start(dialect)
    told: list[Heard] = []
    streamed, (fresh,) = run(tmp_path, hear=told.append)
    assert (streamed.exit_code, streamed.outputs, server.refused) == (0, [{"word": "Grüße"}], [])
    assert ({(one.step, one.item) for one in told}, "".join(one.text for one in told)) == ({("say", "hello")}, SAID)
    assert fresh.first_token_s is not None
    assert 0 <= fresh.first_token_s <= fresh.seconds
    stored, (cached,) = run(tmp_path)
    assert (stored.outputs, cached.key, cached.usage, server.count) == (streamed.outputs, fresh.key, fresh.usage, 1)
    at_once, (whole,) = run(tmp_path, use_cache=False)
    assert (at_once.outputs, whole.key, whole.usage, whole.model) == (
        streamed.outputs,
        fresh.key,
        fresh.usage,
        fresh.model,
    )
    assert (whole.first_token_s, server.count) == (None, 2)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_when_the_text_began_stands_in_the_record(tmp_path: Path, start: Callable[..., Any], dialect: str) -> None:
    start(dialect)
    result, (attempt,) = run(tmp_path, hear=lambda _: None)
    lines = read_journal(tmp_path / ".runner/runs" / result.run / "journal.jsonl")
    (line,) = (line for line in lines if line["event"] == "attempt")
    assert line["meta"]["first_token_s"] == attempt.first_token_s
    shown = api.show(tmp_path, result.run, "say", None)
    assert shown["attempts"][0]["meta"]["first_token_s"] == attempt.first_token_s


def events_of(dialect: str, counting_server: Any, text: str = SAID) -> list[bytes]:
    """The events that the strict server streams for an answer."""
    import importlib

    module = importlib.import_module("counting_server")
    wire = next(wire for wire in module.WIRES if wire.dialect == dialect)
    path = "/v1beta/models/some-model:streamGenerateContent?alt=sse"
    received = module.Received(
        dialect, path, "", {"model": "some-model", "stream_options": {"include_usage": True}}, {}
    )
    found: list[bytes] = wire.stream(counting_server.Answer(text=text), received)
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_is_cut_at_any_event_or_within_one_is_asked_again(
    tmp_path: Path, start: Callable[..., Any], counting_server: Any, dialect: str
) -> None:
    events = events_of(dialect, counting_server)
    ends = [events[:number] for number in range(len(events))]
    ends += [[*events[:number], event[: len(event) // 2]] for number, event in enumerate(events)]
    server = start(dialect, *[{"events": tuple(end)} for end in ends])
    result, (attempt,) = run(tmp_path, hear=lambda _: None)
    # Two retries each: a run takes three of the broken streams and fails; the first that is whole is the answer.
    seen = 3
    while seen <= len(ends):
        assert (result.exit_code, attempt.failure, attempt.requests) == (3, "unknown-delivery", 3)
        assert not list((tmp_path / "cache/local").glob("*.json"))
        result, (attempt,) = run(tmp_path, hear=lambda _: None)
        seen += 3
    assert (result.exit_code, result.outputs, server.count) == (0, [{"word": "Grüße"}], len(ends) + 1)
    assert attempt.maybe_paid_twice == attempt.requests - 1


ERRORS = {
    "gemini": {"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}},
    "openai-chat": {"error": {"code": "server_error", "message": "busy"}},
    "openai-responses": {"type": "error", "code": "server_error", "message": "busy"},
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_in_the_middle_is_asked_again(
    tmp_path: Path, start: Callable[..., Any], counting_server: Any, dialect: str
) -> None:
    first = events_of(dialect, counting_server)[:2]
    error = b"data: " + json.dumps(ERRORS[dialect]).encode() + b"\n\n"
    server = start(dialect, {"events": (*first, error)})
    result, (attempt,) = run(tmp_path, hear=lambda _: None)
    assert (result.outputs, attempt.requests, server.count) == ([{"word": "Grüße"}], 2, 2)


def test_a_loop_that_streams_says_whose_turn_it_is(tmp_path: Path, start: Callable[..., Any]) -> None:
    start("openai-chat")
    (tmp_path / "flow.yaml").write_text(
        """
format: 1
defaults: {model: box/some-model}
steps:
  talk:
    loop:
      max: 2
      state: {schema: {type: object, properties: {n: {type: integer}}, required: [n]}, start: {n: 0}}
      steps: {say: {prompt: "Turn {{ state.n }}", fields: {word: string}}}
      next: {n: state.n + 1}
      until: state.n >= 2
""",
        encoding="utf-8",
    )
    told: list[Heard] = []
    result, attempts = run(tmp_path, hear=told.append)
    assert result.exit_code == 0, result.problems
    places = {(one.step, one.part, one.turn) for one in told}
    assert places == {("talk", attempt.part, attempt.turn) for attempt in attempts}
    assert {turn for _, _, turn in places} == {1, 2}


def test_written_answers_are_told_too(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"match": "moon", "answer": "Far away."}\n', encoding="utf-8")
    (tmp_path / "runner.yaml").write_text(
        "providers: {box: {dialect: scripted, file: answers.jsonl}}\n", encoding="utf-8"
    )
    (tmp_path / "flow.yaml").write_text(
        "format: 1\nsteps: {say: {model: box/m, prompt: The moon?}}\n", encoding="utf-8"
    )
    told: list[Heard] = []
    result, _ = run(tmp_path, hear=told.append)
    assert (result.outputs, told) == ("Far away.", [Heard("say", "", "Far away.")])
