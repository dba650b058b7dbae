"""The chunks of a streamed chat completion put together again (pure)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from runner.core.canonical import Json, ordered
from runner.core.outcome import Failure, FailureKind

_OVERFLOW = "exceed_context_size_error"


def assemble(chunks: Sequence[Json], model: str) -> bytes:
    """One chat completion: the text, why it ended, what it used.

    Clocks, ids, timings and the path of the model file are left out, so that the same answer is the same bytes.
    """
    text, thought, finish = "", "", None
    usage: Json = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            thought += delta.get("reasoning_content") or ""
            finish = choice.get("finish_reason") or finish
    message = {"role": "assistant", "content": text, **({"reasoning_content": thought} if thought else {})}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return ordered({"object": "chat.completion", "model": model, "choices": choices, "usage": usage})


def text_in(chunk: Json) -> str:
    """The text that a chunk adds to the answer."""
    return "".join((choice.get("delta") or {}).get("content") or "" for choice in chunk.get("choices", ()))


def find_error(chunks: Sequence[Json], provider: str) -> Failure | None:
    """What the engine says is wrong with the request, in our words."""
    error = next((chunk["error"] for chunk in chunks if chunk.get("error")), None)
    if error is None:
        return None
    code = error.get("code")
    if error.get("type") == _OVERFLOW:
        text = (
            f"the prompt has {error.get('n_prompt_tokens')} tokens, and the model of '{provider}' "
            f"reads {error.get('n_ctx')} in all; shorten the prompt or use another model"
        )
        return Failure(FailureKind.BAD_REQUEST, text, status=400)
    return refuse(provider, str(error.get("message", "")), status=code if isinstance(code, int) else None)


def refuse(provider: str, reason: str, status: int | None = 400) -> Failure:
    """The engine does not take the request, or broke on it; neither is mended by asking again."""
    is_ours = status is not None and status < 500
    kind = FailureKind.BAD_REQUEST if is_ours else FailureKind.BAD_ANSWER
    verb = "does not take the request" if is_ours else "failed"
    return Failure(kind, f"the model of '{provider}' {verb}: {_shown(reason)}", status=status)


def _shown(reason: str) -> str:
    """At most 200 characters on one line, with control characters spelled out."""
    line = " ".join(reason.split())[:200]
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)
