"""A run as spans: what was asked of whom and what it took, and never what was said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from runner.core.events import (
    AttemptMade,
    Event,
    Noted,
    Retrying,
    RunFinished,
    RunStarted,
    Settled,
    StepExpected,
)
from runner.core.outcome import Attempt, Failure, FailureKind, Outcome, Source, Status
from runner.core.response import Usage
from runner.record.spans import Spans

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
STARTED = RunStarted("r7", "triage", "workflows/triage.yaml", {"tag": "gemini/flash", "look": "tool/lookup"}, "0.1.0")
ASKED = {"model": "gemini/flash", "dialect": "gemini/1", "template": {"flow.yaml:8": "secret prompt"}}


class Recorded:
    """Spans of events that come a second apart."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._clock = iter(range(START, START + 10**6 * SECOND, SECOND))
        self.spans = Spans(self.provider, lambda: next(self._clock))

    def tell(self, *events: Event) -> dict[str, Any]:
        for event in events:
            self.spans(event)
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.provider.shutdown()


def fresh(**values: Any) -> Attempt:
    given: dict[str, Any] = {"key": "k", "source": Source.FRESH, "seconds": 0.5, "requests": 1}
    return Attempt(**(given | values))


def test_a_run_has_steps_and_they_have_calls(recorded: Recorded) -> None:
    found = recorded.tell(
        STARTED,
        StepExpected("tag", 2, "gemini/flash"),
        AttemptMade("tag", "a", fresh(usage=Usage(10, 3, 4, 1), cost_usd=0.01, model="flash-001", reason="new"), ASKED),
        Settled(Outcome("tag", "a", Status.GOOD, "secret answer")),
        AttemptMade("tag", "b", Attempt("k", Source.CACHED)),
        Settled(Outcome("tag", "b", Status.GOOD, "secret answer")),
        RunFinished("r7", "done", 0, 3.0, "secret answer"),
    )
    assert list(found) == ["generate_content flash", "step tag", "invoke_workflow triage"]
    call, step, run = found.values()
    assert (call.parent.span_id, step.parent.span_id) == (step.context.span_id, run.context.span_id)
    assert run.parent is None
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "flash",
        "gen_ai.response.model": "flash-001",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "runner.reason": "new",
        "runner.requests": 1,
        "runner.cost_usd": 0.01,
        "runner.step": "tag",
        "runner.item": "a",
    }
    assert call.end_time - call.start_time == SECOND // 2
    assert dict(step.attributes) == {
        "runner.step": "tag",
        "gen_ai.request.model": "flash",
        "runner.items": 2,
        "runner.calls": 1,
        "runner.stored_answers": 1,
        "runner.failed": 0,
        "runner.retries": 0,
    }
    assert dict(run.attributes) == {
        "gen_ai.operation.name": "invoke_workflow",
        "runner.run": "r7",
        "runner.workflow": "triage",
        "runner.file": "workflows/triage.yaml",
        "runner.version": "0.1.0",
        "runner.status": "done",
        "runner.exit_code": 0,
    }
    assert {span.status.status_code for span in found.values()} == {StatusCode.UNSET}


def test_nothing_that_was_said_is_in_a_span(recorded: Recorded) -> None:
    failure = Failure(FailureKind.REFUSED, "secret words of the provider")
    found = recorded.tell(
        STARTED,
        AttemptMade("tag", "a", fresh(failure=FailureKind.REFUSED), ASKED),
        Retrying("tag", "a", 1, 1.0, "secret words of the provider"),
        Settled(Outcome("tag", "a", Status.FAILED, failure=failure)),
        Noted("left-out", "secret words of the provider"),
        RunFinished("r7", "failed", 1, 3.0),
    )
    assert "secret" not in "".join(span.to_json() for span in found.values())


def test_what_failed_is_an_error_of_its_kind(recorded: Recorded) -> None:
    failure = Failure(FailureKind.CUT, "cut")
    call, step, run = recorded.tell(
        STARTED,
        AttemptMade(
            "tag", "a", fresh(failure=FailureKind.CUT, first_token_s=0.2, repair=1, part="tag.escalate.1"), ASKED
        ),
        Settled(Outcome("tag", "a", Status.FAILED, failure=failure)),
        RunFinished("r7", "failed", 1, 3.0),
    ).values()
    assert call.attributes["error.type"] == "cut"
    assert call.attributes["gen_ai.response.time_to_first_chunk"] == 0.2
    assert (call.attributes["runner.repair"], call.attributes["runner.part"]) == (1, "tag.escalate.1")
    assert [span.status.status_code for span in (call, step, run)] == [StatusCode.ERROR] * 3


@pytest.mark.parametrize(
    ("ingredients", "name", "provider"),
    [
        ({"model": "openai-chat/gpt", "dialect": "openai-chat/1"}, "chat gpt", "openai"),
        ({"model": "vertex/flash", "dialect": "vertex/1"}, "generate_content flash", "gcp.vertex_ai"),
        ({"model": "openai/embed-3", "dialect": "openai-embed/1"}, "embeddings embed-3", "openai"),
        ({"model": "box/small"}, "chat small", "box"),
        ({}, "chat flash", "gcp.gemini"),
    ],
)
def test_a_call_is_named_by_what_is_done_with_which_model(
    recorded: Recorded, ingredients: dict[str, Any], name: str, provider: str
) -> None:
    found = recorded.tell(STARTED, AttemptMade("tag", "", fresh(), ingredients), RunFinished("r7", "done", 0, 1.0))
    assert found[name].attributes["gen_ai.provider.name"] == provider


def test_a_tool_that_is_a_step_is_executed(recorded: Recorded) -> None:
    found = recorded.tell(STARTED, AttemptMade("look", "", fresh()), RunFinished("r7", "done", 0, 1.0))
    assert found["execute_tool lookup"].attributes["gen_ai.tool.name"] == "lookup"


def test_retries_are_told_at_the_step_the_first_hundred_of_them(recorded: Recorded) -> None:
    retries = (Retrying("tag", f"r{number}", 1, 1.0, "slow down") for number in range(150))
    step = recorded.tell(STARTED, *retries, RunFinished("r7", "done", 0, 1.0))["step tag"]
    assert step.attributes["runner.retries"] == 150
    assert len(step.events) == 100
    assert (step.events[0].name, dict(step.events[0].attributes)) == ("retry", {"runner.item": "r0", "runner.tries": 1})


def test_a_run_is_a_child_of_what_is_current_where_the_sink_is_made() -> None:
    made = Recorded()
    tracer = made.provider.get_tracer("program")
    with tracer.start_as_current_span("request"):
        spans = Spans(made.provider)
    for event in (STARTED, RunFinished("r7", "done", 0, 1.0)):
        spans(event)
    request, run = made.exporter.get_finished_spans()
    assert run.parent is not None
    assert run.parent.span_id == request.context.span_id
    made.provider.shutdown()


def test_a_step_that_the_run_did_not_name_has_a_span_too(recorded: Recorded) -> None:
    found = recorded.tell(STARTED, StepExpected("judge", 1, "a/b"), RunFinished("r7", "done", 0, 1.0))
    assert "gen_ai.request.model" not in found["step judge"].attributes


def test_an_end_without_a_beginning_is_no_span(recorded: Recorded) -> None:
    assert recorded.tell(RunFinished("r7", "failed", 1, 1.0)) == {}
