"""Events as JSON records, one line each; clocks and durations stand under `meta`, so that two runs can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

import orjson

from runner.core.canonical import Json
from runner.core.events import (
    AttemptMade,
    ContextEnded,
    ContextKept,
    Event,
    Noted,
    Retrying,
    RunFinished,
    RunStarted,
    Settled,
    StepExpected,
)
from runner.core.outcome import Attempt, Failure, Outcome, Violation
from runner.core.response import Usage

JOURNAL_FORMAT: Final = 1


def to_record(event: Event, *, at: float | None = None) -> dict[str, Json]:
    """The event as JSON. `at` (Unix seconds) goes under `meta`, with the durations."""
    record: dict[str, Json] = {"format": JOURNAL_FORMAT}
    meta: dict[str, Json] = {} if at is None else {"at": at}
    match event:
        case RunStarted():
            record |= {"event": "started", "run": event.run, "workflow": event.workflow, "file": event.file}
            record |= {"steps": dict(event.steps), "version": event.version}
        case StepExpected():
            record |= {"event": "expected", "step": event.step, "items": event.items, "model": event.model}
            record |= {"thinking": event.thinking}
        case AttemptMade():
            record |= {"event": "attempt", "step": event.step, "item": event.item, **_attempt(event.attempt)}
            record["ingredients"] = dict(event.ingredients)
            meta["seconds"] = event.attempt.seconds
            if event.attempt.first_token_s is not None:
                meta["first_token_s"] = event.attempt.first_token_s
        case ContextKept():
            record |= {"event": "context", "step": event.step, "model": event.model, "name": event.name}
            record |= {"tokens": event.tokens, "made_usd": event.made_usd, "kept_usd": event.kept_usd}
            record |= {"is_new": event.is_new}
            meta["seconds"] = event.seconds
        case ContextEnded():
            record |= {"event": "context-ended", "step": event.step, "name": event.name, "kept_usd": event.kept_usd}
            meta["seconds"] = event.seconds
        case Retrying():
            record |= {"event": "retry", "step": event.step, "item": event.item, "tries": event.tries}
            record |= {"message": event.message}
            meta |= {"wait_s": event.wait_s}
        case Settled():
            record |= {"event": "outcome", **_outcome(event.outcome)}
            meta["seconds"] = event.outcome.seconds
        case Noted():
            record |= {"event": "note", "code": event.code, "message": event.message}
        case RunFinished():
            record |= {"event": "finished", "run": event.run, "status": event.status, "exit_code": event.exit_code}
            record |= {"outputs": event.outputs}
            meta |= {"seconds": event.seconds}
        case _:  # pragma: no cover - the type checker proves it
            assert_never(event)
    if meta:
        record["meta"] = meta
    return record


def to_line(record: Mapping[str, Json]) -> bytes:
    """One line of JSON. Text that is no valid Unicode is escaped, so that no answer can stop the record."""
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        import json

        return json.dumps(record, default=str).encode("ascii") + b"\n"


def read_line(line: bytes) -> dict[str, Json] | None:
    """The record, None for a line that is torn or is no record."""
    try:
        record = orjson.loads(line)
    except ValueError:
        import json

        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return record if isinstance(record, dict) else None


def _attempt(attempt: Attempt) -> dict[str, Json]:
    part: dict[str, Json] = {"part": attempt.part} if attempt.part else {}
    counts = {"turn": attempt.turn, "answers": attempt.answers, "number": attempt.number}
    part |= {name: count for name, count in counts.items() if count}
    if attempt.sources:
        part["sources"] = [{"url": source.url, "title": source.title} for source in attempt.sources]
    return {
        **part,
        "key": attempt.key,
        "source": attempt.source,
        "reason": attempt.reason,
        "repair": attempt.repair,
        "sample": attempt.sample,
        "usage": _usage(attempt.usage),
        "cost_usd": attempt.cost_usd,
        "requests": attempt.requests,
        "model": attempt.model,
        "violations": _violations(attempt.violations),
        "failure": attempt.failure,
        "maybe_paid_twice": attempt.maybe_paid_twice,
    }


def _usage(usage: Usage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "thinking_tokens": usage.thinking_tokens,
    }


def _outcome(outcome: Outcome) -> dict[str, Json]:
    return {
        "step": outcome.step,
        "item": outcome.item,
        "status": outcome.status,
        "output": outcome.output,
        "failure": None if outcome.failure is None else _failure(outcome.failure),
        "keys": [attempt.key for attempt in outcome.attempts],
        "because": outcome.because,
    }


def _failure(failure: Failure) -> dict[str, Json]:
    return {
        "kind": failure.kind,
        "message": failure.message,
        "status": failure.status,
        "violations": _violations(failure.violations),
    }


def _violations(violations: tuple[Violation, ...]) -> list[Json]:
    return [
        {"pointer": one.pointer, "keyword": one.keyword, "expected": one.expected, "found": one.found}
        for one in violations
    ]
