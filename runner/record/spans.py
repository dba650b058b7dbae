"""A run as spans of OpenTelemetry, with the conventions for generative AI: a run, its steps, and the calls that it made.

They say what was asked of whom and what it took, never what was said: no prompt, no answer, no message of a failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from runner.core.events import AttemptMade, Event, Retrying, RunFinished, RunStarted, Settled, StepExpected
from runner.core.frozen import dataclass
from runner.core.outcome import Attempt, Outcome, Source
from runner.core.outcome import Status as Ended
from runner.core.tool import TOOL_DIALECT
from runner.core.version import VERSION

Value = str | int | float | bool

_NANO = 1_000_000_000
_PROVIDERS = {"gemini": "gcp.gemini", "vertex": "gcp.vertex_ai", "openai-chat": "openai"}
_GENERATES = frozenset({"gemini", "vertex"})
_MOST_RETRIES_TOLD = 100


@dataclass(slots=True)
class _Step:
    """A step under way: its span, and what its answers and outcomes come to."""

    span: Span
    items: int = 0
    calls: int = 0
    stored: int = 0
    failed: int = 0
    retries: int = 0
    last_at: int = 0


class Spans:
    """A sink of events that makes spans by `provider`, by default the one that the program has set up.

    The span of the run is a child of the span that is current when this is made.
    """

    def __init__(self, provider: TracerProvider | None = None, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer: Tracer = trace.get_tracer("runner", VERSION, provider)
        self._now_ns = now_ns
        self._lock = Lock()
        self._around = trace.get_current_span()
        self._run: Span | None = None
        self._routes: Mapping[str, str] = {}
        self._steps: dict[str, _Step] = {}

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case StepExpected(step, items):
                self._of(step).items += items
            case AttemptMade(step, item, attempt):
                self._attempt(step, item, attempt, event.ingredients)
            case Retrying(step, item, tries):
                self._retry(step, item, tries)
            case Settled(outcome):
                self._settle(outcome)
            case RunFinished():
                self._finish(event)
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        self._routes = event.steps
        self._run = self._tracer.start_span(
            f"invoke_workflow {event.workflow}",
            trace.set_span_in_context(self._around),
            attributes={
                "gen_ai.operation.name": "invoke_workflow",
                "runner.run": event.run,
                "runner.workflow": event.workflow,
                "runner.file": event.file,
                "runner.version": event.version,
            },
            start_time=self._now_ns(),
        )

    def _of(self, name: str) -> _Step:
        now = self._now_ns()
        if name not in self._steps:
            attributes: dict[str, Value] = {"runner.step": name}
            if name in self._routes:
                attributes["gen_ai.request.model"] = _model_of(self._routes[name])[1]
            span = self._tracer.start_span(f"step {name}", self._context(), attributes=attributes, start_time=now)
            self._steps[name] = _Step(span)
        step = self._steps[name]
        step.last_at = now
        return step

    def _context(self) -> Context:
        return trace.set_span_in_context(self._run if self._run is not None else self._around)

    def _attempt(self, name: str, item: str, attempt: Attempt, ingredients: Mapping[str, object]) -> None:
        step = self._of(name)
        if attempt.source is not Source.FRESH:
            step.stored += 1
            return
        step.calls += 1
        route = str(ingredients.get("model") or self._routes.get(name, ""))
        dialect = str(ingredients.get("dialect", "")).partition("/")[0]
        attributes = {**_asked(route, dialect), **_answered(attempt), "runner.step": name, "runner.item": item}
        model = attributes.get("gen_ai.request.model") or attributes.get("gen_ai.tool.name")
        span = self._tracer.start_span(
            f"{attributes['gen_ai.operation.name']} {model}",
            trace.set_span_in_context(step.span),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=step.last_at - int(attempt.seconds * _NANO),
        )
        if attempt.failure is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(step.last_at)

    def _retry(self, name: str, item: str, tries: int) -> None:
        step = self._of(name)
        step.retries += 1
        if step.retries <= _MOST_RETRIES_TOLD:
            step.span.add_event("retry", {"runner.item": item, "runner.tries": tries}, step.last_at)

    def _settle(self, outcome: Outcome) -> None:
        step = self._of(outcome.step)
        step.failed += outcome.status is Ended.FAILED

    def _finish(self, event: RunFinished) -> None:
        for step in self._steps.values():
            step.span.set_attributes(
                {
                    "runner.items": step.items,
                    "runner.calls": step.calls,
                    "runner.stored_answers": step.stored,
                    "runner.failed": step.failed,
                    "runner.retries": step.retries,
                }
            )
            if step.failed:
                step.span.set_status(Status(StatusCode.ERROR))
            step.span.end(step.last_at)
        self._steps = {}
        if self._run is not None:
            self._run.set_attributes({"runner.status": event.status, "runner.exit_code": event.exit_code})
            if event.exit_code:
                self._run.set_status(Status(StatusCode.ERROR))
            self._run.end(self._now_ns())
            self._run = None


def _model_of(route: str) -> tuple[str, str]:
    """The provider and the model of `provider/model`."""
    provider, _, model = route.partition("/")
    return provider, model or provider


def _asked(route: str, dialect: str) -> dict[str, Value]:
    provider, model = _model_of(route)
    if provider == TOOL_DIALECT:
        return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": model}
    is_embedding = dialect.endswith("-embed")
    operation = "embeddings" if is_embedding else "generate_content" if dialect in _GENERATES else "chat"
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
    }


def _answered(attempt: Attempt) -> dict[str, Value]:
    usage = attempt.usage
    known: dict[str, Value | None] = {
        "gen_ai.response.model": attempt.model or None,
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.thinking_tokens,
        "gen_ai.response.time_to_first_chunk": attempt.first_token_s,
        "error.type": attempt.failure and str(attempt.failure),
        "runner.reason": attempt.reason or None,
        "runner.part": attempt.part or None,
        "runner.repair": attempt.repair or None,
        "runner.turn": attempt.turn or None,
        "runner.sample": attempt.sample or None,
        "runner.requests": attempt.requests,
        "runner.cost_usd": attempt.cost_usd,
    }
    return {name: value for name, value in known.items() if value is not None}
