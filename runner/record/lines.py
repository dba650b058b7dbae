"""Events as JSON records, one line each; clocks and durations stand under `meta`, so that two runs can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, assert_never

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

if TYPE_CHECKING:
    from runner.record.event_records import (
        AttemptRecord,
        ContextEndedRecord,
        ContextRecord,
        EventRecord,
        ExpectedRecord,
        FailureRecord,
        FinishedRecord,
        MetaRecord,
        OutcomeRecord,
        RetryRecord,
        StartedRecord,
        UsageRecord,
        ViolationRecord,
    )


def to_record(event: Event, *, at: float | None = None) -> EventRecord:
    """The event as JSON. `at` (Unix seconds) goes under `meta`, with the durations."""
    record, meta = _told(event)
    if at is not None:
        meta = {"at": at, **meta}
    if meta:
        record["meta"] = meta
    return record


def _told(event: Event) -> tuple[EventRecord, MetaRecord]:
    match event:
        case AttemptMade():
            return _attempt(event), _attempt_meta(event.attempt)
        case Settled():
            return _outcome(event.outcome), {"seconds": event.outcome.seconds}
        case RunStarted():
            return _started(event), {}
        case StepExpected():
            return _expected(event), {}
        case ContextKept():
            return _context(event), {"seconds": event.seconds}
        case ContextEnded():
            return _context_ended(event), {"seconds": event.seconds}
        case Retrying():
            return _retry(event), {"wait_s": event.wait_s}
        case Noted():
            return {"format": 1, "event": "note", "code": event.code, "message": event.message}, {}
        case RunFinished():
            return _finished(event), {"seconds": event.seconds}
        case _:  # pragma: no cover - the type checker proves it
            assert_never(event)


def _started(event: RunStarted) -> StartedRecord:
    return {
        "format": 1,
        "event": "started",
        "run": event.run,
        "workflow": event.workflow,
        "file": event.file,
        "steps": dict(event.steps),
        "version": event.version,
    }


def _expected(event: StepExpected) -> ExpectedRecord:
    return {
        "format": 1,
        "event": "expected",
        "step": event.step,
        "items": event.items,
        "model": event.model,
        "thinking": event.thinking,
    }


def _context(event: ContextKept) -> ContextRecord:
    return {
        "format": 1,
        "event": "context",
        "step": event.step,
        "model": event.model,
        "name": event.name,
        "tokens": event.tokens,
        "made_usd": event.made_usd,
        "kept_usd": event.kept_usd,
        "is_new": event.is_new,
    }


def _context_ended(event: ContextEnded) -> ContextEndedRecord:
    return {
        "format": 1,
        "event": "context-ended",
        "step": event.step,
        "name": event.name,
        "kept_usd": event.kept_usd,
    }


def _retry(event: Retrying) -> RetryRecord:
    return {
        "format": 1,
        "event": "retry",
        "step": event.step,
        "item": event.item,
        "tries": event.tries,
        "message": event.message,
    }


def _finished(event: RunFinished) -> FinishedRecord:
    return {
        "format": 1,
        "event": "finished",
        "run": event.run,
        "status": event.status,
        "exit_code": event.exit_code,
        "outputs": event.outputs,
    }


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


def _attempt(event: AttemptMade) -> AttemptRecord:
    attempt = event.attempt
    record: AttemptRecord = {
        "format": 1,
        "event": "attempt",
        "step": event.step,
        "item": event.item,
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
        "ingredients": dict(event.ingredients),
    }
    if attempt.part:
        record["part"] = attempt.part
    if attempt.turn:
        record["turn"] = attempt.turn
    if attempt.answers:
        record["answers"] = attempt.answers
    if attempt.number:
        record["number"] = attempt.number
    if attempt.sources:
        record["sources"] = [{"url": source.url, "title": source.title} for source in attempt.sources]
    return record


def _attempt_meta(attempt: Attempt) -> MetaRecord:
    if attempt.first_token_s is None:
        return {"seconds": attempt.seconds}
    return {"seconds": attempt.seconds, "first_token_s": attempt.first_token_s}


def _usage(usage: Usage) -> UsageRecord:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "thinking_tokens": usage.thinking_tokens,
    }


def _outcome(outcome: Outcome) -> OutcomeRecord:
    return {
        "format": 1,
        "event": "outcome",
        "step": outcome.step,
        "item": outcome.item,
        "status": outcome.status,
        "output": outcome.output,
        "failure": None if outcome.failure is None else _failure(outcome.failure),
        "keys": [attempt.key for attempt in outcome.attempts],
        "because": outcome.because,
    }


def _failure(failure: Failure) -> FailureRecord:
    return {
        "kind": failure.kind,
        "message": failure.message,
        "status": failure.status,
        "violations": _violations(failure.violations),
    }


def _violations(violations: tuple[Violation, ...]) -> list[ViolationRecord]:
    return [
        {"pointer": one.pointer, "keyword": one.keyword, "expected": one.expected, "found": one.found}
        for one in violations
    ]
