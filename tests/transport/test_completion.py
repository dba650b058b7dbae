"""Streamed chunks put together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.core.outcome import Failure, FailureKind
from runner.transport.completion import assemble, find_error, refuse


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> Any:
    return {
        "id": "random",
        "created": 1,
        "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}],
        **more,
    }


def test_chunks_become_one_answer_without_clocks_ids_and_timings() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    chunks = [
        {"prompt_progress": {"total": 3}, "choices": [{"delta": {"role": "assistant", "content": None}}]},
        chunk("Hel"),
        chunk("lo"),
        chunk(finish="stop"),
        {"choices": [], "usage": usage, "timings": {"prompt_ms": 7.1}},
    ]
    assert json.loads(assemble(chunks, "tiny")) == {
        "object": "chat.completion",
        "model": "tiny",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": usage,
    }


def test_thoughts_stand_apart_and_a_broken_stream_has_no_finish() -> None:
    thought = {"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": None}]}
    answer = json.loads(assemble([thought, {"choices": [{"delta": None}]}, chunk("x")], "m"))
    assert answer["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "x", "reasoning_content": "hm"},
        "finish_reason": None,
    }
    assert answer["usage"] is None


def test_a_prompt_that_is_too_long_is_said_in_tokens() -> None:
    error = {"code": 400, "type": "exceed_context_size_error", "message": "…", "n_prompt_tokens": 5031, "n_ctx": 2048}
    assert find_error([{"error": error}], "local") == Failure(
        FailureKind.BAD_REQUEST,
        "the prompt has 5031 tokens, and the model of 'local' reads 2048 in all; shorten the prompt or use another model",
        status=400,
    )
    assert find_error([chunk("fine")], "local") is None


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (400, FailureKind.BAD_REQUEST, "the model of 'local' does not take the request: no \\u001b such field"),
        (500, FailureKind.BAD_ANSWER, "the model of 'local' failed: no \\u001b such field"),
        ("?", FailureKind.BAD_ANSWER, "the model of 'local' failed: no \\u001b such field"),
    ],
)
def test_other_errors_are_shown_safely(code: Any, kind: FailureKind, message: str) -> None:
    failure = find_error([{"error": {"code": code, "message": "no \x1b such\n field"}}], "local")
    assert failure is not None
    assert (failure.kind, failure.message) == (kind, message)


def test_a_long_reason_is_cut() -> None:
    assert len(refuse("p", "x" * 5000).message) < 300
