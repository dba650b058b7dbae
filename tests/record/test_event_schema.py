"""What is written of an event is what the schema for its readers says: no field less, and none more."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

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
from runner.core.outcome import Attempt, Failure, FailureKind, Outcome, Source, Status, Violation
from runner.core.response import Citation, Usage
from runner.record.event_schema import event_schema
from runner.record.lines import to_line, to_record

MISFIT = Violation("/size", "maximum", "at most 9", "10")
CITED = Citation("https://a.example", "A")
WHOLE_ATTEMPT = Attempt(
    key="k" * 64,
    source=Source.FRESH,
    reason="new",
    repair=1,
    sample=2,
    usage=Usage(1, 2, 3, 4),
    cost_usd=0.5,
    seconds=1.5,
    requests=2,
    model="m-1",
    violations=(MISFIT,),
    failure=FailureKind.INVALID,
    maybe_paid_twice=1,
    part="tag.escalate.1",
    turn=1,
    answers=2,
    number=3,
    first_token_s=0.1,
    sources=(CITED,),
)
EVENTS: list[Event] = [
    RunStarted("r1", "w", "w.yaml", {"tag": "local/small"}, "0.1.0"),
    StepExpected("tag", 3, "local/small", "low"),
    AttemptMade("tag", "r1", WHOLE_ATTEMPT, {"model": "local/small", "prompt": ["x", 1]}),
    AttemptMade("tag", "", Attempt("k", Source.CACHED)),
    ContextKept("tag", "gemini/m", "cachedContents/1", 4096, 3600.0, 0.1, None, is_new=True),
    ContextEnded("tag", "cachedContents/1", 60.0, 0.01),
    Retrying("tag", "r1", 1, 2.5, "the provider answered 429"),
    Settled(Outcome("tag", "r1", Status.GOOD, {"size": 3}, attempts=(WHOLE_ATTEMPT,), seconds=2.0)),
    Settled(Outcome("tag", "r2", Status.FAILED, failure=Failure(FailureKind.INVALID, "no", (MISFIT,), status=500))),
    Settled(Outcome("tag", "r3", Status.SKIPPED, because="when is false")),
    Noted("damaged", "an entry was damaged"),
    RunFinished("r1", "interrupted", 130, 1.0, {"total": 3}),
]


def closed(schema: Json) -> Json:
    """The schema without room for fields that it does not name."""
    found = copy.deepcopy(schema)
    for definition in found["$defs"].values():
        definition["additionalProperties"] = False
    return found


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(event_schema())


@pytest.mark.parametrize("at", [None, 1.5])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_written_fits_the_schema_and_has_no_field_beside_it(event: Event, at: float | None) -> None:
    line = json.loads(to_line(to_record(event, at=at)))
    Draft202012Validator(closed(event_schema())).validate(line)


def test_a_line_of_another_format_fits_no_schema() -> None:
    line: dict[str, Any] = {**to_record(EVENTS[0]), "format": 2}
    assert not Draft202012Validator(event_schema()).is_valid(line)


def test_every_field_of_every_line_is_written_by_some_event() -> None:
    written: dict[str, set[str]] = {}
    for event in EVENTS:
        line = json.loads(to_line(to_record(event, at=1.0)))
        written.setdefault(line["event"], set()).update(line)
    schema = event_schema()
    assert written == {name: set(schema["$defs"][name]["properties"]) for name in written}
    assert len(written) == len(schema["oneOf"])
